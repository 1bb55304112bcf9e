"""Sources: the places that batches come from.

A folder of files (`folder.py`), a SQL query (`database.py`), a module in Python (`module.py`).
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import polars as pl

from evergreen import code
from evergreen.dataset import Dataset
from evergreen.errors import BusyError, InputError
from evergreen.ingest.personal import Key, protect
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
    """Delivers batches by name."""

    @property
    def passed_over(self) -> tuple[str, ...]:
        """What `offers` found besides, each with why it is no batch."""

    def offers(self) -> list[Offer]:
        """Return what there is to take, in order of name."""

    def read(self, name: str) -> pl.DataFrame:
        """Return the rows of one batch as they are in the source."""


class Protected:
    """A source whose rows are as `personal` says, and whose errors quote none of their values."""

    def __init__(self, source: Source, dataset: Dataset, key: Key | None) -> None:
        self._source, self._dataset, self._key = source, dataset, key

    @property
    def passed_over(self) -> tuple[str, ...]:
        """What is no batch."""
        return self._source.passed_over

    def offers(self) -> list[Offer]:
        """Return what there is to take; without a key, with origins that nothing kept has."""
        offers, key = self._source.offers(), self._key
        if key is None:
            return offers
        return [replace(offer, origin=key.mark(offer.origin)) for offer in offers]

    def read(self, name: str) -> pl.DataFrame:
        """Return the rows of one batch. Raises BusyError for an error of other people's code."""
        try:
            return protect(self._source.read(name), self._dataset, self._key, name)
        except (InputError, MemoryError):
            raise
        except (Exception, pl.exceptions.PanicException) as error:
            raise BusyError(
                f"batch {name!r} cannot be read: {type(error).__name__}{_place(error)}; what it "
                "says is not shown, for it may quote a value of a personal column: read the batch "
                "by hand"
            ) from None


def open_source(params: SourceParams, dataset: Dataset, key: Key | None = None) -> Source:
    """Return the source that `params.yaml` names.

    `key`: that personal columns are hashed with; without it none of their rows is read.
    """
    from evergreen.ingest.database import Sql
    from evergreen.ingest.folder import Files
    from evergreen.ingest.module import Python

    kinds: dict[str, type[Files | Sql | Python]] = {"files": Files, "sql": Sql, "python": Python}
    source = kinds[params.kind](params, dataset)
    return Protected(source, dataset, key) if dataset.personal else source


def first_line(error: object) -> str:
    """Return what an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _place(error: BaseException) -> str:
    """Return where in the project's own code an error came up."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [(Path(frame.filename), frame.lineno) for frame in frames]
    own = [place for place in places if code.is_own(str(place[0])) and code.is_users(place[0])]
    return f" at {own[-1][0].name}, line {own[-1][1]}" if own else ""
