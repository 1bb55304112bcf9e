"""Columns: what a column of validated batches holds, in numbers, one column in memory at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from evergreen.finding import count, percent

Value = int | float | str
BIG_SKEW = 1.0  # from here on a column is said to be skewed


@dataclass(frozen=True)
class ColumnStatistics:
    """A column: how many rows it has, how many lack a value, and numbers by name.

    `facts`: distinct, least and largest value; of numbers mean, deviation and skewness.
    """

    name: str
    dtype: pl.DataType
    rows: int
    missing: int
    facts: Mapping[str, Value] = field(default_factory=dict)

    def tell(self) -> str:
        """Return it in a sentence."""
        share = percent(self.missing / self.rows) if self.rows else "none"
        told = [f"{name} {_shown(value)}" for name, value in self.facts.items()]
        return ", ".join([f"{count(self.rows, 'row')}, missing in {share}", *told])

    @property
    def skewness(self) -> float:
        """Its skewness; 0 where it has none."""
        found = self.facts.get("skewness", 0.0)
        return found if isinstance(found, float) else 0.0


def summarize_columns(
    files: Sequence[Path], columns: Mapping[str, pl.DataType]
) -> list[ColumnStatistics]:
    """Return the statistics of each of `columns` over Parquet `files`, in order."""
    return [_summarize(files, name, dtype) for name, dtype in columns.items()]


def _summarize(files: Sequence[Path], name: str, dtype: pl.DataType) -> ColumnStatistics:
    rows = pl.concat([pl.scan_parquet(file).select(name) for file in files]).collect()[name]
    known, facts = rows.drop_nulls(), dict[str, Any]()
    if dtype.is_float():
        known = known.drop_nans()
    if len(known):
        facts["distinct"] = known.n_unique()
    if len(known) and (dtype.is_numeric() or dtype.is_temporal()):
        facts |= {"least": known.min(), "largest": known.max()}
    if len(known) and dtype.is_numeric():
        finite = known.cast(pl.Float64)
        finite = finite.filter(finite.is_finite())
        facts |= {"mean": finite.mean(), "deviation": finite.std(), "skewness": finite.skew()}
    plain = {what: value for what, found in facts.items() if (value := _plain(found)) is not None}
    return ColumnStatistics(name, dtype, len(rows), len(rows) - len(known), plain)


def _plain(value: Any) -> Value | None:
    """Return a value as JSON can hold it; None where it is none."""
    if value is None or isinstance(value, (int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _shown(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value
