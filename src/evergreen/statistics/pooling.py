"""Pooling: the sketches of many batches as one, as if their rows had been one batch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import repeat

import numpy as np
import polars as pl

from evergreen.errors import InputError
from evergreen.statistics.columns import (
    POINTS,
    Array,
    Column,
    ColumnFacts,
    Count,
    Levels,
    Numbers,
)
from evergreen.statistics.sketch import SAMPLE, Sketch


def pool(sketches: Sequence[Sketch]) -> Sketch:
    """Return one sketch of the rows of all, of the columns that all have.

    Each batch weighs as its rows. Counts between the points of a batch are read off a line, so
    those of the pool are off by less than 1/1024 of that batch's rows. Raises InputError where
    there is no sketch, or a column is a number in one and a category in another.
    """
    if not sketches:
        raise InputError("no batch to pool: give one sketch at least")
    if len(sketches) == 1:
        return sketches[0]
    columns: dict[str, Column] = {
        name: _pool_column(parts) for name, parts in _shared(sketches).items()
    }
    rows = sum(sketch.rows for sketch in sketches)
    kept = [
        _spread_over(len(sketch.blocks), round(SAMPLE * sketch.rows / max(rows, SAMPLE)))
        for sketch in sketches
    ]
    sample = pl.concat(
        [sketch.sample.select(*columns)[some] for sketch, some in zip(sketches, kept, strict=True)]
    )
    # No two batches share a block
    starts = np.cumsum([0, *(sketch.blocks.max(initial=-1) + 1 for sketch in sketches)])
    blocks = [
        sketch.blocks[some] + start
        for sketch, some, start in zip(sketches, kept, starts, strict=False)
    ]
    return Sketch(rows, columns, sample, np.concatenate(blocks))


def pool_others(
    sketches: Sequence[Sketch], names: Collection[str] | None = None
) -> list[dict[str, Column]]:
    """Return for each sketch the columns of the pool of all others, of which there must be some.

    `names`: of which columns; all by default.
    """
    found: list[dict[str, Column]] = [{} for _ in sketches]
    for name, parts in _shared(sketches).items():
        if names is not None and name not in names:
            continue
        if not isinstance(parts[0], Numbers):
            for at, columns in enumerate(found):
                columns[name] = _pool_column([*parts[:at], *parts[at + 1 :]])
            continue
        points = _pool_points(parts)  # type: ignore[arg-type]
        below, upto = _counts_at(points, parts)  # type: ignore[arg-type]
        for at, columns in enumerate(found):
            facts = _pool_facts([*parts[:at], *parts[at + 1 :]])
            # The others are all less this one, which costs one pass for any number of batches
            before, within = ((counts.sum(axis=0) - counts[at]).clip(0) for counts in (below, upto))
            columns[name] = Numbers(points, before, within, facts)
    return found


def _shared(sketches: Sequence[Sketch]) -> dict[str, list[Column]]:
    """Return name -> the column in each sketch, of columns that all have."""
    found = {}
    for name in sketches[0].columns:
        if not all(name in sketch.columns for sketch in sketches):
            continue
        found[name] = [sketch.columns[name] for sketch in sketches]
        if len({type(column) for column in found[name]}) > 1:
            raise InputError(
                f"column {name!r} is a number in one batch and a category in another: "
                "run `evergreen run` to prepare them alike"
            )
    return found


def _pool_column(parts: Sequence[Column]) -> Column:
    categories = [part for part in parts if isinstance(part, Levels)]
    if categories:
        names = sorted({name for category in categories for name in category.counts})
        counts: dict[str, Count] = dict.fromkeys(names, 0)
        for category in categories:
            for name, rows in category.counts.items():
                counts[name] += rows
        return Levels(counts, _pool_facts(parts))
    points = _pool_points(parts)  # type: ignore[arg-type]
    below, upto = _counts_at(points, parts)  # type: ignore[arg-type]
    return Numbers(points, below.sum(axis=0), upto.sum(axis=0), _pool_facts(parts))


def _pool_points(parts: Sequence[Numbers]) -> Array:
    """Return the points of a pool: all of its parts', or some with equal rows between them."""
    points = np.concatenate([part.points for part in parts])
    rows = np.concatenate([np.diff(part.upto, prepend=0) for part in parts])
    order = np.argsort(points, kind="stable")
    points, rows = points[order], np.cumsum(rows[order])
    if len(unique := np.unique(points)) <= POINTS:
        return unique
    at = np.searchsorted(rows, np.linspace(0, 1, POINTS) * rows[-1]).clip(0, len(rows) - 1)
    return np.unique(np.concatenate([points[:1], points[at], points[-1:]]))


def _counts_at(points: Array, parts: Sequence[Numbers]) -> tuple[Array, Array]:
    """Return how many rows of each part are below, and at most, each point: (parts, points)."""
    before = np.nextafter(points, -np.inf)
    below, upto = ([part.count_upto(at) for part in parts] for at in (before, points))
    return np.array(below), np.array(upto)


def _pool_facts(parts: Sequence[Column]) -> ColumnFacts:
    """Return the facts of a pool: counts add up, a design effect is the mean over rows.

    For the variances of the parts' shares add as those of their counts do.
    """
    facts = [part.facts for part in parts]
    values = [part.values for part in parts]
    rows = [part.values + part.facts.missing + part.facts.infinite for part in parts]
    return ColumnFacts(
        sum(fact.missing for fact in facts),
        sum(fact.infinite for fact in facts),
        _mean([fact.design_effect for fact in facts], values),
        _mean([fact.missing_design_effect for fact in facts], rows),
    )


def _mean(effects: Sequence[float], rows: Sequence[Count]) -> float:
    weights = rows if sum(rows) else list(repeat(1, len(effects)))
    return float(np.average(effects, weights=weights))


def _spread_over(length: int, count: int) -> Array:
    """Return `count` places of `length`, or all, evenly spread."""
    kept = min(length, count)
    return np.arange(kept) * length // max(1, kept)
