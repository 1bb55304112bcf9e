"""The contract: good rows pass, bad rows are set aside with their reasons, bad batches named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from checking import JANUARY, TIME, check_batch, nulls, with_value
from conftest import month
from polars.testing import assert_frame_equal

from evergreen.params import Validate
from evergreen.validation.report import QUARANTINE_ROW, REASONS, BadBatchError, Outcome
from late_flights import flights
from late_flights.dataset import dataset

pytestmark = [pytest.mark.usefixtures("great_expectations"), pytest.mark.slow]  # the real engine


# --- rows

BAD_ROWS: list[tuple[str, object, str]] = [
    (TIME, "yesterday", f"{TIME}: is a date or time"),
    (TIME, None, f"{TIME}: is there"),
    ("flight", "12.5", "flight: is a whole number"),
    ("flight", "0", "flight: 1 to 9,999"),
    ("flight", None, "flight: not missing"),
    ("temp", "warm", "temp: is a number"),
    ("temp", "451", "temp: -40 to 120"),
    ("humid", -1.0, "humid: 0 to 100"),
    ("pressure", float("inf"), "pressure: 900 to 1,100"),
    ("carrier", None, "carrier: not missing"),
    ("carrier", "united", "carrier: looks like"),
    ("origin", "LHR", "origin: one of EWR, JFK, LGA"),
    ("dest", "B0S", "dest: looks like"),
    ("distance", 9, "distance: 10 to 6,000"),
    ("distance", 11, "distance: greater than air_time"),
    ("dep_time", 2401, "dep_time: 0 to 2,400"),
    ("sched_arr_time", -1, "sched_arr_time: 0 to 2,400"),
    ("arr_delay", 10_000, "arr_delay: -180 to 2,880"),
]
BREAK_TWO = ("distance: 10 to 6,000",)
TWINS = (600, 1200)  # two rows of one key


def row_of(case: int) -> int:
    return 20 + case * 30


@pytest.fixture(scope="module")
def raw() -> pl.DataFrame:
    """A real month with one bad row of each kind, and a repeated key."""
    frame = month(JANUARY)
    flying = frame["air_time"].is_not_null().to_list()
    for case, (column, value, _) in enumerate(BAD_ROWS):
        assert flying[row_of(case)], "choose another row"
        frame = with_value(frame, column, row_of(case), value)
    twin = frame[TWINS[0]].select(dataset.key).row(0, named=True)
    for column, value in twin.items():
        frame = with_value(frame, column, TWINS[1], value)
    return frame.with_columns(gate=pl.lit("B7"))


@pytest.fixture(scope="module")
def outcome(raw: pl.DataFrame, great_expectations: None) -> Outcome:
    return check_batch(raw, JANUARY, Validate(max_bad_rows=0.02))


BAD_PLACES = sorted([*(row_of(case) for case in range(len(BAD_ROWS))), *TWINS])


@pytest.mark.parametrize(("case", "reason"), [(case, row[2]) for case, row in enumerate(BAD_ROWS)])
def test_bad_row_is_set_aside_with_its_reason(outcome: Outcome, case: int, reason: str) -> None:
    reasons = outcome.quarantined[REASONS].to_list()[BAD_PLACES.index(row_of(case))]
    assert any(text.startswith(reason) for text in reasons), reasons
    assert len(reasons) == (2 if reason in BREAK_TWO else 1), reasons


def test_rows_of_one_key_are_all_set_aside(outcome: Outcome) -> None:
    for place in TWINS:
        assert outcome.quarantined[REASONS].to_list()[BAD_PLACES.index(place)] == [
            f"{', '.join(dataset.key)}: unique together"
        ]


def test_quarantine_holds_the_rows_as_they_were_delivered(
    outcome: Outcome, raw: pl.DataFrame
) -> None:
    assert_frame_equal(outcome.quarantined.drop(REASONS, QUARANTINE_ROW), raw[BAD_PLACES])
    assert outcome.quarantined.columns == [*raw.columns, REASONS, QUARANTINE_ROW]


def test_valid_rows_are_the_others_in_declared_types(outcome: Outcome) -> None:
    others = [place for place in range(month(JANUARY).height) if place not in BAD_PLACES]
    assert_frame_equal(outcome.valid, month(JANUARY)[others])


def test_rows_add_up(outcome: Outcome, raw: pl.DataFrame) -> None:
    report = outcome.report
    assert report.rows == raw.height == report.valid + report.quarantined
    assert (report.valid, report.quarantined) == (outcome.valid.height, outcome.quarantined.height)
    assert report.quarantined == len(BAD_PLACES)
    assert report.faults == ()


def test_report_counts_and_shows_what_broke(outcome: Outcome) -> None:
    checks = {check.says: check for check in outcome.report.checks}
    assert len(checks) == len(outcome.report.checks)
    origin = checks["origin: one of EWR, JFK, LGA"]
    assert (origin.scope, origin.passed, origin.broken, origin.examples) == (
        "rows",
        False,
        1,
        ("LHR",),
    )
    reasons = outcome.quarantined[REASONS].explode().value_counts()
    assert dict(reasons.rows()) == {
        check.says: check.broken
        for check in checks.values()
        if check.scope == "rows" and check.broken
    }
    assert {check.scope for check in checks.values() if "rows" in check.says} == {"batch"}


@pytest.mark.slow
def test_whole_real_month_passes() -> None:
    frame = flights.read("2013-02")
    outcome = check_batch(frame, "2013-02", Validate(max_bad_rows=0))
    assert outcome.report.faults == ()
    assert outcome.quarantined.is_empty()
    assert_frame_equal(outcome.valid, frame)
    assert all(check.passed for check in outcome.report.checks)


def test_month_delivered_as_text_is_the_same_month() -> None:
    text = month(JANUARY).select(pl.all().cast(pl.String))
    outcome = check_batch(text, JANUARY, Validate())
    assert_frame_equal(outcome.valid, month(JANUARY))


# --- the batch as a whole


def test_what_does_not_fit_is_not_called_missing(great_expectations: None) -> None:
    import great_expectations.expectations as gxe

    expected = [
        gxe.ExpectColumnValuesToNotBeNull(column="distance"),
        gxe.ExpectColumnValuesToNotBeNull(column="distance", mostly=0.5),
    ]
    frame = nulls(month(JANUARY).with_columns(distance=pl.lit("\\N")), "distance", 3)
    (fault, *worst) = check_batch(frame, JANUARY, Validate(), expected=expected).report.faults
    assert fault.startswith("1,501 of 1,501 rows")
    assert worst == [
        "distance: is a whole number: broken by 1,498 rows, such as '\\\\N'",
        "distance: not missing: broken by 3 rows",
        "if such a text means that there is no value, add it to source.nulls in params.yaml",
    ]


def test_whole_numbers_written_as_others_are_whole_numbers(great_expectations: None) -> None:
    """So pandas writes a column of them that lacks one value."""
    rows = month(JANUARY)
    written = rows.with_columns(pl.col("distance").cast(pl.Float64).cast(pl.String))
    assert written["distance"].str.ends_with(".0").all()
    found = check_batch(written, JANUARY, Validate())
    assert found.report.quarantined == 0
    assert_frame_equal(found.valid, rows)


BAD_BATCHES: dict[
    str, tuple[Callable[[pl.DataFrame], pl.DataFrame], dict[str, Any], tuple[str, ...]]
] = {
    "a column less": (
        lambda frame: frame.drop("temp"),
        {},
        ("missing column(s) 'temp'", "it has scheduled_departure"),
    ),
    "columns renamed": (
        lambda frame: frame.rename({"dest": "Dest", "origin": "ORIGIN"}),
        {},
        ("missing column(s) 'origin', 'dest'", "Dest", "ORIGIN"),
    ),
    "numbers are words": (
        lambda frame: frame.with_columns(distance=pl.lit("far")),
        {},
        (
            "1,501 of 1,501 rows (100.0%)",
            "validate.max_bad_rows (2.0%)",
            "distance: is a whole number",
            "'far'",
        ),
    ),
    "every time missing": (
        lambda frame: nulls(frame, TIME, 9999),
        {},
        (f"{TIME}: is there", "1,501 of 1,501"),
    ),
    "every row twice": (
        lambda frame: pl.concat([frame, frame]),
        {},
        ("3,002 of 3,002", "unique together"),
    ),
    "too few rows": (
        lambda frame: frame.gather_every(2),
        {},
        ("batch: 1,000 to 100,000 rows", "found 751"),
    ),
    "first days only": (
        lambda frame: frame.head(1100),
        {},
        (f"{TIME}: largest is 2013-01-31 to 2013-02-01",),
    ),
    "last days only": (
        lambda frame: frame.tail(1100),
        {},
        (f"{TIME}: smallest is 2013-01-01 to 2013-01-02",),
    ),
    "too old": (
        lambda frame: frame,
        {"max_age_days": 30},
        (f"newest {TIME}: at most 30 days old", "2013-01-31"),
    ),
    "too many unlabelled": (
        lambda frame: nulls(frame, "arr_delay", 400),
        {},
        ("arr_delay: not missing in at least 85% of rows", "% of rows in 1,501 rows"),
    ),
    "no bad row allowed": (
        lambda frame: with_value(frame, "origin", 7, "LHR"),
        {"max_bad_rows": 0},
        ("1 of 1,501 rows (0.1%)", "max_bad_rows (0.0%)", "origin: one of EWR, JFK, LGA", "'LHR'"),
    ),
    "almost all rows": (
        lambda frame: with_value(frame.with_columns(origin=pl.lit("LHR")), "origin", 7, "JFK"),
        {},
        ("1,500 of 1,501 rows (99.9%)",),
    ),
}


@pytest.mark.parametrize(("change", "options", "parts"), BAD_BATCHES.values(), ids=BAD_BATCHES)
def test_bad_batch_says_what_is_wrong(
    change: Callable[[pl.DataFrame], pl.DataFrame], options: dict[str, Any], parts: tuple[str, ...]
) -> None:
    outcome = check_batch(change(month(JANUARY)), JANUARY, Validate(**options))
    said = str(BadBatchError(outcome.report))
    wanted = (*parts, "'2013-01'", "evergreen ingest 2013-01 --replace")
    assert [part for part in wanted if part not in said] == [], said
    assert outcome.valid.is_empty()
    assert outcome.quarantined.is_empty()
    assert (outcome.report.valid, outcome.report.quarantined) == (0, 0)


@pytest.mark.parametrize(("bad", "passes"), [(20, True), (21, False)])
def test_share_of_bad_rows_decides(bad: int, passes: bool) -> None:
    frame = pl.concat([month(JANUARY).head(500), month(JANUARY).tail(500)])
    origins = ["LHR"] * bad + frame["origin"].to_list()[bad:]
    outcome = check_batch(
        frame.with_columns(pl.Series("origin", origins)), JANUARY, Validate(max_bad_rows=0.02)
    )
    report, broken = outcome.report, outcome.broken
    assert (broken is None) if passes else (broken is not None and broken.height == bad)
    assert (report.faults == ()) is passes
    assert report.quarantined == (bad if passes else 0)


def test_rule_with_mostly_quarantines_no_row() -> None:
    frame = nulls(month(JANUARY), "tailnum", 60)
    outcome = check_batch(frame, JANUARY, Validate(max_bad_rows=0))
    assert outcome.report.faults == ()
    assert outcome.valid.height == frame.height
    (check,) = [rule for rule in outcome.report.checks if rule.says.startswith("tailnum")]
    assert (check.scope, check.passed) == ("batch", True)
    assert check.broken >= 60


def test_fresh_batch_passes_max_age() -> None:
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    frame = month(JANUARY).with_columns(
        pl.col(TIME) + (now - timedelta(days=2) - month(JANUARY)[TIME].max())
    )
    assert check_batch(frame, "newest", Validate(max_age_days=3)).report.faults == ()
    (fault,) = check_batch(frame, "newest", Validate(max_age_days=1.5)).report.faults
    assert fault.startswith(f"newest {TIME}: at most 1.5 days old")


# --- rows without labels (the rest: test_unlabelled.py)


@pytest.mark.parametrize(("labelled", "passes"), [(True, False), (False, True)])
def test_only_labelled_rows_need_what_is_known_later(labelled: bool, passes: bool) -> None:
    frame = month(JANUARY).drop(dataset.known_later).head(50)
    outcome = check_batch(frame, JANUARY, Validate(), labelled=labelled)
    assert (outcome.report.faults == ()) is passes
    if passes:
        assert outcome.valid.schema == dataset.columns
        assert_frame_equal(outcome.valid.select(frame.columns), frame)
    else:
        assert "missing column(s) 'dep_time', 'dep_delay', 'arr_time'" in outcome.report.faults[0]


@pytest.mark.parametrize(
    "column",
    [pl.Series("temp", [[1.0]] * 1501), pl.Series("temp", ["7"] * 1501, dtype=pl.Categorical)],
    ids=["list", "categorical"],
)
def test_columns_of_odd_types_end_in_no_other_error(column: pl.Series) -> None:
    frame = month(JANUARY).with_columns(column)
    outcome = check_batch(frame, JANUARY, Validate())
    assert outcome.report.faults == () or "temp" in str(BadBatchError(outcome.report))


@pytest.mark.usefixtures("great_expectations")
def test_a_row_of_a_time_to_come_is_put_aside_unless_it_may_be() -> None:
    """One of them would make every later batch look old."""
    first, rows = pl.int_range(pl.len()) == 0, month(JANUARY)
    late = datetime.fromisoformat("2062-01-01")
    ahead = rows.with_columns(pl.when(first).then(pl.lit(late)).otherwise(TIME).alias(TIME))
    found = check_batch(ahead, "batch", Validate())
    assert (
        found.quarantined[REASONS].to_list()[0][0] == f"{TIME}: at most 1 day(s) ahead of the clock"
    )
    assert found.quarantined.height == check_batch(rows, "batch", Validate()).quarantined.height + 1
    said = [
        check.says
        for check in check_batch(ahead, "batch", Validate(max_future_days=None)).report.checks
    ]
    assert not any("ahead of the clock" in text for text in said)


@pytest.mark.usefixtures("great_expectations")
def test_a_row_without_its_only_key_is_put_aside() -> None:
    keyed = replace(dataset, key=("flight",))
    rows = month(JANUARY).with_columns(flight=pl.int_range(pl.len(), dtype=pl.Int32))
    lost = rows.with_columns(flight=pl.when(pl.col("flight") > 1).then("flight"))
    found = check_batch(lost, "batch", Validate(), dataset=keyed)
    assert sum("flight: is there" in why for why in found.quarantined[REASONS].to_list()) == 2
