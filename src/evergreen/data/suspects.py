"""Suspects: columns in which a new batch is so unlike all before it that a fault is likelier than a season."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evergreen.data.grid import find_off_grid
from evergreen.data.relations import find_odd
from evergreen.data.shift import surely_far
from evergreen.data.sketch import Column, Numbers, Sketch, pool
from evergreen.params import Drift

FEWEST_BATCHES = 3  # earlier ones, below which no batch is suspected
LUCK = 0.001  # chance below which a column is not constant by luck


def find_suspects(batch: Sketch, earlier: Sequence[Sketch], params: Drift) -> dict[str, str]:
    """Return column -> why not to train on a new batch, a sentence each; empty where nothing speaks against it.

    A column that no longer varies, though it did in every earlier batch and so many rows do not agree by chance; one
    whose shift from the earlier batches is surely larger (by the lower bound of its interval) than is usual among them
    and `params.hold` beyond; one that holds few values, and now others (`grid.py`); one that goes with the others as it
    never did (`relations.py`). Empty as well where `hold` is None, or fewer than 3 batches came earlier: then nobody
    knows what is usual.
    """
    if params.hold is None or len(earlier) < FEWEST_BATCHES:
        return {}
    before = pool(earlier)
    fixed = {
        name: f"{name} {why}, and varied in each of {len(earlier)} earlier batches"
        for name, column in batch.columns.items()
        if (why := _fixed(column))
        and all(name in one.columns and not _fixed(one.columns[name]) for one in earlier)
        and _chance(column, before.columns[name]) < LUCK
    }
    names = [name for name in batch.columns if name not in fixed]
    far = surely_far(batch, earlier, params.hold, params.confidence, names)
    found = fixed | {one.column: one.says for one in far}
    found |= find_off_grid(batch, earlier, params.confidence, without=found)
    return found | find_odd(batch, earlier, params, without=found)


def _fixed(column: Column) -> str:
    """Return how a column does not vary, or an empty text."""
    if not column.values:
        return "" if column.rest.infinite else "is missing in every row"
    held = column.points if isinstance(column, Numbers) else [name for name, rows in column.counts.items() if rows]
    return "" if len(held) > 1 or column.rest.infinite else f"is {held[0]!s} in every row that has it"


def _chance(column: Column, before: Column) -> float:
    """Return the chance that as many rows as `column` has all draw its one value, or are all missing, as before."""
    rows = before.values + before.rest.infinite + before.rest.missing
    if not column.values:
        return float((before.rest.missing / rows) ** (column.rest.missing / before.rest.alike_missing))
    if isinstance(column, Numbers) and isinstance(before, Numbers):
        edges = np.array([np.nextafter(column.points[0], -np.inf), column.points[0]])
        share = float(np.diff(before.count_upto(edges))[0]) / max(1, before.values)
    else:
        share = max(before.counts.get(name, 0) for name in column.counts) / max(1, before.values)  # type: ignore[union-attr]
    return float(share ** (column.values / before.rest.alike))
