"""PSI: how far a batch is from earlier ones in each column, and whether that matters.

On many rows every plain p-value is small: two batches are never quite alike. So the question asked
here is whether a shift is larger than a *margin*, and how far batches usually are from one another
goes into the margin.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evergreen.finding import percent
from evergreen.statistics.cells import Kind, compare_columns
from evergreen.statistics.columns import CELLS, Array, Column, Levels, Numbers
from evergreen.statistics.design_effect import design_effect, scale_effect
from evergreen.statistics.pooling import pool, pool_others
from evergreen.statistics.sketch import Sketch

FEWEST_BATCHES = 3  # below which nobody knows how much batches differ
# Of a batch, below which it is too small to be held back, or to say what is usual
FEWEST_ROWS = 100
# Times what is usual, for a batch that is surely far: of a few past ones the farthest is not the
# farthest
SPARE = 2.0


@dataclass(frozen=True)
class Shift:
    """How far the batch is from the reference in one column, or in how often it is missing.

    The latter is of kind "missing". `effect`: the population stability index (PSI) less what chance
    alone gives, at least 0; about the square of a shift in standard deviations. `low`, `high`: its
    interval. `p`: of the hypothesis that the PSI is at most `margin`; 1 where a side has no values.
    Described, but never decided by: `ks`, the largest difference in the share of rows below any
    value, or in any set of levels; `distance`, Wasserstein's over the standard deviation of the
    reference (infinite where that is 0), for levels the same as `ks`.
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
        """The name of it in margins and `usual`: the column, or "column (missing)"."""
        return key_of(self.column, self.kind)


def key_of(column: str, kind: Kind) -> str:
    """Return the name of a shift in margins and `usual`."""
    return f"{column} (missing)" if kind == "missing" else column


def measure(
    batch: Sketch,
    reference: Sketch,
    margins: Mapping[str, float],
    confidence: float,
    names: Collection[str] | None = None,
) -> tuple[Shift, ...]:
    """Return the shift of each column that both have, and of its missing values if there are any.

    `names`: of which columns; all by default. `margins`: by column; "column (missing)" has its own,
    or that of its column. Test and interval: PSI on 10 cells that hold equal rows of the reference,
    or on levels; see `docs/drift.md`.
    """
    found = []
    for name, kind, new, old in _pairs(batch.columns, reference.columns, names):
        sides = compare_columns(kind, new, old)
        margin = margins.get(key_of(name, kind), margins.get(name, 0.0))
        ks, distance, what = _describe(name, kind, new, old)
        if sides is None:
            found.append(
                Shift(name, kind, 0.0, 0.0, math.inf, margin, 1.0, ks, distance, f"{name} {what}")
            )
            continue
        low, high = sides.interval(confidence)
        says = (
            f"{name} {what}: a shift of {sides.effect:.2g} ({low:.2g} to {high:.2g}), "
            f"the margin is {margin:.2g}"
        )
        found.append(
            Shift(name, kind, sides.effect, low, high, margin, sides.p(margin), ks, distance, says)
        )
    return tuple(found)


def usual(sketches: Sequence[Sketch], names: Collection[str] | None = None) -> dict[str, float]:
    """Return key of a shift -> how far batches were from one another.

    That is the largest effect of one batch against all others: the largest, as batches are few.
    Of every column, or of `names`. Empty for fewer than two batches, which say nothing.
    """
    found: dict[str, float] = {}
    if len(sketches) < 2:
        return found
    for sketch, others in zip(sketches, pool_others(sketches, names), strict=True):
        for name, kind, new, old in _pairs(sketch.columns, others, names):
            if (sides := compare_columns(kind, new, old)) is not None:
                key = key_of(name, kind)
                found[key] = max(sides.effect, found.get(key, 0.0))
    return found


