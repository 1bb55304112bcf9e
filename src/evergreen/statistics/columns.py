"""Columns: one column of a batch as counts, a number at its points, a category by level."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Count = int | float  # a float once batches were pooled
POINTS = 1024  # values of a number that are kept
CELLS = 10  # into which a column is cut to compare it


@dataclass(frozen=True)
class ColumnFacts:
    """What a column holds beside its values: how many rows are missing or infinite, and how alike.

    `missing`: rows that are null or NaN. `infinite`: rows of infinite numbers. `design_effect`: of
    the column's values, at least 1: how many times the variance of a share exceeds that of as many
    independent rows. `missing_design_effect`: that of being missing.
    """

    missing: Count = 0
    infinite: Count = 0
    design_effect: float = 1.0
    missing_design_effect: float = 1.0


@dataclass(frozen=True)
class Numbers:
    """A column of numbers as cumulative counts.

    `points`: some of its values, ascending. `below`, `upto`: how many rows are below and at most
    each point. All of shape (points,).
    """

    points: Array = field(repr=False)
    below: Array = field(repr=False)
    upto: Array = field(repr=False)
    facts: ColumnFacts

    @property
    def values(self) -> Count:
        """How many rows hold a finite number."""
        return self.upto[-1].item() if len(self.upto) else 0  # type: ignore[no-any-return]

    def count_upto(self, at: Array) -> Array:
        """Return how many rows are at most `at`: exact at the points, linear between them."""
        if not len(self.points):
            return np.zeros(len(at))
        after = np.searchsorted(self.points, at, side="right")
        left, right = np.maximum(after - 1, 0), np.minimum(after, len(self.points) - 1)
        # Halved: the distance between two large numbers may be beyond the largest number
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            share = (at / 2 - self.points[left] / 2) / (
                self.points[right] / 2 - self.points[left] / 2
            )
        between = self.upto[left] + np.nan_to_num(share).clip(0, 1) * (
            self.below[right] - self.upto[left]
        )
        return np.where(
            after == 0, 0.0, np.where(after == len(self.points), self.upto[-1], between)
        )

    def cuts(self, cells: int) -> Array:
        """Return where to cut into `cells` of equal rows: the upper edges of all but the last.

        A value that would fill a cell has an edge before it too, and is left out of the rows that
        are made equal: else all rain would be one cell beside the dry hours. So cells may be fewer
        where values repeat; outer ones may be empty.
        """
        if not len(self.points):
            return self.points
        ties = self.upto - self.below
        filling = ties >= self.values / cells
        others = self.upto - np.cumsum(np.where(filling, ties, 0))
        parts = max(1, cells - int(filling.sum()))
        at = np.searchsorted(others, np.arange(1, parts) / parts * others[-1]) if others[-1] else []
        before = np.nextafter(self.points[filling], -np.inf)
        return np.unique(
            np.concatenate([self.points[np.asarray(at, np.intp)], before, self.points[filling]])
        )


@dataclass(frozen=True)
class Levels:
    """A category: rows by level, in order of the levels' names."""

    counts: dict[str, Count]
    facts: ColumnFacts

    @property
    def values(self) -> Count:
        """How many rows have a level."""
        return sum(self.counts.values())


Column = Numbers | Levels
