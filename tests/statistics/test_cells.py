"""Cells: sides without values are not compared, and cells of few rows are joined."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from evergreen.statistics.cells import FEWEST, TwoSample, compare_columns
from evergreen.statistics.columns import Column
from evergreen.statistics.sketch import sketch


def column(values: Any) -> Column:
    return sketch(pl.DataFrame({"x": values}), None).columns["x"]


NUMBERS, NONE = [float(number % 7) for number in range(700)], [None] * 700


@pytest.mark.parametrize(
    ("batch", "reference", "known"),
    [(NUMBERS, NUMBERS, True), (NONE, NUMBERS, False), (NUMBERS, NONE, False)],
)
def test_only_sides_with_values_are_compared(batch: Any, reference: Any, known: bool) -> None:
    sides = [column(pl.Series(values, dtype=pl.Float64)) for values in (batch, reference)]
    assert (compare_columns("number", *sides) is not None) is known
    assert compare_columns("missing", *sides) is not None


@pytest.mark.parametrize("rows", [12, 60, 6000])
def test_no_cell_has_few_rows_on_both_sides(rows: int) -> None:
    draw = np.random.default_rng(0)
    sides = [column(draw.normal(size=rows)) for _ in range(2)]
    found = compare_columns("number", *sides)
    assert found is not None
    assert found.batch.sum() == pytest.approx(1.0)
    assert (np.maximum(found.batch, found.reference) * rows >= FEWEST - 1e-9).all()
    assert len(found.batch) == min(10, max(2, rows // FEWEST)) or rows < 100


def test_rows_that_are_alike_widen_the_interval() -> None:
    shares = np.array([0.6, 0.4]), np.array([0.5, 0.5])
    many, few = (TwoSample(*shares, (rows, rows)) for rows in (2000, 200))
    assert many.interval(0.95)[0] > few.interval(0.95)[0]
    assert many.interval(0.95)[1] < few.interval(0.95)[1]
    assert many.p(0.02) < few.p(0.02)
