"""Bias findings: planted differences come out at their size, topic by topic."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from training_rows import ROWS, column, evidence, lacking, only, profiled, rows

from evergreen.features.split import LABEL, SLICE
from evergreen.params import Bias
from evergreen.quality.bias import check_bias, find_bias
from evergreen.quality.bias_findings import FEWEST_ROWS


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
    assert not [finding for finding in report.findings if "none ·" in finding.name]


def test_a_feature_that_rows_left_out_do_not_have_is_named() -> None:
    whole = profiled(rows(), gone=rows(300, seed=3))
    del whole.left_out["gone"].numbers["warm"]
    report = find_bias(evidence(window=whole))
    found = only(report, "survivorship", "share of rows left out")
    assert "Cannot be computed for some of them, so is not compared: warm." in found.says
    assert not [
        finding
        for finding in report.findings
        if finding.topic == "survivorship" and "numbers" in finding.name
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
    assert {
        finding.name.split(" · ")[0] for finding in report.findings if finding.topic == "sampling"
    } == {"training beside the newest batch, 2013-04"}


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
