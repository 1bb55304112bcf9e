"""Columns: counts are those of the rows, and cells hold equal rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from evergreen.statistics.columns import POINTS, Levels, Numbers
from evergreen.statistics.sketch import sketch

ROWS = 20_000
DRAW = np.random.default_rng(0)


def of(values: Any, days: Any = None, name: str = "x") -> Any:
    frame = pl.DataFrame({name: values})
    return sketch(frame, None if days is None else pl.Series(days)).columns[name]


COLUMNS: dict[str, Any] = {
    "normal": DRAW.normal(size=ROWS),
    "float32": DRAW.exponential(size=ROWS).astype(np.float32),
    "rain": np.where(DRAW.random(ROWS) < 0.9, 0.0, DRAW.gamma(0.5, size=ROWS)),
    "weekday": DRAW.integers(1, 8, ROWS),
    "few": np.array([-1.5, 0.0, 1e300])[DRAW.integers(0, 3, ROWS)],
    "constant": np.full(ROWS, 3.5),
    "huge": np.array([-1.7e308, 0.0, 1.7e308])[DRAW.integers(0, 3, ROWS)] * DRAW.random(ROWS),
    "tiny": DRAW.integers(0, 5000, ROWS) * 5e-324,
    "large ids": 2**53 - DRAW.integers(0, 5000, ROWS),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_counts_are_those_of_the_rows(name: str) -> None:
    values = COLUMNS[name]
    found = of(values)
    assert isinstance(found, Numbers)
    assert found.points[0] == values.min()
    assert found.points[-1] == values.max()
    for point, below, upto in zip(found.points, found.below, found.upto, strict=True):
        assert (below, upto) == ((values < point).sum(), (values <= point).sum())
    places = np.concatenate(
        [values[:200].astype(float), [-np.inf, np.inf], np.nextafter(found.points[:50], -np.inf)]
    )
    true = np.array([(values <= place).sum() for place in places])
    assert np.abs(found.count_upto(places) - true).max() <= ROWS / (POINTS - 1)
    assert len(found.points) <= POINTS
    if len(np.unique(values)) <= POINTS:
        assert np.array_equal(found.points, np.unique(values))
        assert np.array_equal(found.count_upto(places), true)


@pytest.mark.parametrize(
    ("values", "known", "missing", "infinite"),
    [
        ([1.0, None, float("nan"), 2.0], 2, 2, 0),
        ([float("inf"), float("-inf"), 1.0, None], 1, 1, 2),
        ([None, float("nan")], 0, 2, 0),
        ([], 0, 0, 0),
        ([True, False, None], 2, 1, 0),
        ([5, None], 1, 1, 0),
        ([float("inf")], 0, 0, 1),
    ],
)
def test_missing_and_infinite_are_counted_apart(
    values: list[Any], known: int, missing: int, infinite: int
) -> None:
    found = of(pl.Series(values, dtype=None if values and values[0] is not None else pl.Float64))
    assert (found.values, found.facts.missing, found.facts.infinite) == (known, missing, infinite)
    assert len(found.cuts(10)) == 0 or known


def test_categories_are_counted_by_level() -> None:
    found = of(["b", "a", None, "b", ""])
    assert found == Levels({"": 1, "a": 1, "b": 2}, found.facts)
    assert found.facts.missing == 1
    assert of(pl.Series([None, None], dtype=pl.String)).counts == {}


@pytest.mark.parametrize(
    ("name", "cells"),
    [("normal", 10), ("weekday", 7), ("constant", 1), ("rain", 10), ("few", 3), ("float32", 10)],
)
def test_cells_hold_equal_rows_unless_a_value_fills_one(name: str, cells: int) -> None:
    found = of(COLUMNS[name])
    edges = found.cuts(10)
    rows = np.diff(found.count_upto(edges), prepend=0, append=found.values)
    assert (rows > 0).sum() == cells
    if name in ("normal", "float32"):
        assert np.abs(rows / ROWS - 0.1).max() < 2 / POINTS
    counted = np.unique(np.searchsorted(edges, COLUMNS[name], side="left"), return_counts=True)[1]
    assert np.abs(np.sort(rows[rows > 0]) - np.sort(counted)).max() <= ROWS / POINTS
