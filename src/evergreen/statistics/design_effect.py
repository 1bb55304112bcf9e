"""Design effect: how many times rows that are alike multiply the variance of a share.

A day has one weather, however many flights leave in it: a thousand rows of ten days say little more
about the weather than ten rows do. The share of rainy rows then varies from batch to batch as if
there were far fewer rows; how many fewer is the design effect, and it is measured here from how
much the shares of days differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from evergreen.statistics.columns import Array

FEWEST_DAYS = 10  # below, a variance between days is luck
# Rows that measure how alike the rows of a day are; more tell little, as days are what is few
LOOKED_AT = 30_000


@dataclass(frozen=True)
class DaySample:
    """Rows that measure how alike those of a day are.

    `rows`: which ones. `day`: the day of each, as a number. `each`: how many rows each stands for.
    """

    rows: Array = field(repr=False)
    day: Array = field(repr=False)
    each: float

    def design_effect(self, cell: Array, known: Array | None = None) -> float:
        """Return the design effect of all rows, from the cells of the rows here.

        `cell`: of each row, shape (rows,). `known`: the rows that count; all by default.

        It is 1 + (m - 1) r for m rows a day with correlation r within it (Kish, Survey sampling,
        1965, section 5.4), so what exceeds 1 grows with the rows.
        """
        day, cell = (self.day, cell) if known is None else (self.day[known], cell[known])
        return 1.0 + (day_design_effect(cell, day) - 1.0) * self.each


def sample_days(
    days: pl.Series, some: Array, draw: np.random.Generator
) -> tuple[DaySample | None, Array]:
    """Return a sample of rows in which each day has its share, and the days of rows `some`.

    One of so many neighbours is drawn. No sample for fewer than 10 days, where each row is a block
    by itself.
    """
    each = max(1.0, len(days) / LOOKED_AT)
    rows = (np.arange(min(len(days), LOOKED_AT)) * each).astype(np.intp)
    if each > 1.0:
        rows = np.minimum(rows + draw.integers(0, int(each), len(rows)), len(days) - 1)
    day = _number_days(days.gather(np.concatenate([rows, some])))
    if day.max(initial=-1) + 1 < FEWEST_DAYS:  # they are numbered without gaps
        return None, some
    return DaySample(rows, day[: len(rows)], each), day[len(rows) :]


def day_design_effect(cell: Array, day: Array) -> float:
    """Return the design effect of rows that are alike within a day: at least 1.

    It is 1 for fewer than 10 days. `cell`, `day`: small whole numbers, shape (rows,). Days are
    taken as independent of one another.
    """
    size = int(cell.max(initial=0)) + 1
    table = np.bincount(
        day.astype(np.intp, copy=False) * size + cell,
        minlength=(int(day.max(initial=0)) + 1) * size,
    )
    return design_effect(table.reshape(-1, size), FEWEST_DAYS)


def design_effect(table: Array, fewest: int) -> float:
    """Return the design effect from rows by group and cell, at least 1; 1 for too few groups.

    `table`: rows of each group (a day, a batch) in each cell, shape (groups, cells). `fewest`:
    groups below which nothing is known.

    How: each group would have its rows spread over the cells as all rows are, were rows
    independent. How far groups are from that, squared and summed, is compared with what binomial
    draws would give. It is the mean of the cells' design effects, weighted by 1 - share: the
    first-order correction of Rao and Scott, The analysis of categorical data from complex sample
    surveys, 1981; the variance of a share is that of a ratio of sums over groups (Cochran,
    Sampling techniques, 1977, section 6.3).

    Four days of ten rows, each all rainy or all dry: the forty rows are worth three.

    >>> float(round(design_effect(np.array([[10, 0], [0, 10], [10, 0], [0, 10]]), 4), 1))
    13.3

    Days that are as mixed as the whole: rows are worth what they are.

    >>> design_effect(np.array([[5, 5], [4, 6], [6, 4], [5, 5]]), 4)
    1.0
    """
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    groups, cells = table.shape
    if groups < fewest or cells < 2:
        return 1.0
    total = table.sum()
    share = table.sum(axis=0) / total
    apart = np.square(table - table.sum(axis=1, keepdims=True) * share).sum(axis=0)
    return max(1.0, float((apart / share).sum() / total / (cells - 1) * groups / (groups - 1)))


def scale_effect(effect: float, rows: float, to: float) -> float:
    """Return the design effect of groups of `to` rows, from that of groups of `rows`.

    Kish's 1 + (m - 1) r holds for both, with the same correlation r.

    >>> scale_effect(11.0, rows=101, to=201)
    21.0
    """
    return 1.0 + (effect - 1.0) * max(0.0, to - 1) / (rows - 1) if rows > 1 else effect


def _number_days(days: pl.Series) -> Array:
    """Return the days as 0, 1, 2 ...; rows without a day share a number."""
    if isinstance(days.dtype, pl.Datetime):
        days = days.dt.date()
    ranks = days.rank("dense").fill_null(0)
    return (ranks - (ranks.min() or 0)).cast(pl.Int64).to_numpy()  # type: ignore[operator]
