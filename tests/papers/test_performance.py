"""Performance in parts: slices, groups and calibration of rows whose answer is known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evergreen.evaluation.intervals import Estimate, interval, resample
from evergreen.metrics.table import LIBRARY
from evergreen.papers.performance import (
    MOST,
    _half_interval,
    measure_calibration,
    measure_groups,
    measure_slices,
)

DRAW = np.random.default_rng(0)
ROWS = 600
P = DRAW.random(ROWS)
Y = (DRAW.random(ROWS) < P).astype(float)


def rows_of(**columns: object) -> pl.DataFrame:
    return pl.DataFrame(columns)


def test_a_slice_has_the_metric_of_its_rows_alone() -> None:
    place = np.where(np.arange(ROWS) < 400, "ash", "bay")
    y = np.where(place == "bay", 1 - Y, Y)  # the other way round there
    metric = LIBRARY["roc_auc"]
    ash, bay = measure_slices(rows_of(slice_place=place), "binary", y, P, metric, 0.95)
    assert (ash.name, ash.rows, bay.name, bay.rows) == ("place=ash", 400, "place=bay", 200)
    for part, mask in ((ash, place == "ash"), (bay, place == "bay")):
        assert isinstance(part.estimate, Estimate)
        assert part.estimate.value == pytest.approx(metric.measure(y[mask], P[mask]))
        assert part.estimate.low < part.estimate.value < part.estimate.high
    assert ash.estimate
    assert bay.estimate
    assert ash.estimate.low > 0.7 > 0.3 > bay.estimate.high


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("rows", [60, 600])
def test_intervals_are_as_wide_as_those_of_a_bootstrap(task: str, rows: int) -> None:
    draw = np.random.default_rng(1)
    y, p = Y[:rows], P[:rows]
    if task == "multiclass":
        y, p = draw.integers(0, 3, rows).astype(float), draw.dirichlet(np.ones(3), rows)
    if task == "regression":
        y, p = draw.normal(size=rows) + p, p
    for metric in LIBRARY.of(task).values():
        form = metric.weighted(y, p)
        low, high = interval(resample([form], rows, resamples=2000, seed=0)[0], 0.95)
        assert 2 * _half_interval(form, 0.95) == pytest.approx(high - low, rel=0.15), metric.name


def test_slices_that_cannot_judge_have_no_number() -> None:
    place = ["few"] * 29 + ["one class"] * 40 + [None] * (ROWS - 69)
    y = np.where(np.arange(ROWS) < 69, 0.0, Y)
    found = measure_slices(rows_of(slice_place=place), "binary", y, P, LIBRARY["roc_auc"], 0.95)
    assert [(part.name, part.rows, part.estimate) for part in found] == [
        ("place=one class", 40, None),
        ("place=few", 29, None),
    ]


@pytest.mark.parametrize("levels", [MOST - 1, MOST, 5 * MOST])
def test_of_many_slices_the_largest_are_shown(levels: int) -> None:
    place = [str(at % levels) for at in range(ROWS)]
    found = measure_slices(rows_of(slice_place=place), "binary", Y, P, LIBRARY["roc_auc"], 0.95)
    assert len(found) == min(levels, MOST)
    assert measure_slices(rows_of(key_a=place), "binary", Y, P, LIBRARY["roc_auc"], 0.95) == []


def test_groups_have_what_happened_and_what_was_said() -> None:
    who = ["us"] * 300 + ["them"] * 280 + ["few"] * 20
    us, them = measure_groups(rows_of(group_who=who), "binary", Y, P)
    assert (us.name, us.rows, them.name, them.rows) == ("who=us", 300, "who=them", 280)
    assert us.happened == pytest.approx(Y[:300].mean())
    assert them.said == pytest.approx(P[300:580].mean())


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_calibration_goes_from_low_to_high_over_all_rows(task: str) -> None:
    y, p = Y, P
    if task == "multiclass":
        y, p = Y, np.column_stack([1 - P, P])
    if task == "regression":
        y, p = 10 * P + 1, 10 * P
    bins = measure_calibration(task, y, p)
    assert len(bins) == 10
    assert sum(part.rows for part in bins) == ROWS
    assert [part.said for part in bins] == sorted(part.said for part in bins)
    expected = 1.0 if task == "regression" else 0.0
    gaps = [part.happened - part.said for part in bins]
    assert np.mean(gaps) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(("rows", "bins"), [(10, 1), (59, 1), (60, 2), (300, 10), (600, 10)])
def test_few_rows_have_few_bins(rows: int, bins: int) -> None:
    assert len(measure_calibration("binary", Y[:rows], P[:rows])) == bins
