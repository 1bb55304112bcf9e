"""Validate: good rows pass, bad rows are set aside with their reasons, and a bad batch changes nothing."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import polars as pl
import pytest
from conftest import month, settings_of
from polars.testing import assert_frame_equal

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.ingest.batches import ingest
from evergreen.ingest.manifest import Manifest
from evergreen.params import Validate
from evergreen.validation import validate as step
from evergreen.validation.validate import (
    QUARANTINE_ROW,
    REASONS,
    BadBatchError,
    BatchReport,
    Contract,
    Outcome,
    read_raw,
    read_reports,
    validate,
)
from late_flights import flights
from late_flights.dataset import dataset

pytestmark = [pytest.mark.usefixtures("great_expectations"), pytest.mark.slow]  # the real engine

JANUARY = "2013-01"
TIME = dataset.time


def with_value(frame: pl.DataFrame, column: str, row: int, value: object) -> pl.DataFrame:
    """Return `frame` with one value replaced; text in a column of numbers makes it a column of text."""
    values = frame[column].to_list()
    if isinstance(value, str) and frame.schema[column] != pl.String():
        values = frame[column].cast(pl.String).to_list()
    values[row] = value
    return frame.with_columns(pl.Series(column, values))


def check_batch(
    frame: pl.DataFrame,
    batch: str,
    params: Validate,
    *,
    labelled: bool = True,
    dataset: Dataset = dataset,
    expected: list[Any] | None = None,
) -> Outcome:
    """Check a batch of flights; `expected`: in place of what expectations.py expects."""
    contract = Contract(
        dataset, importlib.import_module("late_flights.expectations").expectations, params
    )
    contract = contract if expected is None else replace(contract, expectations=lambda _: expected)
    return contract.check(frame, batch, labelled=labelled)


# --- rows
# --------------------------------------------------------------------------------------------------

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


@pytest.mark.parametrize(("case", "reason"), [(case, one[2]) for case, one in enumerate(BAD_ROWS)])
def test_bad_row_is_set_aside_with_its_reason(outcome: Outcome, case: int, reason: str) -> None:
    reasons = outcome.quarantined[REASONS].to_list()[BAD_PLACES.index(row_of(case))]
    assert any(one.startswith(reason) for one in reasons), reasons
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


def test_report_survives_json(outcome: Outcome) -> None:
    from dataclasses import asdict

    assert BatchReport.from_json(json.loads(json.dumps(asdict(outcome.report)))) == outcome.report


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
# ---------------------------------------------------------------------------------------------


def nulls(frame: pl.DataFrame, column: str, rows: int) -> pl.DataFrame:
    return frame.with_columns(
        pl.when(pl.int_range(pl.len()) >= rows).then(pl.col(column)).alias(column)
    )


def test_what_does_not_fit_is_not_called_missing(great_expectations: None) -> None:
    import great_expectations.expectations as gxe

    expected = [gxe.ExpectColumnValuesToNotBeNull(column="distance"),
           gxe.ExpectColumnValuesToNotBeNull(column="distance", mostly=0.5)]  # fmt: skip
    frame = nulls(month(JANUARY).with_columns(distance=pl.lit("\\N")), "distance", 3)
    (fault, *worst) = check_batch(frame, JANUARY, Validate(), expected=expected).report.faults
    assert fault.startswith("1,501 of 1,501 rows")
    assert worst == [
        "distance: is a whole number: broken by 1,498 rows, such as '\\\\N'",
        "distance: not missing: broken by 3 rows",
        "a text that says that there is no value is named in params.yaml (source.nulls)",
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
    report = check_batch(
        frame.with_columns(pl.Series("origin", origins)), JANUARY, Validate(max_bad_rows=0.02)
    ).report
    assert (report.faults == ()) is passes
    assert report.quarantined == (bad if passes else 0)


def test_rule_with_mostly_quarantines_no_row() -> None:
    frame = nulls(month(JANUARY), "tailnum", 60)
    outcome = check_batch(frame, JANUARY, Validate(max_bad_rows=0))
    assert outcome.report.faults == ()
    assert outcome.valid.height == frame.height
    (check,) = [one for one in outcome.report.checks if one.says.startswith("tailnum")]
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
# ---------------------------------------------------------------


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


# --- what expectations.py may hold
# ------------------------------------------------------------------------------------


def rule(kind: str, **options: Any) -> Any:
    import great_expectations.expectations as gxe

    return getattr(gxe, f"Expect{kind}")(**options)


BROKEN: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "unknown column": ("ColumnValuesToNotBeNull", {"column": "nope"}, ("nope",)),
    "unknown column of the batch": (
        "ColumnMeanToBeBetween",
        {"column": "nope", "min_value": 1},
        ("nope",),
    ),
    "unknown column of a pair": (
        "ColumnPairValuesAToBeGreaterThanB",
        {"column_A": "distance", "column_B": "nope"},
        ("nope",),
    ),
    "no regular expression": (
        "ColumnValuesToMatchRegex",
        {"column": "carrier", "regex": "("},
        ("carrier", "("),
    ),
    "number for text": (
        "ColumnValuesToBeBetween",
        {"column": "carrier", "min_value": 1},
        ("carrier",),
    ),
}


@pytest.mark.parametrize(("kind", "options", "parts"), BROKEN.values(), ids=BROKEN)
def test_broken_expectation_is_named(
    kind: str, options: dict[str, Any], parts: tuple[str, ...]
) -> None:
    expected = [rule(kind, **options)]
    with pytest.raises(InputError) as caught:
        check_batch(month(JANUARY), JANUARY, Validate(), expected=expected)
    said = str(caught.value)
    assert not isinstance(caught.value, BadBatchError)
    assert [
        part for part in ("expectations.py", "cannot be evaluated", *parts) if part not in said
    ] == [], said


ROW_RULES: dict[str, tuple[str, dict[str, Any], pl.Expr]] = {
    "lengths": (
        "ColumnValueLengthsToBeBetween",
        {"column": "tailnum", "min_value": 6},
        pl.col("tailnum").str.len_chars() < 6,
    ),
    "not in a set": ("ColumnValuesToNotBeInSet", {"column": "origin", "value_set": ["JFK"]}, pl.col("origin") == "JFK"),
    "not a pattern": (
        "ColumnValuesToNotMatchRegex",
        {"column": "dest", "regex": "^A"},
        pl.col("dest").str.starts_with("A"),
    ),
    "null": ("ColumnValuesToBeNull", {"column": "wind_gust"}, pl.col("wind_gust").is_not_null()),
    "unique": ("ColumnValuesToBeUnique", {"column": "flight"}, pl.col("flight").is_duplicated()),
    "two columns": (
        "ColumnPairValuesAToBeGreaterThanB",
        {"column_A": "temp", "column_B": "dewp", "or_equal": True, "ignore_row_if": "either_value_is_missing"},
        pl.col("temp") < pl.col("dewp"),
    ),
    "an open end": ("ColumnValuesToBeBetween", {"column": "distance", "min_value": 500}, pl.col("distance") < 500),
    "an end left out": (
        "ColumnValuesToBeBetween",
        {"column": "distance", "min_value": 502, "strict_min": True},
        pl.col("distance") <= 502,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "options", "breaks"), ROW_RULES.values(), ids=ROW_RULES)
def test_any_rule_about_rows_finds_its_rows(
    kind: str, options: dict[str, Any], breaks: pl.Expr
) -> None:
    expected = [rule(kind, **options)]
    outcome = check_batch(month(JANUARY), JANUARY, Validate(max_bad_rows=1), expected=expected)
    expected = month(JANUARY).filter(breaks.fill_null(value=False))
    if not expected.is_empty():
        assert_frame_equal(outcome.quarantined.drop(REASONS, QUARANTINE_ROW), expected)
    assert_frame_equal(outcome.valid, month(JANUARY).filter(~breaks.fill_null(value=False)))


def test_rule_on_a_condition_finds_its_rows() -> None:
    from great_expectations.expectations.row_conditions import Column

    condition = Column("origin") == "JFK"
    expected = [
        rule("ColumnValuesToBeBetween", column="distance", min_value=500, row_condition=condition)
    ]
    breaks = (pl.col("origin") == "JFK") & (pl.col("distance") < 500)
    outcome = check_batch(month(JANUARY), JANUARY, Validate(max_bad_rows=1), expected=expected)
    assert_frame_equal(outcome.valid, month(JANUARY).filter(~breaks))
    assert_frame_equal(
        outcome.quarantined.drop(REASONS, QUARANTINE_ROW), month(JANUARY).filter(breaks)
    )


def test_two_rules_of_one_description_both_count() -> None:
    """Rows that break only the first must not pass as valid."""
    expected = [
        rule(
            "ColumnValuesToNotBeInSet",
            column="origin",
            value_set=["JFK"],
            description="known place",
        ),
        rule(
            "ColumnValuesToNotBeInSet", column="dest", value_set=["ATL"], description="known place"
        ),
    ]
    valid = check_batch(month(JANUARY), JANUARY, Validate(max_bad_rows=1), expected=expected).valid
    assert valid.filter((pl.col("origin") == "JFK") | (pl.col("dest") == "ATL")).is_empty()


@pytest.mark.parametrize(
    ("kind", "options", "passes"),
    [
        ("ColumnValuesToBeOfType", {"column": "carrier", "type_": "int"}, False),
        ("ColumnMeanToBeBetween", {"column": "distance", "min_value": 1, "max_value": 9000}, True),
        ("ColumnMeanToBeBetween", {"column": "distance", "min_value": 9000}, False),
        (
            "ColumnDistinctValuesToBeInSet",
            {"column": "origin", "value_set": ["EWR", "JFK", "LGA"]},
            True,
        ),
        ("ColumnDistinctValuesToBeInSet", {"column": "origin", "value_set": ["JFK"]}, False),
        ("TableColumnCountToEqual", {"value": len(dataset.columns)}, True),
        ("TableColumnCountToEqual", {"value": len(dataset.columns) + 1}, False),
        ("TableColumnsToMatchOrderedList", {"column_list": list(dataset.columns)}, True),
        ("TableColumnsToMatchSet", {"column_set": ["carrier"], "exact_match": True}, False),
        ("TableRowCountToEqual", {"value": 1501}, True),
    ],
)
def test_any_rule_about_the_batch_is_judged(
    kind: str, options: dict[str, Any], passes: bool
) -> None:
    expected = [rule(kind, **options)]
    report = check_batch(month(JANUARY), JANUARY, Validate(), expected=expected).report
    assert (report.faults == ()) is passes


# --- a project
# --------------------------------------------------------------------------------------------------


def outputs(site: Any) -> tuple[Any, ...]:
    return site.project.validated, site.project.quarantine, site.project.validation


def test_validated_project(built: Any) -> None:
    done = Manifest(built.project.validated)
    assert list(done.in_order()) == ["2013-01", "2013-02"]
    assert done.altered() == []
    for name, entry in done.entries.items():
        valid = pl.read_parquet(done.file(name))
        assert_frame_equal(valid, month(name))
        assert entry["rows"] == valid.height
        assert (entry["start"], entry["end"]) == (str(valid[TIME].min()), str(valid[TIME].max()))
        assert sorted(entry["files"]) == [f"validated/{name}.parquet", f"validation/{name}.json"]
    assert [report.batch for report in read_reports(built.project)] == ["2013-01", "2013-02"]
    assert list(built.project.quarantine.iterdir()) == []


def test_again_checks_nothing(built: Any, snapshot: Callable[..., Any]) -> None:
    before = snapshot(*outputs(built))
    for check in (False, True):
        again = validate(built.project, built.contract(built.params()), check=check)
        assert again.new == ()
        assert again.batches == 2
        assert [report.batch for report in again.reports] == ["2013-01", "2013-02"]
    assert snapshot(*outputs(built)) == before


def test_only_a_new_batch_is_checked_and_its_bad_rows_kept(
    built: Any, snapshot: Callable[..., Any]
) -> None:
    frame = with_value(with_value(month("2013-03"), "temp", 3, "warm"), "origin", 5, "LHR")
    built.deliver({"2013-03": frame})
    ingest(built.project, built.dataset, built.params())
    before = snapshot(*outputs(built))
    assert validate(built.project, built.contract(built.params())).new == ("2013-03",)
    after = snapshot(*outputs(built))
    assert {path: after[path] for path in before if "manifest" not in path} == {
        path: content for path, content in before.items() if "manifest" not in path
    }
    kept = pl.read_parquet(built.project.quarantine / "2013-03.parquet")
    assert_frame_equal(kept.drop(REASONS, QUARANTINE_ROW), frame[[3, 5]])
    assert kept[REASONS].to_list() == [["temp: is a number"], ["origin: one of EWR, JFK, LGA"]]
    assert pl.read_parquet(built.project.validated / "2013-03.parquet").height == frame.height - 2
    assert (
        "quarantine/2013-03.parquet"
        in Manifest(built.project.validated).entries["2013-03"]["files"]
    )


def test_bad_batch_changes_nothing_even_after_a_good_one(
    built: Any, snapshot: Callable[..., Any]
) -> None:
    built.deliver({"2013-03": month("2013-03"), "2013-04": month("2013-04").drop("temp")})
    ingest(built.project, built.dataset, built.params())
    before = snapshot(*outputs(built))
    with pytest.raises(
        BadBatchError, match=r"'2013-04' is bad.*\n.*missing column\(s\) 'temp'"
    ) as caught:
        validate(built.project, built.contract(built.params()))
    assert caught.value.report.batch == "2013-04"
    assert snapshot(*outputs(built)) == before
    built.deliver({"2013-04": month("2013-04")})
    ingest(built.project, built.dataset, built.params(), ["2013-04"], replace=True)
    assert validate(built.project, built.contract(built.params())).new == ("2013-03", "2013-04")


def test_bad_first_batch_leaves_no_folder(site: Any, snapshot: Callable[..., Any]) -> None:
    site.deliver({JANUARY: month(JANUARY).head(10)})
    ingest(site.project, site.dataset, site.params())
    with pytest.raises(BadBatchError, match="found 10"):
        validate(site.project, site.contract(site.params()))
    assert snapshot(*outputs(site)) == {}


def test_nothing_to_validate(site: Any) -> None:
    assert validate(site.project, site.contract(site.params())).new == ()


def test_changed_parameter_checks_all_batches_again(built: Any) -> None:
    strict = built.params(validate={"max_bad_rows": 0.001})
    assert validate(built.project, built.contract(strict)).new == ("2013-01", "2013-02")
    assert validate(built.project, built.contract(strict)).new == ()


def test_changed_expectations_check_all_batches_again(built: Any) -> None:
    """What counts is the code of the project's own modules, and of those that they import."""
    package = built.project.root / "stricter"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "dataset.py").write_text("from late_flights.dataset import dataset as dataset\n")
    (package / "expectations.py").write_text("from stricter.most import MOST\n")
    (package / "most.py").write_text("MOST = 1\n")
    assert step.stale(built.project, built.params()) == []
    with mock.patch.object(sys, "path", [str(built.project.root), *sys.path]):
        other = settings_of(built.project.root, "stricter")
        assert step.stale(other, built.params()) == ["2013-01", "2013-02"]
        names = {path.name for path in other.code_of("dataset", "expectations")}
    assert names == {"__init__.py", "dataset.py", "expectations.py", "most.py"}


