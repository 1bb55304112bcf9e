"""Suspects: columns in which a new batch is so unlike all before it that a fault is likelier than a season."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

from evergreen.features.split import LABEL
from evergreen.finding import percent
from evergreen.params import Drift
from evergreen.quality.label_rates import find_label_rates
from evergreen.statistics.columns import Column, Numbers
from evergreen.statistics.design_effect import design_effect, scale_effect
from evergreen.statistics.psi import FEWEST_BATCHES, FEWEST_ROWS, surely_far
from evergreen.statistics.sketch import Sketch
from evergreen.statistics.value_sets import FEWEST_VALUES, find_off_grid

Array = np.ndarray[Any, np.dtype[Any]]
# Of the rows that earlier batches usually have, below which a batch is not said to be far from them
SHORT = 0.5
# Of the rows that batches usually have, below which an earlier one says nothing of what is usual
SMALL = 0.1
LUCK = 0.001  # chance below which no column of a batch is constant by luck
MIDDLE = np.array([0.05, 0.95])  # quantiles between which a batch's values are, but for its tails
BEYOND = 2.0  # times the width of all values seen, by which a value is beyond them
SEEN = (0.001, 0.999)  # quantiles between which values were seen: a stray one was not
# Of the rows, and how many, from which on values beyond are no stray ones
BEYOND_SHARE, BEYOND_ROWS = 0.005, 20


def not_small(rows: Sequence[int]) -> list[bool]:
    """Return which batches, of so many rows, say what is usual."""
    enough = max(FEWEST_ROWS, SMALL * median(rows)) if rows else 0
    return [one >= enough for one in rows]


def find_suspects(batch: Sketch, earlier: Sequence[Sketch], params: Drift) -> dict[str, str]:
    """Return column -> why not to train on a new batch, a sentence each; empty where nothing speaks against it.

    A column that no longer varies, though it did in every earlier batch and so many rows do not
    agree by chance; one whose shift from the earlier batches is surely larger (by the lower bound
    of its interval) than is usual among them and `params.hold` beyond; one that holds few values,
    and now others (`value_sets.py`); one with values far beyond all that were seen; the label, called
    otherwise than ever (`label_rates.py`). A column that moves on from batch to batch, as a running
    number or a day does, is none of these. Empty as well where `hold` is None, where the batch has
    fewer than 100 rows, or where fewer than 3 came earlier that have as many and are not small
    beside the others, or these have fewer rows together than the new one: then nobody knows what is
    usual.
    """
    earlier = [
        one
        for one, says in zip(earlier, not_small([one.rows for one in earlier]), strict=True)
        if says
    ]
    known = (
        len(earlier) >= FEWEST_BATCHES
        and sum(one.rows for one in earlier) >= batch.rows >= FEWEST_ROWS
    )
    if params.hold is None or not known:
        return {}
    unknown = {name for name in batch.columns if not _is_known(name, earlier)}
    found = _find_fixed(batch, earlier, unknown)
    names = [name for name in batch.columns if name not in found and name not in unknown]
    short = batch.rows < SHORT * median(one.rows for one in earlier)  # a few days are no month
    far = () if short else surely_far(batch, earlier, params.hold, params.confidence, names)
    found |= {one.column: one.says for one in far}
    found |= find_off_grid(batch, earlier, params.confidence, without={*found, *unknown})
    found |= _find_beyond(batch, earlier, {*found, *unknown})
    if LABEL not in found and (says := find_label_rates(batch, earlier, params.confidence)):
        found[LABEL] = says
    return found


def _is_known(name: str, earlier: Sequence[Sketch]) -> bool:
    """Say whether 3 earlier batches hold values of a column, which vary and do not move on from batch to batch.

    A number moves on where most values of a batch were time and again above those of the batch
    before (or below). Of one that never varied (a month, a version) nobody knows what is usual, nor
    has a model learnt from it.
    """
    columns = [
        one.columns[name] for one in earlier if name in one.columns and one.columns[name].values
    ]
    numbers = [one for one in columns if isinstance(one, Numbers)]
    spans = [one.points[np.searchsorted(one.upto, MIDDLE * one.values)] for one in numbers]
    ahead = sum(
        int(after[0] > before[1]) - int(after[1] < before[0]) for before, after in pairwise(spans)
    )
    moves = bool(spans) and 2 * abs(ahead) >= len(spans) - 1
    varies = len({value for one in columns for value in _some_values(one)}) > 1
    return len(columns) >= FEWEST_BATCHES and varies and not moves


def _some_values(column: Column) -> list[float] | list[str]:
    """Return the least and the largest number, or the levels that have rows."""
    if isinstance(column, Numbers):
        return [float(column.points[0]), float(column.points[-1])]
    return [level for level, rows in column.counts.items() if rows]


def is_alike(
    batch: Sketch, first: Sketch, past: Sequence[Sketch], params: Drift, names: Collection[str]
) -> bool:
    """Say whether in columns `names`, in which both are odd beside `past`, the batch shows the same as the first one.

    It is no farther from it than batches usually are and `hold` beyond, and odd beside it in no way
    that the newest two of the past are not as well.
    """
    assert params.hold is not None
    if surely_far(batch, [first], params.hold, params.confidence, names, past):
        return False
    usual = _differ(past[-1], past[-2], params, names) if len(past) > 1 else set()
    return _differ(batch, first, params, names) <= usual


def _differ(batch: Sketch, first: Sketch, params: Drift, names: Collection[str]) -> set[str]:
    """Return the columns of `names` in which a batch is odd beside a single one."""
    only, twice = [name for name in batch.columns if name not in names], [first, first]
    off = find_off_grid(batch, twice, params.confidence, without=only)
    return {
        *off,
        *_find_beyond(batch, twice, only),
        *(name for name in _find_fixed(batch, twice) if name in names),
    }


def _find_fixed(
    batch: Sketch, earlier: Sequence[Sketch], without: Collection[str] = ()
) -> dict[str, str]:
    return {
        name: f"{name} {why}, and varied in each of {len(earlier)} earlier batches"
        for name, column in batch.columns.items()
        if name not in without
        and (why := _fixed(column))
        and all(name in one.columns and not _fixed(one.columns[name]) for one in earlier)
        and _chance(column, [one.columns[name] for one in earlier], days=batch.knows_days)
        < LUCK / len(batch.columns)
    }


def _find_beyond(
    batch: Sketch, earlier: Sequence[Sketch], without: Collection[str]
) -> dict[str, str]:
    return {
        name: f"{name} {why}"
        for name, column in batch.columns.items()
        if name not in without
        and (why := _beyond(column, [one.columns[name] for one in earlier if name in one.columns]))
    }


def _fixed(column: Column) -> str:
    """Return how a column does not vary, or an empty text."""
    if not column.values:
        return "" if column.facts.infinite else "is missing in every row"
    held = (
        column.points
        if isinstance(column, Numbers)
        else [name for name, rows in column.counts.items() if rows]
    )
    return (
        "" if len(held) > 1 or column.facts.infinite else f"is {held[0]!s} in every row that has it"
    )


def _chance(column: Column, earlier: Sequence[Column], *, days: bool) -> float:
    """Return the chance that as many rows as `column` has all draw its one value, or are all missing, as before.

    Rows are worth as many independent ones as the design effect of days says, or where no `days`
    are known that of
    batches: a week without rain is no fault.
    """
    missing = not column.values
    rows = np.array(
        [
            one.values + (one.facts.infinite + one.facts.missing if missing else 0)
            for one in earlier
        ],
        float,
    )
    drawn = np.array(
        [one.facts.missing if missing else _drawn(column, one) for one in earlier], float
    )
    alike = [
        one.facts.missing_design_effect if missing else one.facts.design_effect for one in earlier
    ]
    now = column.facts.missing if missing else column.values
    effect = float(np.average(alike, weights=rows))
    if not days:
        between = design_effect(np.column_stack([drawn, rows - drawn]), FEWEST_BATCHES)
        effect = max(effect, scale_effect(between, float(rows.mean()), now))
    return float((drawn.sum() / rows.sum()) ** (now / effect))


def _drawn(column: Column, before: Column) -> float:
    """Return how many rows had the one value of `column`; of several levels without rows, the most."""
    if isinstance(column, Numbers) and isinstance(before, Numbers):
        edges = np.array([np.nextafter(column.points[0], -np.inf), column.points[0]])
        return float(np.diff(before.count_upto(edges))[0])
    return float(max(before.counts.get(name, 0) for name in column.counts))  # type: ignore[union-attr]


def _beyond(column: Column, earlier: Sequence[Column]) -> str:
    """Say how many rows are far beyond the values seen, or nothing; a share that was usual is none.

    Nor is one that other values lead up to: prices that have grown ten times passed all values on
    their way.
    """
    before = [one for one in earlier if isinstance(one, Numbers) and one.values]
    if not isinstance(column, Numbers) or not column.values or not before:
        return ""
    points = np.concatenate([one.points for one in before])
    rows = np.concatenate([np.diff(one.upto, prepend=0) for one in before])
    low, high = np.quantile(points, SEEN, weights=rows, method="inverted_cdf")
    with np.errstate(over="ignore"):
        edges = np.array([low - BEYOND * (high - low), high + BEYOND * (high - low)])
    # Dry days do not say what rain is
    few = len(np.unique(points[(points >= low) & (points <= high)])) < FEWEST_VALUES
    if few or not np.isfinite(edges).all():
        return ""
    outside = np.array([np.nextafter(edges[0], -np.inf), edges[1]])
    share, *usual = (
        1 - float(np.diff(one.count_upto(outside))[0]) / one.values for one in (column, *before)
    )
    if share * column.values < BEYOND_ROWS or share < BEYOND_SHARE or share <= max(usual):
        return ""
    if not any(
        _leaps(sign * column.points, sign * edge, high - low)
        for sign, edge in zip((-1, 1), edges, strict=True)
    ):
        return ""
    return (
        f"has values far beyond the {low:.4g} to {high:.4g} of {len(before)} earlier batches in {percent(share)} of the "
        f"rows that have it ({column.points[0]:.4g} to {column.points[-1]:.4g})"
    )


def _leaps(points: Array, edge: float, width: float) -> bool:
    """Say whether there are points above the edge, and none for a width below the least of these."""
    above, upto = points[points > edge], points[points <= edge]
    return bool(len(above)) and (not len(upto) or above.min() - upto.max() >= width)
