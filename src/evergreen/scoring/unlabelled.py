"""Unlabelled: rows that are to be scored, from a file or a batch of `data/raw/`, read and checked.

What is known only later (known_later) may be there or not: it is never used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.ingest.folder import Files
from evergreen.ingest.listing import READ, form_of
from evergreen.ingest.manifest import Manifest
from evergreen.ingest.personal_key import key_of
from evergreen.ingest.sources import Protected, Source
from evergreen.ingest.values import typed
from evergreen.params import Source as SourceParams
from evergreen.project import Project
from evergreen.redact import expand, holds_secret
from evergreen.validation.contract import Contract
from evergreen.validation.report import Outcome
from evergreen.validation.validate import read_raw

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"  # of a batch; it becomes a folder


@dataclass(frozen=True)
class Given:
    """Rows to be scored, shape (rows, columns as delivered), and what their batch is called."""

    batch: str
    rows: pl.DataFrame = field(repr=False)


def read_given(
    project: Project, dataset: Dataset, source: SourceParams, path: str, name: str | None = None
) -> Given:
    """Return the rows of a file, or of a batch in `data/raw/`.

    The file is CSV, TSV or Parquet, local or behind any fsspec URL. Encoding and separator are
    those of `source`; the batch is called `name`, or after its file. Raises InputError for a file
    that is not there, cannot be read whole or holds no row, and for an impossible name.
    """
    raw = find_given(project, path)
    form = form_of(path)
    batch = name or (form.batch if form else path)
    if not re.fullmatch(NAME, batch):
        raise InputError(
            f"{batch!r} cannot be the name of a batch: use only letters, digits, '.', '_' and '-', "
            f"at most 100; `evergreen score {path} --name NAME` sets another name"
        )
    if raw:
        raw.check(Path(path).stem)
        rows = read_raw(Path(path))
    else:
        file: Source = _File(source.model_copy(update={"path": path}), dataset)
        if dataset.personal:
            file = Protected(file, dataset, key_of(project, dataset))
        rows = typed(file.read(path), dataset.columns)
    if not set(rows.columns) & set(dataset.columns):
        raise InputError(
            f"{path} has none of the columns that dataset.py declares, but "
            f"{', '.join(rows.columns[:5])}: is source.separator ({source.separator!r}) the file's?"
        )
    if rows.is_empty():
        raise InputError(f"{path} has no rows: there is nothing to score; deliver it again")
    return Given(batch, rows)


def find_given(project: Project, path: str) -> Manifest | None:
    """Return the manifest of `data/raw/` where `path` is a batch of it, else None.

    Raises InputError where it can be no file to score; what is behind a URL is not asked.
    """
    if holds_secret(path):  # it would be shown and kept with the run
        raise InputError(
            f"{path} holds a password or a token: put the address into the environment (`export "
            "URL=...`), and pass '${URL}' in single quotes"
        )
    local = None if "://" in path or path.startswith("$") else Path(path)
    if not form_of(path):
        raise InputError(f"{path}: a file to score ends in {READ}: rename it, or name another")
    if local and local.resolve().parent == project.raw.resolve():
        raw = Manifest(project.raw)
        if local.stem not in raw.entries:
            raise InputError(
                f"data/raw holds no batch {local.stem!r}; `evergreen status` lists them"
            )
        return raw
    if local and not local.is_file():
        raise InputError(f"{path}: there is no such file: name one that is there")
    return None


class BadRowsError(InputError):
    """Rows of which too many are bad, or that are bad as a whole.

    `outcome`: what was found, with the bad rows and why they are.
    """

    def __init__(self, outcome: Outcome) -> None:
        batch, self.outcome = outcome.report.batch, outcome
        faults = "\n".join(f"  {fault}" for fault in outcome.report.faults)
        super().__init__(
            f"batch {batch!r} is bad, and no row of it was scored:\n{faults}\n"
            "correct it and score it again, or change what is expected, in dataset.py (columns), "
            "expectations.py or params.yaml (validate)"
        )


def check_given(given: Given, contract: Contract) -> Outcome:
    """Return the rows split as any batch's: valid rows in declared types, and quarantined ones.

    Nothing known only later is in the valid rows. Raises BadRowsError where the batch as a whole
    is bad.
    """
    dataset = contract.dataset
    if unknown := [name for name in (*dataset.key, dataset.time) if name in dataset.known_later]:
        raise InputError(
            f"dataset.py: {unknown[0]!r} is in known_later, but key or time needs it: "
            "rows cannot be scored without it"
        )
    outcome = contract.check(given.rows, given.batch, labelled=False)
    if outcome.report.faults:
        raise BadRowsError(outcome)
    return outcome


class _File(Files):
    """One file, whatever it is called."""

    def _files(self) -> tuple[AbstractFileSystem, Mapping[str, str]]:
        import fsspec

        try:
            filesystem, path = fsspec.core.url_to_fs(expand(self.path))
            there = filesystem.isfile(path)
        except Exception as error:  # whatever a remote file system raises
            raise InputError(f"{self.path} cannot be read ({error})") from None
        if not there:
            raise InputError(f"{self.path}: there is no such file: name one that is there")
        return filesystem, {self.path: path}
