"""Keys: row keys as numbers, which say what rows a model has learnt from in 8 bytes a row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from evergreen.dataset import RESERVED_STARTS

Hashes = np.ndarray[Any, np.dtype[np.uint64]]
KEY = RESERVED_STARTS[0]  # what the columns of a features file that name a row begin with
# Between the parts of a key, in place of one; control characters that no text holds
APART, MISSING = "\x1f", "\x1e"


def key_columns(rows: pl.DataFrame) -> list[str]:
    """Return the columns of a features file, or of predictions, that name a row."""
    return [name for name in rows.columns if name.startswith(KEY)]


def hash_rows(rows: pl.DataFrame) -> Hashes:
    """Return the hash of the key of each row of a features file, shape (rows,)."""
    return hash_keys(rows, key_columns(rows))


def hash_keys(rows: pl.DataFrame, columns: Iterable[str]) -> Hashes:
    """Return a 64-bit hash of the key in `columns` of each row, shape (rows,).

    The same on every machine and in every version (pandas' SipHash of the key as text). Among a
    million rows the chance that two keys share a hash is below one in ten million.
    """
    from pandas.util import hash_array

    parts = [pl.col(name).cast(pl.String).fill_null(MISSING) for name in columns]
    texts = rows.select(pl.concat_str(parts, separator=APART)).to_series()
    return np.asarray(
        hash_array(texts.to_numpy().astype(object), categorize=False), dtype=np.uint64
    )
