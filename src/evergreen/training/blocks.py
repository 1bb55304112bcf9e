"""Blocks: rows of the split, encoded batch by batch, in memory or in a file.

So never more than one batch is there as a table besides what a learner takes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    import polars as pl

    from evergreen.features.encoder import Encoder
    from evergreen.features.split import Part
    from evergreen.project import Project
    from evergreen.training.tables import Table

Array = np.ndarray[Any, np.dtype[np.float32]]
Numbers = np.ndarray[Any, np.dtype[Any]]


def encode_parts(
    project: Project, parts: list[Part], encoder: Encoder, *, on_disk: bool = False
) -> Table:
    """Return the encoded rows of `parts`, one after the other.

    `on_disk`: their features, and the hashes of their keys, lie in files below `stores/`, mapped
    into memory (`np.memmap`), which the operating system drops from memory where it needs the room.
    The files have no name any more, so a killed run leaves none.
    """
    from evergreen.features.keys import hash_rows
    from evergreen.features.split import LABEL
    from evergreen.training.tables import Table

    y, keys = [np.empty(0, np.float32)], [np.empty(0, np.uint64)]

    def blocks() -> Iterator[Array]:
        for rows in _read(project, parts, encoder):
            y.append(encoder.transform_label(rows[LABEL]))
            keys.append(hash_rows(rows))
            yield encoder.transform(rows)

    if on_disk:
        x = _write(blocks(), len(encoder.features), project.stores)
        hashes = _write((part[:, np.newaxis] for part in keys), 1, project.stores, np.uint64)
        return Table(x, np.concatenate(y), hashes.reshape(-1))
    x = _fill(blocks(), len(encoder.features), _most_rows(project, parts))
    return Table(x, np.concatenate(y), np.concatenate(keys))


def _read(project: Project, parts: list[Part], encoder: Encoder) -> Iterator[pl.DataFrame]:
    """Yield the rows of each batch of each part, less the columns that no model takes."""
    from polars import selectors

    from evergreen.features.keys import KEY
    from evergreen.features.split import LABEL, read_part

    columns = selectors.starts_with(KEY) | selectors.by_name(
        LABEL, *encoder.features, require_all=False
    )
    for part in parts:
        for name in part.batches:
            yield read_part(project, replace(part, batches=(name,)), [columns])


def _most_rows(project: Project, parts: list[Part]) -> int:
    import polars as pl

    files = (project.features / f"{name}.parquet" for part in parts for name in part.batches)
    return sum(int(pl.scan_parquet(file).select(pl.len()).collect().item()) for file in files)


def _fill(blocks: Iterator[Array], columns: int, most: int) -> Array:
    """Return all rows as an array; `most`: rows that there may be."""
    x, end = np.empty((most, columns), np.float32), 0
    for block in blocks:
        x[end : end + len(block)] = block
        end += len(block)
    if end < most:  # gives the rest back, which was never touched
        x.resize((end, columns), refcheck=False)
    return x


def _write(
    blocks: Iterator[Numbers], columns: int, folder: Path, kind: type[Any] = np.float32
) -> Numbers:
    """Return all rows as an array that lies in a file without a name in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".part-{os.getpid()}-", suffix=".rows")
    path = Path(name)
    try:
        with closing(os.fdopen(handle, "wb")) as file:
            rows = _append(blocks, file)
        if not rows:
            return np.empty((0, columns), kind)
        return np.memmap(path, kind, "r", shape=(rows, columns))
    finally:
        path.unlink()


def _append(blocks: Iterator[Numbers], file: BinaryIO) -> int:
    rows = 0
    for block in blocks:
        file.write(np.ascontiguousarray(block).data)
        rows += len(block)
    return rows
