"""Inbox: batches delivered as files, and sources of files, for the tests of ingest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import month

from evergreen.errors import InputError
from evergreen.ingest.batches import ingest
from evergreen.ingest.sources import open_source
from evergreen.params import Source
from late_flights.dataset import dataset

MONTHS = ("2013-01", "2013-02", "2013-03")


def few(name: str, rows: int = 30) -> pl.DataFrame:
    """The first rows of a real month."""
    return month(name).head(rows)


def files(path: object, **options: Any) -> Any:
    """A source of files."""
    return open_source(Source(kind="files", path=str(path), **options), dataset)


def write(path: Path, frame: pl.DataFrame) -> None:
    """Write a file of a batch, in the format of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",", null_value="NA")


def refusal_of_ingest(
    site: Any, *parts: str, source: dict[str, Any] | None = None, **options: Any
) -> str:
    """What the InputError of an ingest says; it must hold all `parts`."""
    params = site.params(source=source) if source else site.params()
    with pytest.raises(InputError) as caught:
        ingest(site.project, site.dataset, params, **options)
    said = str(caught.value)
    assert [part for part in parts if part not in said] == [], said
    return said


def changed_files(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """The names of the files that differ."""
    return {Path(path).name for path in before | after if before.get(path) != after.get(path)}
