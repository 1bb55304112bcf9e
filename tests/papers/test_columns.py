"""Columns in numbers: over all files, of each type, and of nothing."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from evergreen.papers.columns import summarize_columns

CASES: dict[str, tuple[pl.DataType, list[Any], int, dict[str, Any]]] = {
    "numbers": (
        pl.Float64(), [1.0, 2.0, 3.0, None, float("nan"), 10.0], 2,
        {"distinct": 4, "least": 1.0, "largest": 10.0, "mean": 4.0},
    ),
    "whole numbers": (pl.Int32(), [3, 1, 3], 0, {"distinct": 2, "least": 1, "largest": 3}),
    "an infinite one": (pl.Float64(), [1.0, float("inf")], 0, {"distinct": 2, "mean": 1.0}),
    "text": (pl.String(), ["a", None, "b", "a"], 1, {"distinct": 2}),
    "yes and no": (pl.Boolean(), [True, None], 1, {"distinct": 1}),
    "times": (
        pl.Datetime("us"), [*map(datetime.fromisoformat, ("2013-05-03T08:00", "2013-05-01"))], 0,
        {"least": "2013-05-01T00:00:00", "largest": "2013-05-03T08:00:00"},
    ),
    "nothing": (pl.Float64(), [None, None], 2, {}),
    "no rows": (pl.Float64(), [], 0, {}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_column_over_two_files(case: str, tmp_path: Path) -> None:
    dtype, values, missing, facts = CASES[case]
    files = [tmp_path / f"{part}.parquet" for part in "ab"]
    for path, part in zip(files, (values[:1], values[1:]), strict=True):
        pl.DataFrame({"x": part}, schema={"x": dtype}).write_parquet(path)
    (found,) = summarize_columns(files, {"x": dtype})
    assert (found.name, found.rows, found.missing) == ("x", len(values), missing)
    assert {**found.facts} | facts == {**found.facts}
    assert bool(found.facts) == bool(facts)
    numbers = [value for value in found.facts.values() if isinstance(value, float)]
    assert all(map(math.isfinite, numbers))
    assert found.tell().startswith(f"{len(values)} rows, missing in ")


def test_skewness(tmp_path: Path) -> None:
    rows = pl.DataFrame({"long": [0.0] * 9 + [9.0], "even": [0.0, 1.0] * 5, "word": ["a"] * 10})
    rows.write_parquet(tmp_path / "a.parquet")
    found = summarize_columns([tmp_path / "a.parquet"], rows.schema)
    assert [round(column.skewness, 2) for column in found] == [2.67, 0.0, 0.0]