def test_stricter_parameter_that_fails_keeps_what_there_was(
    built: Any, snapshot: Callable[..., Any]
) -> None:
    before = snapshot(*outputs(built))
    with pytest.raises(BadBatchError, match="at most 5 days old"):
        validate(built.project, built.contract(built.params(validate={"max_age_days": 5})))
    assert snapshot(*outputs(built)) == before


@pytest.mark.parametrize(("folder", "how"), [("validated", "changed"), ("validation", "removed")])
def test_altered_file_is_made_anew_when_checked(
    built: Any, snapshot: Callable[..., Any], folder: str, how: str
) -> None:
    (path,) = (getattr(built.project, folder)).glob("2013-01.*")
    before = path.read_bytes()
    path.unlink() if how == "removed" else path.write_bytes(b"changed")
    assert validate(built.project, built.contract(built.params()), check=True).new == ("2013-01",)
    assert path.read_bytes() == before
    assert Manifest(built.project.validated).altered() == []


@pytest.mark.slow
def test_altered_quarantine_is_made_anew_and_goes_with_its_rows(built: Any) -> None:
    path = built.project.quarantine / "2013-02.parquet"
    for frame, kept in (
        (with_value(month("2013-02"), "origin", 5, "LHR"), 1),
        (month("2013-02"), 0),
    ):
        built.deliver({"2013-02": frame})
        ingest(built.project, built.dataset, built.params(), ["2013-02"], replace=True)
        assert validate(built.project, built.contract(built.params())).new == ("2013-02",)
        assert path.exists() == bool(kept)
        if kept:
            path.unlink()
            assert validate(built.project, built.contract(built.params()), check=True).new == (
                "2013-02",
            )
            assert path.exists()


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 100])
def test_damaged_raw_file_says_how_to_restore_it(tmp_path: Any, content: bytes) -> None:
    path = tmp_path / "2013-01.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match="dvc checkout --force") as caught:
        read_raw(path)
    assert str(path) in str(caught.value)


def test_missing_raw_file_says_how_to_restore_it(built: Any) -> None:
    (built.project.raw / "2013-01.parquet").unlink()
    with pytest.raises(InputError, match="dvc checkout --force") as caught:
        validate(built.project, built.contract(built.params(validate={"max_bad_rows": 0.5})))
    assert "2013-01.parquet" in str(caught.value)


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
        one.says
        for one in check_batch(ahead, "batch", Validate(max_future_days=None)).report.checks
    ]
    assert not any("ahead of the clock" in one for one in said)


@pytest.mark.usefixtures("great_expectations")
def test_a_row_without_its_only_key_is_put_aside() -> None:
    keyed = replace(dataset, key=("flight",))
    rows = month(JANUARY).with_columns(flight=pl.int_range(pl.len(), dtype=pl.Int32))
    lost = rows.with_columns(flight=pl.when(pl.col("flight") > 1).then("flight"))
    found = check_batch(lost, "batch", Validate(), dataset=keyed)
    assert sum("flight: is there" in why for why in found.quarantined[REASONS].to_list()) == 2
