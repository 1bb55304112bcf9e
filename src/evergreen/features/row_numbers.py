"""Row numbers: which row of the delivered batch a row was, where no key names it.

Rows without a key are identified by a hash of what they hold, which says nothing to a person: here
it becomes a number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import polars as pl

from evergreen.dataset import Dataset
from evergreen.features.keys import hash_keys
from evergreen.features.split import CONTENT, Part, read_part
from evergreen.ingest.manifest import Manifest
from evergreen.project import Project
from evergreen.validation.report import QUARANTINE_ROW

ROW = "row"  # the first row below the header of a file is row 1
NTH = "nth_"  # of the rows that hold the same
SHOWN = 8  # columns of a row
LONGEST = 30  # characters of a value


def number_rows(
    dataset: Dataset, rows: pl.DataFrame, valid: pl.DataFrame, quarantined: pl.DataFrame
) -> pl.DataFrame:
    """Return `rows` with the number that each had when its batch was delivered.

    `rows`: made from the `valid` ones of the batch. Of rows that hold the same, the first is the
    first. Without numbers in `quarantined` there is none.
    """
    if QUARANTINE_ROW not in quarantined.columns:
        return rows.with_columns(pl.lit(None, pl.UInt32).alias(ROW))
    delivered = pl.int_range(1, valid.height + quarantined.height + 1, dtype=pl.UInt32, eager=True)
    numbers = delivered.filter(~delivered.is_in(quarantined[QUARANTINE_ROW].to_list()))
    content = pl.Series(CONTENT, hash_keys(valid, dataset.known_in_time))
    numbered = pl.DataFrame([content, numbers.alias(ROW)]).with_columns(_nth())
    found = rows.with_columns(_nth()).join(
        numbered, on=[CONTENT, NTH], how="left", maintain_order="left"
    )
    return found.drop(NTH)


def describe_rows(project: Project, dataset: Dataset, part: Part, at: Iterable[int]) -> list[str]:
    """Return a phrase for each row at these places of a part of the split.

    It names the batch, the row's number in it, and what it holds.
    """
    found: dict[int, str] = {}
    wanted, place = list(at), 0
    for batch in part.batches:
        rows = read_part(project, replace(part, batches=(batch,)), [CONTENT])
        here = [row for row in wanted if place <= row < place + rows.height]
        if here:
            texts = _describe_batch(project, dataset, batch, rows, [row - place for row in here])
            found.update(zip(here, texts, strict=True))
        place += rows.height
    return [found[row] for row in wanted]


def _describe_batch(
    project: Project, dataset: Dataset, batch: str, rows: pl.DataFrame, at: list[int]
) -> list[str]:
    valid = pl.read_parquet(Manifest(project.validated).file(batch))
    bad = Manifest(project.quarantine).file(batch)
    none = pl.DataFrame(schema={QUARANTINE_ROW: pl.UInt32})
    numbered = number_rows(dataset, rows, valid, pl.read_parquet(bad) if bad.exists() else none)[at]
    names = dataset.known_in_time
    content = valid.with_columns(pl.Series(CONTENT, hash_keys(valid, names))).unique(
        CONTENT, keep="first"
    )
    found = numbered.join(content, on=CONTENT, how="left", maintain_order="left").select(
        ROW, *names[:SHOWN]
    )
    more = ", ..." if len(names) > SHOWN else ""
    return [
        f"{batch}{f' row {row:,}' if row else ''}: "
        + ", ".join(map(_describe, names, values))
        + more
        for row, *values in found.rows()
    ]


def _describe(name: str, value: object) -> str:
    text = "missing" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return f"{name} {text if len(text) <= LONGEST else text[: LONGEST - 3] + '...'}"


def _nth() -> pl.Expr:
    return pl.int_range(pl.len(), dtype=pl.UInt32).over(CONTENT).alias(NTH)
