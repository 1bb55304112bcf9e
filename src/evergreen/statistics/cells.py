"""Cells: two sides of a column cut into the same cells, and how far apart they are.

A number is cut where the reference has equal rows, a category by its levels. The effect is the
population stability index (PSI): of the shares p and q of each cell, the sum of (p - q) ln(p / q).
Two samples of the very same rows differ too, by chance: what chance gives is taken off, and the
interval says how much larger or smaller the true effect may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from evergreen.statistics.columns import CELLS, Array, Column, Levels, Numbers

Kind = Literal["number", "category", "missing"]
# Rows in a cell, below which cells are joined (Cochran, Some methods for strengthening chi-square,
# 1954)
FEWEST = 5
# Rows of a level that the reference has not, from which it is no rare one that was missed by chance
CERTAINLY_NEW = 15
MOST_LEVELS = 50  # of a category that are cells by themselves


@dataclass(frozen=True)
class TwoSample:
    """Two sides cut into the same cells: shares, shape (cells,), and how many rows each is worth.

    `rows`: independent rows, which are fewer where those of a day are alike. `square`: the
    two-sample chi-square with these numbers of rows: the first-order correction of Rao and Scott
    (On chi-squared tests for multiway contingency tables, 1984).

    A share that goes from 50% to 60% in 1,000 rows on either side: the PSI is 0.0405, of which
    chance alone would give 0.002; what is left is 0.038, surely between 0.013 and 0.083.

    >>> sides = TwoSample(np.array([0.6, 0.4]), np.array([0.5, 0.5]), (1000, 1000))
    >>> round(sides.effect, 3), [round(edge, 3) for edge in sides.interval(0.95)]
    (0.038, [0.013, 0.083])
    >>> round(sides.p(margin=0.0), 6)
    7e-06
    """

    batch: Array
    reference: Array
    rows: tuple[float, float]

    @property
    def freedom(self) -> int:
        """Degrees of freedom: one less than there are cells."""
        return len(self.batch) - 1

    @property
    def weight(self) -> float:
        """What an effect is multiplied with to be a noncentrality."""
        n, m = self.rows
        return n * m / (n + m)

    @cached_property
    def square(self) -> float:
        """The chi-square: squared differences of shares, each over the pooled share, weighted."""
        n, m = self.rows
        pooled = (n * self.batch + m * self.reference) / (n + m)
        return self.weight * float((np.square(self.batch - self.reference) / pooled).sum())

    @cached_property
    def scale(self) -> float:
        """PSI per unit of square over weight, near 1 for small shifts: it scales the interval.

        Half a row is added to each cell: the PSI of a cell that is empty on one side would be
        infinite.
        """
        p, q = (
            (shares * rows + 0.5) / (rows + len(shares) / 2)
            for shares, rows in zip((self.batch, self.reference), self.rows, strict=True)
        )
        psi = float(((p - q) * np.log(p / q)).sum())
        return max(1e-9, psi * self.weight / self.square) if self.square > 1e-12 else 1.0

    @property
    def effect(self) -> float:
        """PSI less what chance gives, at least 0.

        The mean of a chi-square exceeds its noncentrality by `freedom`: that is chance's part.
        """
        return (
            max(0.0, self.square - self.freedom) / self.weight * self.scale if self.freedom else 0.0
        )

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the interval of the effect.

        At its ends the noncentral chi-square leaves (1 - confidence) / 2 beyond what was seen.
        Source: Steiger, Beyond the F test, Psychological Methods 9 (2004), on inverting noncentral
        distributions.
        """
        from scipy.special import chndtr, chndtrinc

        if not self.freedom:
            return 0.0, 0.0
        found = []
        for share in ((1 + confidence) / 2, (1 - confidence) / 2):
            below = chndtr(self.square, self.freedom, 0.0) <= share
            noncentrality = 0.0 if below else float(chndtrinc(self.square, self.freedom, share))
            found.append(noncentrality / self.weight * self.scale)
        return found[0], found[1]

    def p(self, margin: float) -> float:
        """Return the chance of a chi-square at least so large where the PSI is `margin`."""
        from scipy.stats import ncx2

        noncentrality = margin * self.weight / self.scale if self.freedom else 0.0
        return float(ncx2.sf(self.square, self.freedom, noncentrality)) if self.freedom else 1.0


def compare_columns(kind: Kind, batch: Column, reference: Column) -> TwoSample | None:
    """Return both sides cut alike; None where one of them has no values."""
    sides = (batch, reference)
    if kind == "missing":
        counts = [
            np.array([side.facts.missing, side.facts.infinite + side.values], float)
            for side in sides
        ]
        effects = [side.facts.missing_design_effect for side in sides]
    else:
        effects = [side.facts.design_effect for side in sides]
        least = min(side.values / effect for side, effect in zip(sides, effects, strict=True))
        if isinstance(batch, Numbers) and isinstance(reference, Numbers):
            counts = _cut(batch, reference, int(np.clip(least / FEWEST, 2, CELLS)))
        else:
            counts = _group(batch, reference, least)  # type: ignore[arg-type]
    sums = [float(cells.sum()) for cells in counts]
    if not all(sums):
        return None
    rows = (sums[0] / effects[0], sums[1] / effects[1])
    shares = _join(counts[0] / sums[0], counts[1] / sums[1], rows)
    return TwoSample(*shares, rows)


def _cut(batch: Numbers, reference: Numbers, cells: int) -> list[Array]:
    """Return rows by cell of the reference, and infinite ones, on both sides."""
    cuts = reference.cuts(cells)
    return [
        np.append(
            np.diff(side.count_upto(cuts), prepend=0, append=side.values).clip(0),
            side.facts.infinite,
        )
        for side in (batch, reference)
    ]


def _group(batch: Levels, reference: Levels, least: float) -> list[Array]:
    """Return rows by level on both sides, with three cells for what is rare or new.

    Those of each common level of the reference; then of its rare ones, of common new ones, of rare
    new ones. Of rare new levels the reference is given as many rows as it has levels with a single
    row: where so many are rare, others are to be expected (Good, The population frequencies of
    species, Biometrika 40, 1953).
    """
    common = sorted(reference.counts, key=lambda level: -reference.counts[level])[:MOST_LEVELS]
    common = [
        level for level in common if reference.counts[level] / reference.values * least >= FEWEST
    ]
    new = [rows for level, rows in batch.counts.items() if not reference.counts.get(level)]
    grown = sum(rows for rows in new if rows / batch.values * least >= CERTAINLY_NEW)
    single = sum(
        rows for level, rows in reference.counts.items() if rows == 1 and level not in common
    )
    found = []
    for side, often, seldom in ((batch, grown, sum(new) - grown), (reference, 0, single)):
        known = [side.counts.get(level, 0) for level in common]
        rare = max(0.0, side.values - sum(known) - often - seldom)
        found.append(np.array([*known, rare, often, seldom], float))
    return found


def _join(batch: Array, reference: Array, rows: tuple[float, float]) -> tuple[Array, Array]:
    """Return the shares with each cell of few rows on both sides joined to the one before it.

    The first is joined with the one after it.
    """
    cells: list[list[float]] = []
    for p, q in zip(batch, reference, strict=True):
        few = max(p * rows[0], q * rows[1]) < FEWEST
        if cells and (few or max(cells[-1][0] * rows[0], cells[-1][1] * rows[1]) < FEWEST):
            cells[-1] = [cells[-1][0] + p, cells[-1][1] + q]
        else:
            cells.append([p, q])
    shares = np.array(cells).T
    return shares[0], shares[1]
