"""Duplicates: training rows that repeat a row of another key, exactly or nearly.

Rows are told by hashes that are summed up over their columns: no more than a few
columns are in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from evergreen.features.columns import Columns
from evergreen.features.keys import KEY
from evergreen.features.split import GROUP, SLICE, TIME
from evergreen.finding import Finding, percent

BINS = 32  # of equal mass; numbers in the same one are nearly equal
Hashes = np.ndarray[Any, np.dtype[np.uint64]]


def find_duplicates(train: Columns) -> Iterator[Finding]:
    """Yield how many training rows repeat a row of another key, exactly or nearly."""
    keys, exact, near = _hash(train)
    nearly = f"the same label, categories and, in {BINS} quantile bins, numbers"
    for kind, words, values in (
        ("exact", "the same features and label", exact),
        ("near", nearly, near),
    ):
        count = _count_twins(values, keys)
        yield Finding(
            "duplicates",
            f"share of {kind} duplicates",
            count / train.height,
            f"{count:,} of {train.height:,} training rows ({percent(count / train.height)}) have "
            f"{words} as a row with another key: "
            + (
                "they count more than once."
                if kind == "exact"
                else "some may be the same thing, measured twice."
            ),
            bound="max_duplicates" if kind == "exact" else "",
        )


def _hash(train: Columns) -> tuple[Hashes, Hashes, Hashes]:
    """Return hashes of each row, shape (rows,): of its key, of what it holds, and that in bins."""
    keys, exact, near = (np.zeros(train.height, np.uint64) for _ in range(3))
    named = [name for name in train.names if name.startswith(KEY)]
    for at, column in enumerate(column for some in train.some(named) for column in some):
        keys += column.hash(seed=at).to_numpy()
    held = [
        name for name in train.names if name != TIME and not name.startswith((KEY, SLICE, GROUP))
    ]
    binned = pl.selectors.float().fill_nan(None).bin_quantiles(BINS, labels=False)
    for at, column in enumerate(column for some in train.some(held) for column in some):
        exact += column.hash(seed=at).to_numpy()
        near += column.to_frame().with_columns(binned).to_series().hash(seed=at).to_numpy()
    return keys, exact, near


def _count_twins(values: Hashes, keys: Hashes) -> int:
    """Return how many rows share their value (a hash) with a row of another key."""
    ordered = np.sort(values)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(repeated):
        return 0
    place = np.searchsorted(repeated, values).clip(max=len(repeated) - 1)
    alike = np.flatnonzero(repeated[place] == values)  # else a row is alone with its value
    twins = pl.DataFrame({"value": values[alike], "key": keys[alike]}).group_by("value")
    found = twins.agg(
        pl.len().alias("rows"),
        pl.col("key").min().alias("first"),
        pl.col("key").max().alias("last"),
    )
    return int(found.filter(pl.col("first") != pl.col("last"))["rows"].sum())
