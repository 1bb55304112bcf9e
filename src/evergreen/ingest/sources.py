"""Sources: the places that batches come from.

A folder of files (`folder.py`), a SQL query (`database.py`), a module in Python (`module.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import polars as pl

from evergreen.dataset import Dataset
from evergreen.params import Source as SourceParams

PERIODS = {
    "day": ("1d", "%Y-%m-%d"),
    "week": ("1w", "%G-W%V"),
    "month": ("1mo", "%Y-%m"),
    "year": ("1y", "%Y"),
}


@dataclass(frozen=True)
class Offer:
    """A batch that a source can deliver; `origin` changes whenever its content is known to have."""

    name: str
    origin: str
    may_be_empty: bool = False  # a day on which nothing happened is no mistake


class Source(Protocol):
    """Delivers batches by name.

    `passed_over`: what `offers` found besides, each with why it is no batch.
    """

    passed_over: tuple[str, ...]

    def offers(self) -> list[Offer]:
        """Return what there is to take, in order of name."""

    def read(self, name: str) -> pl.DataFrame:
        """Return the rows of one batch as they are in the source."""


def open_source(params: SourceParams, dataset: Dataset) -> Source:
    """Return the source that `params.yaml` names."""
    from evergreen.ingest.database import Sql
    from evergreen.ingest.folder import Files
    from evergreen.ingest.module import Python

    kinds: dict[str, type[Files | Sql | Python]] = {"files": Files, "sql": Sql, "python": Python}
    return kinds[params.kind](params, dataset)


def first_line(error: object) -> str:
    """Return what an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