def margin_of(usual: float, smallest: float) -> float:
    """Return the margin: `smallest`, the smallest shift that matters, beyond the `usual` one.

    A PSI grows with the square of a shift, so they add as roots: a batch at its usual distance,
    moved on by the smallest shift that matters. A PSI of 0.04 is a shift of about 0.2 standard
    deviations, 0.01 is 0.1; both together are 0.3, of which the square is 0.09.

    >>> round(margin_of(usual=0.04, smallest=0.01), 6)
    0.09
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
    """Return the shifts that are surely beyond what is usual among `earlier`, and `smallest`.

    How: the interval of each shift has a lower bound; a shift is surely far where even that bound
    is beyond the margin, which is twice the usual distance and `smallest` on top. Of columns that
    all have, or of `names`. `past`: batches that say what is usual, if not the earlier ones. Where
    a batch has too few days to measure how alike the rows of one are, they count as being as alike
    as those of a past batch: a day has one weather, however many rows it has.
    """
    before = pool(earlier)
    # What is usual costs most, and matters only where a column would be far if nothing was.
    far = {
        shift.column
        for shift in measure(batch, before, {}, confidence, names)
        if shift.low > smallest
    }
    if not far:
        return ()
    past = earlier if past is None else past
    keys = [key for name in far for key in (name, key_of(name, "missing"))]
    margins = dict.fromkeys(keys, smallest) | {
        key: margin_of(SPARE * effect, smallest) for key, effect in usual(past, far).items()
    }
    batch = _with_batch_effects(batch, past, far)
    before = _with_batch_effects(before, past, far, len(earlier))
    shifts = measure(batch, before, margins, confidence, far)
    return tuple(shift for shift in shifts if shift.low > shift.margin)


def _with_batch_effects(
    sketch: Sketch, past: Sequence[Sketch], names: Collection[str], batches: int = 1
) -> Sketch:
    """Return the sketch of so many batches with the design effects of batches, if it knows no days.

    Rows of a batch are then as alike as those of past batches were.
    """
    if sketch.knows_days:
        return sketch
    columns = dict(sketch.columns)
    for name in names:
        if not all(name in other.columns for other in past):
            continue
        column, others = columns[name], [other.columns[name] for other in past]
        rows = [
            side.values + side.facts.infinite + side.facts.missing for side in (column, *others)
        ]
        missing = np.array(
            [[other.facts.missing, other.values + other.facts.infinite] for other in others], float
        )
        effects = (_batch_effect(column, others), design_effect(missing, FEWEST_BATCHES))
        of_values, of_missing = (
            scale_effect(effect, float(np.mean(rows[1:])), rows[0] / batches) for effect in effects
        )
        facts = replace(column.facts, design_effect=of_values, missing_design_effect=of_missing)
        columns[name] = replace(column, facts=facts)
    return replace(sketch, columns=columns)


def _batch_effect(column: Column, others: Sequence[Column]) -> float:
    """Return the design effect of batches: how much more their shares vary than by chance."""
    if isinstance(column, Numbers):
        numbers = [other for other in others if isinstance(other, Numbers)]
        cuts = max(numbers, key=lambda number: number.values).cuts(CELLS)
        table = [
            np.diff(number.count_upto(cuts), prepend=0, append=number.values) for number in numbers
        ]
    else:
        counts = [other.counts for other in others if isinstance(other, Levels)]
        names = sorted({name for rows in counts for name in rows})
        table = [np.array([rows.get(name, 0) for name in names]) for rows in counts]
    return design_effect(np.array(table, float).clip(0), FEWEST_BATCHES)


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
        if new.facts.missing or old.facts.missing:
            yield name, "missing", new, old


def _describe(name: str, kind: Kind, batch: Column, reference: Column) -> tuple[float, float, str]:
    """Return KS, distance, and in words what the column was and is."""
    if kind == "missing":
        new, old = (
            side.facts.missing / max(1, side.values + side.facts.infinite + side.facts.missing)
            for side in (batch, reference)
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
        float(side.points[np.searchsorted(side.upto, side.values / 2)])
        for side in (batch, reference)
    ]
    what = f"has median {middles[0]:.4g}, {middles[1]:.4g} before"
    if not deviation:
        return ks, math.inf if far else 0.0, what
    return (
        ks,
        far / deviation,
        f"{what}, and its mean moved by {moved / deviation:+.2f} standard deviations",
    )


def _spread(column: Numbers) -> tuple[Array, Array]:
    """Return values and weights: rows at the points, and those between two points in the middle."""
    middles = column.points[1:] / 2 + column.points[:-1] / 2
    weights = np.concatenate([column.upto - column.below, column.below[1:] - column.upto[:-1]])
    return np.concatenate([column.points, middles]), np.maximum(weights, 0.0)


def _describe_levels(batch: Levels, reference: Levels) -> tuple[float, float, str]:
    gaps = {
        level: batch.counts.get(level, 0) / batch.values
        - reference.counts.get(level, 0) / reference.values
        for level in sorted({*batch.counts, *reference.counts})
    }
    most = max(gaps, key=lambda level: abs(gaps[level]))
    new, old = (percent(side.counts.get(most, 0) / side.values) for side in (batch, reference))
    total = sum(map(abs, gaps.values())) / 2
    return total, total, f"is {most!r} in {new} of the rows, {old} before"
