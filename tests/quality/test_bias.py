"""Bias: every planted bias comes out at its size, absent ones do not, and a bound stops what is beyond it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import month
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.errors import InputError
from evergreen.features.keys import KEY
from evergreen.features.prepare import prepare
from evergreen.features.split import GROUP, LABEL, SLICE, TIME
from evergreen.finding import Finding
from evergreen.params import Bias
from evergreen.quality.bias import (
    BINS,
    FEWEST_ROWS,
    BiasReport,
    Evidence,
    check_bias,
    find_bias,
    list_faults,
)
from evergreen.quality.held_batches import find_held
from evergreen.quality.label_noise import Predicted
from evergreen.statistics.profile import Profile, profile
from late_flights.dataset import dataset

ROWS = 2000


def rows(count: int = ROWS, seed: int = 0, late: float = 0.3, warm: float = 20.0) -> pl.DataFrame:
    """Made-up rows as in a features file, with a number, a category and a slice that are not biased."""
    draw = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            KEY + "id": [f"{seed}-{place}" for place in range(count)],
            TIME: range(count),
            LABEL: np.where(draw.random(count) < late, "late", "on time").tolist(),
            SLICE + "team": draw.choice(["a", "b", "c"], count).tolist(),
            "warm": draw.normal(warm, 5.0, count).tolist(),
            "place": draw.choice(["x", "y"], count, p=[0.7, 0.3]).tolist(),
        },
        schema_overrides={"warm": pl.Float32()},
    )


def profiled(frame: pl.DataFrame, **left_out: pl.DataFrame) -> Profile:
    """The profile of such rows, and of those left out."""
    groups = [name for name in frame.columns if name.startswith((SLICE, GROUP))]
    values = [
        *groups,
        *(name for name in frame.columns if not name.startswith((KEY, TIME, LABEL, SLICE, GROUP))),
    ]
    return profile(
        frame.select(values),
        frame[LABEL],
        {why: one.select(values) for why, one in left_out.items()},
        groups,
    )


def evidence(train: pl.DataFrame | None = None, task: str = "binary", **parts: Any) -> Evidence:
    """Evidence without any bias, some of its parts replaced."""
    train = rows() if train is None else train
    found = {
        "window": profiled(train),
        "history": profiled(rows(seed=1)),
        "latest": profiled(rows(seed=2)),
    } | parts
    return Evidence(task, ("2013-01", "2013-02"), "2013-04", train, profiled(train), **found)


def only(report: BiasReport, topic: str, *words: str) -> Finding:
    """The one finding of a topic whose name holds all words."""
    (found,) = [
        one
        for one in report.findings
        if one.topic == topic and all(word in one.name for word in words)
    ]
    return found


def column(finding: Finding, title: str) -> list[Any]:
    return [row[list(finding.columns).index(title)] for row in finding.rows]


# --- rows left out
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "share"), [(0, 0.0), (500, 0.2), (2000, 0.5)])
def test_rows_left_out_are_counted(count: int, share: float) -> None:
    window = profiled(rows(), gone=rows(count, seed=3), lost=rows(0))
    found = only(find_bias(evidence(window=window)), "survivorship", "share of rows left out")
    assert (found.value, found.bound) == (share, "max_left_out")
    assert f"{count:,} of {2000 + count:,} valid rows" in found.says
    assert found.rows == (("gone", count, share), ("lost", 0, 0.0))


@pytest.mark.parametrize(("warm", "effect"), [(20.0, 0.0), (22.5, 0.5), (10.0, -2.0)])
def test_rows_left_out_that_differ_in_a_number(warm: float, effect: float) -> None:
    report = find_bias(evidence(window=profiled(rows(), gone=rows(800, seed=3, warm=warm))))
    found = only(report, "survivorship", "gone", "numbers")
    assert found.value == pytest.approx(effect, abs=0.1)
    assert (abs(found.value or 0) > 2 * found.rows[0][4]) == (effect != 0)  # type: ignore[operator]


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_rows_left_out_that_differ_in_a_category(share: float) -> None:
    gone = rows(800, seed=3).with_columns(
        place=pl.when(pl.int_range(pl.len()) < share * 800).then(pl.lit("y")).otherwise("place")
    )
    found = only(
        find_bias(evidence(window=profiled(rows(), gone=gone))),
        "survivorship",
        "gone",
        "categories",
    )
    assert column(found, "feature") == (
        ["place", "team (slice)"] if share else column(found, "feature")
    )
    assert dict(zip(column(found, "feature"), column(found, "difference"), strict=True))[
        "place"
    ] == pytest.approx(0.7 * share, abs=0.05)
    assert ("'y'" in found.says) or not share


def test_each_reason_is_compared_apart() -> None:
    window = profiled(
        rows(), gone=rows(300, seed=3, warm=25.0), lost=rows(300, seed=4, warm=15.0), none=rows(0)
    )
    report = find_bias(evidence(window=window))
    assert only(report, "survivorship", "gone", "numbers").value == pytest.approx(1, abs=0.15)
    assert only(report, "survivorship", "lost", "numbers").value == pytest.approx(-1, abs=0.15)
    assert not [one for one in report.findings if "none ·" in one.name]


def test_a_feature_that_rows_left_out_do_not_have_is_named() -> None:
    whole = profiled(rows(), gone=rows(300, seed=3))
    del whole.left_out["gone"].numbers["warm"]
    report = find_bias(evidence(window=whole))
    found = only(report, "survivorship", "share of rows left out")
    assert "Cannot be computed for some of them, so is not compared: warm." in found.says
    assert not [
        one for one in report.findings if one.topic == "survivorship" and "numbers" in one.name
    ]


@pytest.mark.parametrize("same", [True, False])
def test_a_slice_that_repeats_a_feature_is_compared_once(same: bool) -> None:
    def with_slice(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(
            pl.col("place" if same else SLICE + "team").alias(SLICE + "place")
        )

    window = profiled(with_slice(rows()), gone=with_slice(rows(300, seed=3)))
    found = only(find_bias(evidence(window=window)), "survivorship", "gone", "categories")
    assert sorted(column(found, "feature")) == [
        "place",
        *([] if same else ["place (slice)"]),
        "team (slice)",
    ]


# --- rows that train
# --------------------------------------------------------------------------------------------------

OTHERS = {"history": "all history", "latest": "newest batch"}


@pytest.mark.parametrize("part", OTHERS)
@pytest.mark.parametrize(("late", "gap"), [(0.3, 0.0), (0.5, 0.2)])
def test_label_rate_beside_others(part: str, late: float, gap: float) -> None:
    report = find_bias(evidence(**{part: profiled(rows(seed=5, late=late))}))
    found = only(report, "sampling", OTHERS[part], "label")
    assert found.value == pytest.approx(gap, abs=0.04)
    assert len(found.rows) == 1


@pytest.mark.parametrize("part", OTHERS)
@pytest.mark.parametrize(("warm", "effect"), [(20.0, 0.0), (15.0, 1.0)])
def test_numbers_beside_others(part: str, warm: float, effect: float) -> None:
    report = find_bias(evidence(**{part: profiled(rows(seed=5, warm=warm))}))
    assert only(report, "sampling", OTHERS[part], "numbers").value == pytest.approx(effect, abs=0.1)
    other = next(name for name in OTHERS if name != part)
    assert only(report, "sampling", OTHERS[other], "numbers").value == pytest.approx(0, abs=0.1)


def test_history_holds_the_rows_that_train_so_chance_has_less_to_do() -> None:
    whole = pl.concat([rows(), rows(seed=1)])
    report = find_bias(evidence(history=profiled(whole), latest=profiled(whole)))
    inside, outside = (
        column(only(report, "sampling", name, "numbers"), "by chance")[0]
        for name in OTHERS.values()
    )
    assert inside == pytest.approx((2 / np.pi * (1 / ROWS - 1 / whole.height)) ** 0.5)
    assert outside == pytest.approx((2 / np.pi * (1 / ROWS + 1 / whole.height)) ** 0.5)


def test_without_history_only_the_newest_batch_is_compared() -> None:
    report = find_bias(evidence(history=None))
    assert {one.name.split(" · ")[0] for one in report.findings if one.topic == "sampling"} == {
        "training beside the newest batch, 2013-04"
    }


def test_labels_that_are_numbers_are_compared_by_their_mean() -> None:
    train, newest = (
        rows(seed=seed).with_columns(
            pl.Series(LABEL, np.random.default_rng(seed).normal(mean, 2, ROWS))
        )
        for seed, mean in ((1, 10.0), (2, 11.0))
    )
    found = only(
        find_bias(evidence(train, "regression", latest=profiled(newest), history=None)),
        "sampling",
        "label",
    )
    assert found.value == pytest.approx(-0.5, abs=0.1)
    assert "The label differs: its mean is " in found.says


# --- balance
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", [0.5, 0.05])
def test_the_rarest_class_is_named(late: float) -> None:
    found = only(find_bias(evidence(rows(late=late))), "balance")
    assert found.value == pytest.approx(min(late, 1 - late), abs=0.03)
    assert (late == 0.5) or found.says.startswith("'late' is the rarest of 2 classes")
    assert sum(column(found, "rows")) == ROWS
    assert sum(column(found, "share")) == pytest.approx(1)


@pytest.mark.parametrize(
    ("labels", "skew", "words"),
    [
        (np.random.default_rng(0).normal(size=ROWS), 0.0, "neither side"),
        (np.random.default_rng(0).exponential(size=ROWS), 2.0, "the side of large values"),
        (-np.random.default_rng(0).exponential(size=ROWS), -2.0, "the side of small values"),
        (np.full(ROWS, 3.5), None, "All labels are 3.5."),
    ],
    ids=["symmetric", "right", "left", "constant"],
)
def test_spread_of_a_number(labels: Any, skew: float | None, words: str) -> None:
    train = rows().with_columns(pl.Series(LABEL, labels))
    parts = {"latest": profiled(train), "history": None}
    found = only(find_bias(evidence(train, "regression", **parts)), "balance")
    assert found.value == (None if skew is None else pytest.approx(skew, abs=0.4))
    assert words in found.says
    assert column(found, "label") == sorted(column(found, "label"))


# --- missing values
# --------------------------------------------------------------------------------------------------


def lacking(share: float, everywhere: float = 0.0) -> pl.DataFrame:
    """Rows of which a share lacks the number in team `b`, and another share in every team."""
    draw = np.random.default_rng(9).random(ROWS)
    gone = (draw < everywhere) | (
        (pl.Series(rows()[SLICE + "team"] == "b")).to_numpy() & (draw < share)
    )
    return rows().with_columns(warm=pl.when(~pl.Series(gone)).then("warm"))


@pytest.mark.parametrize(
    ("share", "everywhere", "spread"),
    [(0.4, 0.0, 0.4), (0.4, 0.2, 0.2), (0.0, 0.3, 0.0), (0.0, 0.0, 0.0)],
)
def test_missing_values_by_group(share: float, everywhere: float, spread: float) -> None:
    found = only(find_bias(evidence(window=profiled(lacking(share, everywhere)))), "missing")
    assert found.value == pytest.approx(spread, abs=0.06)
    assert found.bound == "max_missing_difference"
    if spread:
        assert found.says.startswith("warm differs most by team: it is missing in ")
        assert "of the rows of 'b'" in found.says
        assert (found.value or 0) > 3 * column(found, "by chance")[0]
    elif everywhere:
        assert (found.value or 0) < 2.5 * column(found, "by chance")[0]
    else:
        assert found.says == "No feature lacks a value in any of 3 levels of team."


@pytest.mark.parametrize(("count", "named"), [(FEWEST_ROWS, True), (FEWEST_ROWS - 1, False)])
def test_levels_need_enough_rows_to_be_compared(count: int, named: bool) -> None:
    rare = pl.int_range(pl.len()) < count
    frame = rows().with_columns(
        pl.when(rare).then(pl.lit("rare")).otherwise(SLICE + "team").alias(SLICE + "team"),
        warm=pl.when(~rare).then("warm"),
    )
    found = only(find_bias(evidence(window=profiled(frame))), "missing")
    assert found.value == (1.0 if named else 0.0)
    assert ("'rare'" in found.says) is named


def test_a_group_with_one_level_is_not_judged_and_stops_nothing() -> None:
    frame = rows().with_columns(pl.lit("a").alias(SLICE + "team"))
    report = find_bias(evidence(window=profiled(frame)))
    assert only(report, "missing").value is None
    check_bias(report, Bias(max_missing_difference=0.0))


def test_without_groups_a_bound_cannot_be_judged() -> None:
    report = find_bias(evidence(window=profiled(rows().drop(SLICE + "team"))))
    assert only(report, "missing").value is None
    check_bias(report, Bias())
    with pytest.raises(InputError, match=r"cannot be judged.*slices, groups"):
        check_bias(report, Bias(max_missing_difference=0.5))


def test_the_same_seed_gives_the_same_report() -> None:
    some = evidence(window=profiled(lacking(0.2, 0.1)))
    assert find_bias(some, seed=1) == find_bias(some, seed=1)
    assert only(find_bias(some, seed=1), "missing") != only(find_bias(some, seed=2), "missing")


# --- duplicates
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "key", "changes", "exact", "near"),
    [
        (0, "again", {}, 0, 0),
        (100, "again", {}, 200, 200),
        (100, "", {}, 0, 0),
        (100, "again", {LABEL: pl.lit("another")}, 0, 0),
        (100, "again", {"place": pl.lit("z")}, 0, 0),
        (100, "again", {TIME: pl.lit(-1, dtype=pl.Int64), SLICE + "team": pl.lit("z")}, 200, 200),
        (100, "again", {"warm": pl.lit(None, dtype=pl.Float32)}, 0, 0),
        (2, "again", {"warm": pl.col("warm") * 1.0001}, 0, 4),
    ],
    ids=[
        "none",
        "some",
        "same key",
        "other label",
        "other category",
        "other time",
        "missing",
        "nearly",
    ],
)
def test_duplicates(
    count: int, key: str, changes: dict[str, pl.Expr], exact: int, near: int
) -> None:
    """Rows of which the first `count` come again under another key, changed."""
    more = {
        f"n{place}": pl.Series(np.random.default_rng(place).normal(size=ROWS)) for place in range(4)
    }
    # So many numbers that chance alone makes no row nearly equal
    wide = rows().with_columns(**more)
    again = wide.head(count).with_columns(
        (pl.lit(key) + pl.col(KEY + "id")).alias(KEY + "id"), **changes
    )
    report = find_bias(evidence(pl.concat([wide, again]), window=profiled(rows())))
    assert only(report, "duplicates", "exact").value == exact / (ROWS + count)
    assert only(report, "duplicates", "near").value == near / (ROWS + count)
    assert only(report, "duplicates", "exact").bound == "max_duplicates"


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.integers(0, 5)),
        min_size=2,
        max_size=30,
    )
)
@settings(max_examples=40, deadline=None)
def test_duplicates_are_those_of_the_definition(drawn: list[tuple[int, str, int]]) -> None:
    frame = rows(len(drawn)).with_columns(
        pl.Series("warm", [float(row[0]) for row in drawn], dtype=pl.Float32),
        pl.Series("place", [row[1] for row in drawn]),
        pl.Series(KEY + "id", [str(row[2]) for row in drawn]),
        pl.lit("late").alias(LABEL),
    )
    twins = sum(
        any(one[:2] == other[:2] and one[2] != other[2] for other in drawn) for one in drawn
    )
    assert only(find_bias(evidence(frame)), "duplicates", "exact").value == twins / len(drawn)


def test_near_duplicates_have_numbers_in_the_same_bin() -> None:
    train = rows(BINS * 10).with_columns(
        pl.Series("warm", np.arange(BINS * 10) / 7, dtype=pl.Float32),
        place=pl.lit("x"),
        label=pl.lit("late"),
    )
    report = find_bias(evidence(train))
    assert only(report, "duplicates", "near").value == 1.0
    # One row in each bin and place
    apart = train.with_columns(place=(pl.int_range(pl.len()) % 10).cast(pl.String))
    assert only(find_bias(evidence(apart)), "duplicates", "near").value == pytest.approx(
        0, abs=0.05
    )


# --- bounds
# --------------------------------------------------------------------------------------------------


def biased() -> BiasReport:
    """A report with something of everything."""
    train = pl.concat([rows(), rows().head(200).with_columns(pl.lit("again").alias(KEY + "id"))])
    y = np.repeat([0.0, 1.0], 500)
    p = np.where(np.arange(1000) % 10 == 0, 1 - y, y) * 0.9 + 0.05
    window = profiled(lacking(0.4), gone=rows(500, seed=3))
    return find_bias(evidence(train, window=window), Predicted(y, p, ("on time", "late")))


BOUNDS = {  # value planted, and the words of the advice
    "max_left_out": (0.2, "left_out in dataset.py"),
    "max_missing_difference": (0.4, "how that feature is collected"),
    "max_label_noise": (0.1, "rows named in reports/bias.html"),
    "max_duplicates": (0.18, "delivers rows twice"),
}


@pytest.mark.parametrize("bound", BOUNDS)
def test_what_is_beyond_a_bound_is_named(bound: str) -> None:
    planted, advice = BOUNDS[bound]
    report = biased()
    (found,) = [one for one in report.findings if one.bound == bound]
    assert found.value == pytest.approx(planted, abs=0.07)
    check_bias(report, Bias(**{bound: planted + 0.1}))
    with pytest.raises(InputError) as caught:
        check_bias(report, Bias(**{bound: planted - 0.08}))
    said = str(caught.value)
    for part in (
        found.name,
        f"{100 * (found.value or 0):.2f}%",
        f"bias.{bound} in params.yaml",
        found.says,
        advice,
    ):
        assert part in said


def test_a_bound_is_not_beyond_itself() -> None:
    report = find_bias(evidence(window=profiled(rows(), gone=rows(500, seed=3))))
    assert list_faults(report, Bias(max_left_out=0.2)) == []


def test_without_bounds_nothing_stops() -> None:
    assert list_faults(biased(), Bias()) == []
    check_bias(biased(), Bias())


def test_all_that_is_beyond_is_named_at_once() -> None:
    report = biased()
    bounds = Bias(**dict.fromkeys(BOUNDS, 0.0))
    assert len(list_faults(report, bounds)) == len(BOUNDS)
    with pytest.raises(InputError) as caught:
        check_bias(report, bounds)
    assert all(f"bias.{bound}" in str(caught.value) for bound in BOUNDS)


def test_every_bound_of_the_parameters_belongs_to_a_finding() -> None:
    assert {one.bound for one in biased().findings} - {""} == set(Bias.model_fields) == set(BOUNDS)


def test_every_finding_says_what_it_means() -> None:
    for one in biased().findings:
        assert one.says.endswith(".")
        assert all(len(row) == len(one.columns) for row in one.rows)
        assert not one.drawn or one.drawn in one.columns


# --- a project
# --------------------------------------------------------------------------------------------------


def test_real_flights(site: Any) -> None:
    """Cancelled flights of winter are short and in bad weather; the windows are those of the split."""
    names = [f"2013-{number:02}" for number in range(1, 6)]
    site.accept({name: month(name) for name in names})
    split = prepare(
        site.project, site.dataset, site.params(split={"train_batches": 2}), find_held
    ).split
    found = Evidence.read(site.project, site.dataset)
    assert (found.task, found.batches, found.newest) == ("binary", split.train.batches, "2013-05")
    assert found.train.height == found.trained.kept.rows == found.window.kept.rows
    assert found.history is not None
    kept = {name: month(name)["arr_delay"].count() for name in names}
    assert found.history.kept.rows == sum(kept[name] for name in names[:4])
    assert found.latest.kept.rows == kept["2013-05"]
    report = find_bias(found)
    never = next(iter(dataset.left_out))
    out = only(report, "survivorship", "share of rows left out")
    assert dict(row[:2] for row in out.rows)[never] == sum(  # type: ignore[misc]
        month(name)["dep_time"].null_count() for name in split.train.batches
    )
    compared = column(only(report, "survivorship", never, "numbers"), "feature")
    assert sorted(compared) == sorted({*dataset.features} - {"carrier", "origin", "dest"})
    assert {one.topic for one in report.findings} == {
        "survivorship",
        "sampling",
        "balance",
        "missing",
        "duplicates",
    }


def test_two_batches_have_no_history_to_compare_with(built: Any) -> None:
    found = Evidence.read(built.project, built.dataset)
    assert found.history is None
    assert [one for one in find_bias(found).findings if "history" in one.name] == []
