"""Near duplicates: holdout rows that earlier rows repeat, exactly or nearly.

Nearly: but for one value, or for a little in each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evergreen.training.tables import Table, Tables

Array = np.ndarray[Any, np.dtype[Any]]

BLOCKS = 10  # of the rows before the holdout
# That a number is rounded to, or none: a little change seldom leaves its cell
CELLS = (None, 64, 8)
FEW = 4  # features up to which coarse cells would be alike in all rows
ROWS = 200_000  # before the holdout at most, the newest, that near copies are looked for among
AT_ONCE = 100_000  # rows that are hashed together: they are copied for that


def find_copies(tables: Tables) -> tuple[int, float]:
    """Return how many holdout rows repeat an earlier row exactly, and the share by coincidence.

    Features and label must be equal, all of them (missing equals missing). The share by coincidence
    is the largest of a block of earlier rows: the rows before the holdout are cut by time into ten
    blocks, and a row counts that another block has as well.
    """
    pool = np.concatenate([_hash(tables.train), _hash(tables.validation)])
    return int(is_among(_hash(tables.holdout), pool).sum()), _share_by_chance(pool)


def find_near_copies(tables: Tables) -> tuple[int, float]:
    """Return the same for rows that equal an earlier row but for one feature, and for rounding.

    Numbers are left as they are, or rounded to 64 and to 8 cells of equal size: what counts is the
    rounding that has most rows beyond what coincidence explains.
    """
    parts = tables.train, tables.validation
    first = max(0, sum(map(len, parts)) - ROWS)  # of both, one after the other
    known = slice(first, None), slice(max(0, first - len(tables.train)), None)
    y = np.concatenate([part.y[rows] for part, rows in zip(parts, known, strict=True)])
    best, columns = (0, 0.0), range(len(tables.features))

    def hashed(at: int, cells: int | None) -> tuple[Array, Array]:
        values = np.concatenate([part.x[rows, at] for part, rows in zip(parts, known, strict=True)])
        met = tables.holdout.x[:, at]
        if cells and tables.features[at] not in tables.categories:
            cuts = _cuts(values, cells)
            values, met = _cells_of(values, cuts), _cells_of(met, cuts)
        return _hash_column(values, at), _hash_column(met, at)

    for cells in CELLS if len(tables.features) > FEW else CELLS[:2]:
        # A column is hashed twice: the hashes of all of them would be twice as large as the rows
        pool, met = (_hash_column(labels, len(columns)) for labels in (y, tables.holdout.y))
        for at in columns:
            own = hashed(at, cells)
            pool, met = pool + own[0], met + own[1]
        found, among = np.zeros(len(met), dtype=bool), np.zeros(len(y), dtype=bool)
        for at in columns:
            own = hashed(at, cells)
            without, rows = pool - own[0], met - own[1]
            found |= is_among(rows, without)
            among |= _repeated_elsewhere(without)
        chance = _largest_share(among)
        if found.mean() - chance > best[0] / max(1, len(found)) - best[1]:
            best = int(found.sum()), chance
    return best


def _cuts(known: Array, cells: int) -> Array:
    """Return where to cut a number, so that so many cells hold as many of the known values each."""
    met = np.sort(known[~np.isnan(known)])
    # The first is the smallest
    inner = met[np.arange(cells) * len(met) // cells] if len(met) else met
    # Beyond them nothing is known
    return np.unique([*inner, *np.nextafter(met[-1:], np.float32(np.inf))])


def _cells_of(values: Array, cuts: Array) -> Array:
    return np.where(np.isnan(values), -1, np.searchsorted(cuts, values, side="right"))


def _hash_column(values: Array, at: int) -> Array:
    """Return a hash of each value, shape (rows,); `at`: the place of the column."""
    import polars as pl

    return pl.Series(values.astype(np.float32) + np.float32(0)).hash(seed=at).to_numpy()


def _share_by_chance(pool: Array) -> float:
    """Return the largest share of a block's rows that another block has as well.

    `pool`: hashes of rows, in order of time.
    """
    return _largest_share(_repeated_elsewhere(pool))


def _blocks(rows: int) -> Array:
    return np.arange(rows) * BLOCKS // max(1, rows)


def _largest_share(marked: Array) -> float:
    blocks = _blocks(len(marked))
    shares = np.bincount(blocks, marked) / np.maximum(np.bincount(blocks), 1)
    return float(shares.max(initial=0))


def _repeated_elsewhere(pool: Array) -> Array:
    """Return which rows another block has as well, shape (rows,)."""
    blocks = _blocks(len(pool))
    distinct, at, which = np.unique(pool, return_index=True, return_inverse=True)
    last = np.zeros(len(distinct), dtype=blocks.dtype)
    last[which] = blocks  # blocks ascend: the last one stays
    first = blocks[at]
    return np.asarray((first[which] != blocks) | (last[which] != blocks))


def is_among(rows: Array, known: Array) -> Array:
    """Return which of `rows` are among `known`, shape (rows,), at the cost of sorting `known`."""
    ordered = np.sort(known)
    return np.asarray(
        np.searchsorted(ordered, rows, side="left") < np.searchsorted(ordered, rows, side="right")
    )


def _hash(table: Table) -> Array:
    """Return a 64-bit hash of each row's features and label, shape (rows,).

    NaN equals NaN, and 0 equals -0.
    """
    import polars as pl

    def hashed(part: slice) -> Array:
        labels = pl.Series(table.y[part])
        return pl.from_numpy(table.x[part]).with_columns(label=labels).hash_rows().to_numpy()

    starts = range(0, max(1, len(table)), AT_ONCE)
    return np.concatenate([hashed(slice(start, start + AT_ONCE)) for start in starts])
