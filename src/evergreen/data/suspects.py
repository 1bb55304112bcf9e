"""Suspects: columns in which a new batch is so unlike all before it that a fault is likelier than a season."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evergreen.data.finding import percent
from evergreen.data.grid import find_off_grid
from evergreen.data.relations import find_odd
from evergreen.data.shift import FEWEST_BATCHES, surely_far
from evergreen.data.sketch import Column, Numbers, Sketch
from evergreen.params import Drift

Array = np.ndarray[Any, np.dtype[Any]]
SMALL = 0.1  # of the rows that batches usually have, below which an earlier one says nothing of what is usual
LUCK = 0.001  # chance below which a column is not constant by luck
BEYOND = 2.0  # times the width of all values seen, by which a value is beyond them
BEYOND_SHARE, BEYOND_ROWS = 0.005, 20  # of the rows, and how many, from which on values beyond are no stray ones


def find_suspects(batch: Sketch, earlier: Sequence[Sketch], params: Drift) -> dict[str, str]:
    """Return column -> why not to train on a new batch, a sentence each; empty where nothing speaks against it.

    A column that no longer varies, though it did in every earlier batch and so many rows do not agree by chance; one
    whose shift from the earlier batches is surely larger (by the lower bound of its interval) than is usual among them
    and `params.hold` beyond; one that holds few values, and now others (`grid.py`); one with values far beyond all that
    were seen; one that goes with the others as it never did (`relations.py`). Empty as well where `hold` is None, or
    fewer than 3 batches came earlier that are not small beside the others: then nobody knows what is usual.
    """
    enough = SMALL * float(np.median([one.rows for one in earlier])) if earlier else 0.0
    earlier = [one for one in earlier if one.rows >= enough]
    if params.hold is None or len(earlier) < FEWEST_BATCHES:
        return {}
    fixed = {
        name: f"{name} {why}, and varied in each of {len(earlier)} earlier batches"
        for name, column in batch.columns.items()
        if (why := _fixed(column))
        and all(name in one.columns and not _fixed(one.columns[name]) for one in earlier)
        and _chance(column, [one.columns[name] for one in earlier]) < LUCK
    }
    names = [name for name in batch.columns if name not in fixed]
    far = surely_far(batch, earlier, params.hold, params.confidence, names)
    found = fixed | {one.column: one.says for one in far}
    found |= find_off_grid(batch, earlier, params.confidence, without=found)
    found |= {
        name: f"{name} {why}"
        for name, column in batch.columns.items()
        if name not in found and (why := _beyond(column, [one.columns[name] for one in earlier if name in one.columns]))
    }
    return found | find_odd(batch, earlier, params, without=found)


def _fixed(column: Column) -> str:
    """Return how a column does not vary, or an empty text."""
    if not column.values:
        return "" if column.rest.infinite else "is missing in every row"
    held = column.points if isinstance(column, Numbers) else [name for name, rows in column.counts.items() if rows]
    return "" if len(held) > 1 or column.rest.infinite else f"is {held[0]!s} in every row that has it"


def _chance(column: Column, earlier: Sequence[Column]) -> float:
    """Return the chance that as many rows as `column` has all draw its one value, or are all missing, as before.

    Rows are worth as many independent ones as the design effect says, that of days or that of batches, which the latter
    have too where they are too short to have one of days: a week without rain is no fault.
    """
    missing = not column.values
    rows = np.array([one.values + (one.rest.infinite + one.rest.missing if missing else 0) for one in earlier], float)
    alike = [one.rest.alike_missing if missing else one.rest.alike for one in earlier]
    share, effect = _share([one.rest.missing if missing else _drawn(column, one) for one in earlier], rows)
    drawn = column.rest.missing if missing else column.values
    return float(share ** (drawn / max(effect, float(np.average(alike, weights=rows)))))


def _drawn(column: Column, before: Column) -> float:
    """Return how many rows had the one value of `column`; of several levels without rows, the most."""
    if isinstance(column, Numbers) and isinstance(before, Numbers):
        edges = np.array([np.nextafter(column.points[0], -np.inf), column.points[0]])
        return float(np.diff(before.count_upto(edges))[0])
    return float(max(before.counts.get(name, 0) for name in column.counts))  # type: ignore[union-attr]


def _share(drawn: Sequence[float], rows: Array) -> tuple[float, float]:
    """Return the share of all rows, and how many times its variance between batches exceeds that of free rows."""
    share = float(sum(drawn) / rows.sum())
    free = share * (1 - share) * rows.sum()
    apart = float(np.square(np.array(drawn) - share * rows).sum()) * len(rows) / (len(rows) - 1)
    return share, apart / free if free else 1.0


def _beyond(column: Column, earlier: Sequence[Column]) -> str:
    """Say how many rows are far beyond every value seen, or nothing; a share that was usual is none."""
    before = [one for one in earlier if isinstance(one, Numbers) and one.values]
    if not isinstance(column, Numbers) or not column.values or len(before) < FEWEST_BATCHES:
        return ""
    share, low, high = _far_out(column, before)
    usual = max(_far_out(one, [*before[:at], *before[at + 1 :]])[0] for at, one in enumerate(before))
    if share * column.values < BEYOND_ROWS or share < BEYOND_SHARE or share <= usual:
        return ""
    return (
        f"has values far beyond the {low:.4g} to {high:.4g} of {len(before)} earlier batches in {percent(share)} of the "
        f"rows that have it ({column.points[0]:.4g} to {column.points[-1]:.4g})"
    )


def _far_out(column: Numbers, seen: Sequence[Numbers]) -> tuple[float, float, float]:
    """Return the share of rows further outside what was seen than so many times its width, and from where to where."""
    low, high = min(float(one.points[0]) for one in seen), max(float(one.points[-1]) for one in seen)
    with np.errstate(over="ignore"):
        wide = np.float64(BEYOND) * (np.float64(high) - np.float64(low))
        edges = np.array([np.nextafter(low - wide, -np.inf), high + wide])
    if not 0 < wide < np.inf:
        return 0.0, low, high
    below, upto = column.count_upto(edges)
    return float(below + column.values - upto) / column.values, low, high
