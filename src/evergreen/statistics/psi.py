"""Shift: how far a batch is from earlier ones in each column, as an effect with its interval, and whether it matters.

On many rows every plain p-value is small: two batches are never quite alike. So the question asked
here is whether a shift is larger than a *margin*, and how far batches usually are from one another
goes into the margin.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from evergreen.finding import percent
from evergreen.statistics.sketch import (
    CELLS,
    Column,
    Levels,
    Numbers,
    Sketch,
    effect_of,
    pool,
    pool_others,
)

Array = np.ndarray[Any, np.dtype[Any]]
Kind = Literal["number", "category", "missing"]
FEWEST_BATCHES = 3  # below which nobody knows how much batches differ
# Of a batch, below which it is too small to be held back, or to say what is usual
FEWEST_ROWS = 100
# Times what is usual, for a batch that is surely far: of a few past ones the farthest is not the
# farthest
SPARE = 2.0
# Rows in a cell, below which cells are joined (Cochran, Some methods for strengthening chi-square,
# 1954)
FEWEST = 5
# Rows of a level that the reference has not, from which it is no rare one that was missed by chance
CERTAINLY_NEW = 15
MOST_LEVELS = 50  # of a category that are cells by themselves


@dataclass(frozen=True)
class Shift:
    """How far the batch is from the reference in one column, or (kind "missing") in how often the column is missing.

    `effect`: the population stability index (PSI) less what chance alone gives, at least 0; about
    the square of a shift in standard deviations. `low`, `high`: its interval. `p`: of the
    hypothesis that the PSI is at most `margin`; 1 where a side has no values. Described, but never
    decided by: `ks`, the largest difference in the share of rows below any value, or in any set of
    levels; `distance`, Wasserstein's over the standard deviation of the reference (infinite where
    that is 0), for levels the same as `ks`.
    """

    column: str
    kind: Kind
    effect: float
    low: float
    high: float
    margin: float
    p: float
    ks: float
    distance: float
    says: str

    @property
    def key(self) -> str:
        """By what margins and `usual` know it: the column, or "column (missing)"."""
        return key_of(self.column, self.kind)


@dataclass(frozen=True)
class Apart:
    """Two sides cut into the same cells: shares, shape (cells,), and of how many independent rows each is worth.

    `square`: the two-sample chi-square with these numbers of rows, for which cells that are alike
    in a day count less: the first-order correction of Rao and Scott (On chi-squared tests for
    multiway contingency tables, 1984).
    """

    batch: Array
    reference: Array
    rows: tuple[float, float]

    @property
    def freedom(self) -> int:
        return len(self.batch) - 1

    @property
    def weight(self) -> float:
        """What an effect is multiplied with to be a noncentrality."""
        n, m = self.rows
        return n * m / (n + m)

    @cached_property
    def square(self) -> float:
        n, m = self.rows
        pooled = (n * self.batch + m * self.reference) / (n + m)
        return self.weight * float((np.square(self.batch - self.reference) / pooled).sum())

    @cached_property
    def scale(self) -> float:
        """PSI per unit of square over weight: near 1 for small shifts; what the interval has to be multiplied with.

        Half a row is added to each cell: the PSI of a cell that is empty on one side would be
        infinite.
        """
        p, q = (
            (one * rows + 0.5) / (rows + len(one) / 2)
            for one, rows in zip((self.batch, self.reference), self.rows, strict=True)
        )
        psi = float(((p - q) * np.log(p / q)).sum())
        return max(1e-9, psi * self.weight / self.square) if self.square > 1e-12 else 1.0

    @property
    def effect(self) -> float:
        """PSI less what chance gives (the chi-square's mean exceeds its noncentrality by `freedom`), at least 0."""
        return (
            max(0.0, self.square - self.freedom) / self.weight * self.scale if self.freedom else 0.0
        )

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the effects at which the noncentral chi-square leaves (1 - confidence) / 2 beyond what was seen.

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
        """Return the chance of so large a chi-square or a larger where the PSI is `margin`."""
        from scipy.stats import ncx2

        noncentrality = margin * self.weight / self.scale if self.freedom else 0.0
        return float(ncx2.sf(self.square, self.freedom, noncentrality)) if self.freedom else 1.0


def key_of(column: str, kind: Kind) -> str:
    """Return by what margins and `usual` know the shift of `column` of this kind."""
    return f"{column} (missing)" if kind == "missing" else column


def measure(
    batch: Sketch,
    reference: Sketch,
    margins: Mapping[str, float],
    confidence: float,
    names: Collection[str] | None = None,
) -> tuple[Shift, ...]:
    """Return the shift of each column that both have (or of `names`), and of its missing values where there are any.

    `margins`: by column; "column (missing)" has its own, or that of its column. Test and interval:
    PSI on 10 cells that hold equal rows of the reference, or on levels; see `docs/drift.md`.
    """
    found = []
    for name, kind, new, old in _pairs(batch.columns, reference.columns, names):
        apart = _apart(kind, new, old)
        margin = margins.get(key_of(name, kind), margins.get(name, 0.0))
        ks, distance, what = _describe(name, kind, new, old)
        if apart is None:
            found.append(
                Shift(name, kind, 0.0, 0.0, math.inf, margin, 1.0, ks, distance, f"{name} {what}")
            )
            continue
        low, high = apart.interval(confidence)
        says = f"{name} {what}: a shift of {apart.effect:.2g} ({low:.2g} to {high:.2g}), the margin is {margin:.2g}"
        found.append(
            Shift(name, kind, apart.effect, low, high, margin, apart.p(margin), ks, distance, says)
        )
    return tuple(found)


def usual(sketches: Sequence[Sketch], names: Collection[str] | None = None) -> dict[str, float]:
    """Return by key of a shift how far batches were from one another: the largest effect of one against all others.

    Of every column, or of `names`. The largest, as batches are few; empty for fewer than two, which
    says nothing.
    """
    found: dict[str, float] = {}
    if len(sketches) < 2:
        return found
    for one, others in zip(sketches, pool_others(sketches, names), strict=True):
        for name, kind, new, old in _pairs(one.columns, others, names):
            if (apart := _apart(kind, new, old)) is not None:
                found[key_of(name, kind)] = max(apart.effect, found.get(key_of(name, kind), 0.0))
    return found


def margin_of(usual: float, smallest: float) -> float:
    """Return the margin: `smallest`, the smallest shift that matters, beyond the `usual` one.

    A PSI grows with the square of a shift, so they add as roots: a batch at its usual distance,
    moved on by the smallest shift that matters.
    """
    return (math.sqrt(usual) + math.sqrt(smallest)) ** 2


def surely_far(
    batch: Sketch,
    earlier: Sequence[Sketch],
    smallest: float,
    confidence: float,
    names: Collection[str] | None = None,
    past: Sequence[Sketch] | None = None,
) -> tuple[Shift, ...]:
    """Return the shifts that are surely (by their lower bounds) beyond what is usual among `earlier` and `smallest`.

    Of columns that all have, or of `names`. `past`: batches that say what is usual, if not the
    earlier ones. Where a batch has too few days to tell how alike the rows of one are, they count
    as being as alike as those of a past batch: a day has one weather, however many rows it has.
    """
    before = pool(earlier)
    # What is usual costs most, and matters only where a column would be far if nothing was.
    far = {
        one.column for one in measure(batch, before, {}, confidence, names) if one.low > smallest
    }
    if not far:
        return ()
    past = earlier if past is None else past
    keys = [key for name in far for key in (name, key_of(name, "missing"))]
    margins = dict.fromkeys(keys, smallest) | {
        key: margin_of(SPARE * one, smallest) for key, one in usual(past, far).items()
    }
    batch, before = _as_alike(batch, past, far), _as_alike(before, past, far, len(earlier))
    return tuple(
        one for one in measure(batch, before, margins, confidence, far) if one.low > one.margin
    )


def scale_effect(effect: float, rows: float, to: float) -> float:
    """Return the design effect of groups of `to` rows, from that of groups of `rows`: Kish's 1 + (m - 1) r for both."""
    return 1.0 + (effect - 1.0) * max(0.0, to - 1) / (rows - 1) if rows > 1 else effect


def _as_alike(
    sketch: Sketch, past: Sequence[Sketch], names: Collection[str], batches: int = 1
) -> Sketch:
    """Return the sketch of so many batches, where it knows no days, with the design effects of batches."""
    if sketch.knows_days:
        return sketch
    columns = dict(sketch.columns)
    for name in (name for name in names if all(name in one.columns for one in past)):
        column, others = columns[name], [one.columns[name] for one in past]
        rows = [one.values + one.rest.infinite + one.rest.missing for one in (column, *others)]
        missing = np.array(
            [[one.rest.missing, one.values + one.rest.infinite] for one in others], float
        )
        effects = (_between(column, others), effect_of(missing, FEWEST_BATCHES))
        alike, alike_missing = (
            scale_effect(one, float(np.mean(rows[1:])), rows[0] / batches) for one in effects
        )
        columns[name] = replace(
            column, rest=replace(column.rest, alike=alike, alike_missing=alike_missing)
        )
    return replace(sketch, columns=columns)


def _between(column: Column, others: Sequence[Column]) -> float:
    """Return how many times the variance of shares between batches exceeds that of as many independent rows."""
    if isinstance(column, Numbers):
        numbers = [one for one in others if isinstance(one, Numbers)]
        cuts = max(numbers, key=lambda one: one.values).cuts(CELLS)
        table = [np.diff(one.count_upto(cuts), prepend=0, append=one.values) for one in numbers]
    else:
        levels = [one.counts for one in others if isinstance(one, Levels)]
        names = sorted({name for one in levels for name in one})
        table = [np.array([one.get(name, 0) for name in names]) for one in levels]
    return effect_of(np.array(table, float).clip(0), FEWEST_BATCHES)


def _pairs(
    batch: Mapping[str, Column],
    reference: Mapping[str, Column],
    names: Collection[str] | None = None,
) -> Iterator[tuple[str, Kind, Column, Column]]:
    for name, new in batch.items():
        old = reference.get(name)
        if old is None or type(old) is not type(new) or (names is not None and name not in names):
            continue
        yield name, "number" if isinstance(new, Numbers) else "category", new, old
        if new.rest.missing or old.rest.missing:
            yield name, "missing", new, old


def _apart(kind: Kind, batch: Column, reference: Column) -> Apart | None:
    """Cut both sides alike; None where one of them has no values."""
    sides = (batch, reference)
    if kind == "missing":
        counts = [
            np.array([one.rest.missing, one.rest.infinite + one.values], float) for one in sides
        ]
        alike = [one.rest.alike_missing for one in sides]
    else:
        alike = [one.rest.alike for one in sides]
        least = min(one.values / effect for one, effect in zip(sides, alike, strict=True))
        if isinstance(batch, Numbers) and isinstance(reference, Numbers):
            counts = _cut(batch, reference, int(np.clip(least / FEWEST, 2, CELLS)))
        else:
            counts = _group(batch, reference, least)  # type: ignore[arg-type]
    sums = [float(one.sum()) for one in counts]
    if not all(sums):
        return None
    rows = (sums[0] / alike[0], sums[1] / alike[1])
    shares = _join(counts[0] / sums[0], counts[1] / sums[1], rows)
    return Apart(*shares, rows)


def _cut(batch: Numbers, reference: Numbers, cells: int) -> list[Array]:
    """Return rows by cell of the reference, and infinite ones, on both sides."""
    cuts = reference.cuts(cells)
    return [
        np.append(
            np.diff(one.count_upto(cuts), prepend=0, append=one.values).clip(0), one.rest.infinite
        )
        for one in (batch, reference)
    ]


def _group(batch: Levels, reference: Levels, least: float) -> list[Array]:
    """Return rows by common level of the reference; then of its rare ones, of common new ones, of rare new ones.

    Of rare new levels the reference is given as many rows as it has levels with a single row: where
    so many are rare, others are to be expected (Good, The population frequencies of species,
    Biometrika 40, 1953).
    """
    common = sorted(reference.counts, key=lambda level: -reference.counts[level])[:MOST_LEVELS]
    common = [one for one in common if reference.counts[one] / reference.values * least >= FEWEST]
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
    """Join each cell that has few rows on both sides with the one before it (the first, with the one after it)."""
    cells: list[list[float]] = []
    for p, q in zip(batch, reference, strict=True):
        few = max(p * rows[0], q * rows[1]) < FEWEST
        if cells and (few or max(cells[-1][0] * rows[0], cells[-1][1] * rows[1]) < FEWEST):
            cells[-1] = [cells[-1][0] + p, cells[-1][1] + q]
        else:
            cells.append([p, q])
    shares = np.array(cells).T
    return shares[0], shares[1]


def _describe(name: str, kind: Kind, batch: Column, reference: Column) -> tuple[float, float, str]:
    """Return KS, distance, and in words what the column was and is."""
    if kind == "missing":
        new, old = (
            one.rest.missing / max(1, one.values + one.rest.infinite + one.rest.missing)
            for one in (batch, reference)
        )
        return (
            abs(new - old),
            abs(new - old),
            f"is missing in {percent(new)} of the rows, {percent(old)} before",
        )
    if not batch.values or not reference.values:
        return (
            0.0,
            0.0,
            "has no values"
            + ("" if batch.values else " now")
            + ("" if reference.values else " before"),
        )
    if isinstance(batch, Numbers) and isinstance(reference, Numbers):
        return _describe_numbers(batch, reference)
    return _describe_levels(batch, reference)  # type: ignore[arg-type]


def _describe_numbers(batch: Numbers, reference: Numbers) -> tuple[float, float, str]:
    from scipy.stats import wasserstein_distance

    points = np.union1d(batch.points, reference.points)
    both = np.concatenate([points, np.nextafter(points, -np.inf)])
    ks = float(
        np.abs(
            batch.count_upto(both) / batch.values - reference.count_upto(both) / reference.values
        ).max()
    )
    (new, weights), (old, others) = _spread(batch), _spread(reference)
    largest = max(np.abs(new).max(), np.abs(old).max()) or 1.0
    new, old = new / largest, old / largest  # squares of large numbers would be infinite
    mean = float(np.average(old, weights=others))
    deviation = float(np.average(np.square(old - mean), weights=others)) ** 0.5
    far, moved = (
        float(wasserstein_distance(new, old, weights, others)),
        float(np.average(new, weights=weights)) - mean,
    )
    middles = [
        float(one.points[np.searchsorted(one.upto, one.values / 2)]) for one in (batch, reference)
    ]
    what = f"has median {middles[0]:.4g}, {middles[1]:.4g} before"
    if not deviation:
        return ks, math.inf if far else 0.0, what
    return (
        ks,
        far / deviation,
        f"{what}, and its mean moved by {moved / deviation:+.2f} standard deviations",
    )


def _spread(one: Numbers) -> tuple[Array, Array]:
    """Return values and weights: rows at the points, and those between two points in the middle."""
    middles = one.points[1:] / 2 + one.points[:-1] / 2
    weights = np.concatenate([one.upto - one.below, one.below[1:] - one.upto[:-1]])
    return np.concatenate([one.points, middles]), np.maximum(weights, 0.0)


def _describe_levels(batch: Levels, reference: Levels) -> tuple[float, float, str]:
    gaps = {
        level: batch.counts.get(level, 0) / batch.values
        - reference.counts.get(level, 0) / reference.values
        for level in sorted({*batch.counts, *reference.counts})
    }
    most = max(gaps, key=lambda level: abs(gaps[level]))
    new, old = (percent(one.counts.get(most, 0) / one.values) for one in (batch, reference))
    total = sum(map(abs, gaps.values())) / 2
    return total, total, f"is {most!r} in {new} of the rows, {old} before"
