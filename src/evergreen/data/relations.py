"""Relations: columns that no longer go with the others as they did, though each by itself may look like a season.

A temperature in Celsius is a cold month; beside dew point and humidity it is none. So each number, and the label, is
told from the other columns by a line learnt on earlier batches, and what the line leaves over is compared as a column
of its own. Rows are those that sketches keep, so nothing here reads history.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from evergreen.data.shift import measure, surely_far
from evergreen.data.sketch import Numbers, Sketch, pool, sketch
from evergreen.data.split import LABEL
from evergreen.params import Drift

Array = np.ndarray[Any, np.dtype[Any]]
FEWEST_ROWS = 200  # kept of each batch, below which no line is learnt
FEWEST_OTHERS = 2  # earlier ones, below which none is told by a line that others taught
COMMON = 0.02  # share of rows from which on a level tells something
GRAIN = 0.1  # standard deviations of a column: what is left over below that matters to no model
FAR = 10.0  # standard deviations at which a value is cut off, so that one row does not turn a line
RIDGE = 1e-3  # of a column's variance, for columns that say the same
MOST_ROWS = 12_000  # of all earlier batches together
TIMES = 2.0  # `hold`: a line learnt in one season fits the next less well than a column fits its own past


@dataclass(frozen=True)
class Rows:
    """Rows of a batch: `values`, shape (rows, columns), in deviations of all earlier rows, NaN where missing.

    `days`, shape (rows,): equal for rows that belong together.
    """

    values: Array = field(repr=False)
    days: Array = field(repr=False)

    @cached_property
    def filled(self) -> Array:
        """The values, a mean where missing, and a column of ones."""
        return np.column_stack([np.nan_to_num(self.values), np.ones(len(self.values))])

    @cached_property
    def products(self) -> Array:
        """All that a line is learnt from."""
        return np.asarray(self.filled.T @ self.filled)


@dataclass(frozen=True)
class Target:
    """A column that is told from others: its place among the values, and theirs."""

    name: str
    at: int
    others: Array = field(repr=False)

    @property
    def key(self) -> str:
        """What it is called where each must have another name: a label of classes is told class by class."""
        return f"{self.name} {self.at}"


def find_odd(batch: Sketch, earlier: Sequence[Sketch], params: Drift, without: Collection[str] = ()) -> dict[str, str]:
    """Return column -> how it goes with the others otherwise than in `earlier` batches, a sentence each.

    A column is odd where the shift of what is left over is surely larger than is usual among the earlier batches and
    twice `params.hold` beyond; the label also where it surely goes against what it surely went with in each of them,
    and at least half as much (of K classes that change places, a K-1st of that). An odd column makes those look odd
    that are told from it: named is the one without which the others shift least. `without`: columns to leave out.
    Batches that kept fewer than 200 rows say nothing; empty where `hold` is None, or the batch, or all but one of the
    earlier ones, say nothing.
    """
    earlier = [one for one in earlier if len(one.blocks) >= FEWEST_ROWS]
    if params.hold is None or len(batch.blocks) < FEWEST_ROWS or len(earlier) < FEWEST_OTHERS:
        return {}
    found: dict[str, str] = {}
    leavings = _Leavings.of(batch, earlier, without)
    while odd := leavings.find(params.hold, params.confidence):
        left = {name: _Leavings.of(batch, earlier, {*without, *found, name}) for name in odd}
        guilty = min(left, key=lambda name: left[name].total(params.confidence))
        found[guilty], leavings = odd[guilty], left[guilty]
    return found


@dataclass(frozen=True)
class _Leavings:
    """What lines leave over of each target, in the new batch and in each earlier one, by lines that have not seen it."""

    new: Rows
    before: list[Rows]
    targets: list[Target]
    sketches: list[Sketch]  # the new batch's first

    @classmethod
    def of(cls, batch: Sketch, earlier: Sequence[Sketch], without: Collection[str]) -> _Leavings:
        (new, *before), targets = _as_rows([batch, *earlier], without)
        pairs = [(new, before), *_one_by_one(before)]
        return cls(
            new, before, targets, [_leave_over(one, others, targets) for one, others in pairs] if targets else []
        )

    def find(self, hold: float, confidence: float) -> dict[str, str]:
        """Return every column that looks odd, and why."""
        if not self.targets:
            return {}
        new, *earlier = self.sketches
        far = {
            one.column: one.says for one in surely_far(new, earlier, TIMES * hold, confidence) if one.kind == "number"
        }
        found, classes = {}, max(2, sum(one.name == LABEL for one in self.targets))
        for target in self.targets:
            turned = _turned(self.new, self.before, target, classes, confidence) if target.name == LABEL else ""
            if turned or target.key in far:
                what = f"{target.name} less what the other columns tell of it, in deviations,"
                found[target.name] = turned or what + far[target.key].removeprefix(target.key)
        return found

    def total(self, confidence: float) -> float:
        """Return the sum of all shifts of what is left over."""
        if not self.targets:
            return 0.0
        new, *earlier = self.sketches
        return sum(one.effect for one in measure(new, pool(earlier), {}, confidence))


def _as_rows(sketches: Sequence[Sketch], without: Collection[str]) -> tuple[list[Rows], list[Target]]:
    """Return the rows that sketches kept, in deviations of those of all but the first, and what can be told."""
    names = [
        name for name in sketches[0].columns if name not in without and all(name in one.columns for one in sketches)
    ]
    steps = [max(1, len(one.blocks) * (len(sketches) - 1) // MOST_ROWS) for one in sketches]
    steps[0] = 1
    parts = [one.sample.select(names).gather_every(step) for one, step in zip(sketches, steps, strict=True)]
    whole = pl.concat(parts)
    earlier = whole[parts[0].height :]
    columns = {f"{name} {at}": (name, one) for name in names for at, one in enumerate(_as_numbers(earlier[name]))}
    table = earlier.select(one.alias(key) for key, (_, one) in columns.items())
    mean, deviation = table.mean().row(0, named=True), table.std().row(0, named=True)
    varied = [key for key in columns if deviation[key]]
    scaled = whole.select(
        ((columns[key][1] - mean[key]) / deviation[key]).clip(-FAR, FAR).fill_null(math.nan).alias(key)
        for key in varied
    ).to_numpy()
    ends = np.cumsum([one.height for one in parts])[:-1]
    days = [one.blocks[::step] for one, step in zip(sketches, steps, strict=True)]
    rows = [Rows(values, day) for values, day in zip(np.split(scaled, ends), days, strict=True)]
    owners = [columns[key][0] for key in varied]
    features = np.array([*(at for at, name in enumerate(owners) if name != LABEL), len(owners)])  # and the ones
    told = {name for name in names if isinstance(sketches[0].columns[name], Numbers)} | {LABEL}
    targets = [Target(name, at, features[features != at]) for at, name in enumerate(owners) if name in told]
    return rows, targets


def _as_numbers(column: pl.Series) -> list[pl.Expr]:
    """Return how a column is told in numbers: a number as it is, null where it is none; a category by common level."""
    if column.dtype.is_float():
        return [pl.when(pl.col(column.name).is_finite()).then(column.name).cast(pl.Float64)]
    counts = column.drop_nulls().value_counts(name="rows").filter(pl.col("rows") >= COMMON * len(column))
    levels = sorted(counts[column.name])
    levels = levels[1:] if column.name == LABEL and len(levels) == 2 else levels  # the other class says the same
    return [(pl.col(column.name) == level).cast(pl.Float64) for level in levels]


def _one_by_one(before: Sequence[Rows]) -> list[tuple[Rows, list[Rows]]]:
    return [(one, [*before[:at], *before[at + 1 :]]) for at, one in enumerate(before)]


def _learn(before: Sequence[Rows], targets: Sequence[Target]) -> list[Array]:
    """Return for each target the line that tells it from its others best, shape (others,): ridge regression."""
    products = np.sum([one.products for one in before], axis=0) / sum(len(one.days) for one in before)
    products[np.diag_indices_from(products)] += RIDGE
    return [np.linalg.solve(products[np.ix_(one.others, one.others)], products[one.others, one.at]) for one in targets]


def _leave_over(rows: Rows, before: Sequence[Rows], targets: Sequence[Target]) -> Sketch:
    """Return what lines learnt on `before` leave over of each target, as columns of a sketch."""
    grain = GRAIN * np.random.default_rng(0).standard_normal(len(rows.days))
    left = {
        one.key: rows.values[:, one.at] - rows.filled[:, one.others] @ line + grain
        for one, line in zip(targets, _learn(before, targets), strict=True)
    }
    return sketch(pl.DataFrame(left), pl.Series(rows.days))


def _turned(new: Rows, before: Sequence[Rows], target: Target, classes: int, confidence: float) -> str:
    """Say how the target goes against what it went with in each earlier batch; empty where that is not sure."""
    now, low, high = _agreement(new, before, target, confidence)
    if not high < 0:
        return ""
    past = [_agreement(one, others, target, confidence) for one, others in _one_by_one(before)]
    middles = [r for r, _, _ in past]
    if min(low for _, low, _ in past) <= 0 or -now < float(np.median(middles)) / 2 / (classes - 1):
        return ""
    return (
        f"{target.name} goes against the features (correlation {now:.2f}, {low:.2f} to {high:.2f}), and went with them "
        f"in each of {len(past)} earlier batches ({min(middles):.2f} to {max(middles):.2f}): is it turned round?"
    )


def _agreement(rows: Rows, before: Sequence[Rows], target: Target, confidence: float) -> tuple[float, float, float]:
    """Return the correlation of the target with what the others tell of it, and its interval, days being independent.

    The variance is that of the correlation's linear part, rows of a day summed (Cochran, Sampling techniques, 1977,
    section 6.3).
    """
    from scipy.stats import norm

    (line,) = _learn(before, [target])
    actual, told = rows.values[:, target.at], rows.filled[:, target.others] @ line
    some = np.isfinite(actual)
    pair = np.column_stack([actual, told])[some]
    if not len(pair) or not (spread := pair.std(axis=0)).all():
        return 0.0, 0.0, 0.0
    u, v = ((pair - pair.mean(axis=0)) / spread).T
    r = float((u * v).mean())
    _, day = np.unique(rows.days[some], return_inverse=True)
    sums = np.bincount(day, u * v - r * (np.square(u) + np.square(v)) / 2)
    deviation = math.sqrt(np.square(sums).sum() * len(sums) / max(1, len(sums) - 1)) / len(u)
    wide = float(norm.ppf((1 + confidence) / 2)) * deviation
    return r, r - wide, r + wide
