"""Places: which row of the delivered batch a row of features or of predictions was, where no key names it.

Rows without a key are known by a hash of what they hold, which tells a person nothing: here it
becomes a number.
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
    """Return `rows`, made from `valid` ones of a batch, with the number that each had when it was delivered.

    Of rows that hold the same, the first is the first. Without numbers in `quarantined` there is
    none.
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


def tell_rows(project: Project, dataset: Dataset, part: Part, at: Iterable[int]) -> list[str]:
    """Return, for the rows at these places of a part of the split, batch, number in it, and what they hold."""
    told: dict[int, str] = {}
    wanted, place = list(at), 0
    for batch in part.batches:
        rows = read_part(project, replace(part, batches=(batch,)), [CONTENT])
        here = [one for one in wanted if place <= one < place + rows.height]
        if here:
            texts = _tell_batch(project, dataset, batch, rows, [one - place for one in here])
            told.update(zip(here, texts, strict=True))
        place += rows.height
    return [told[one] for one in wanted]


def _tell_batch(
    project: Project, dataset: Dataset, batch: str, rows: pl.DataFrame, at: list[int]
) -> list[str]:
    valid = pl.read_parquet(Manifest(project.validated).file(batch))
    bad = Manifest(project.quarantine).file(batch)
    none = pl.DataFrame(schema={QUARANTINE_ROW: pl.UInt32})
    numbered = number_rows(dataset, rows, valid, pl.read_parquet(bad) if bad.exists() else none)[at]
    names = dataset.known_in_time
    held = valid.with_columns(pl.Series(CONTENT, hash_keys(valid, names))).unique(
        CONTENT, keep="first"
    )
    found = numbered.join(held, on=CONTENT, how="left", maintain_order="left").select(
        ROW, *names[:SHOWN]
    )
    more = ", ..." if len(names) > SHOWN else ""
    return [
        f"{batch}{f' row {row:,}' if row else ''}: " + ", ".join(map(_tell, names, values)) + more
        for row, *values in found.rows()
    ]


def _tell(name: str, value: object) -> str:
    text = "missing" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return f"{name} {text if len(text) <= LONGEST else text[: LONGEST - 3] + '...'}"


def _nth() -> pl.Expr:
    return pl.int_range(pl.len(), dtype=pl.UInt32).over(CONTENT).alias(NTH)
