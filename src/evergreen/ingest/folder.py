"""Folder: one file for each batch, in a local folder or behind any fsspec URL."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.ingest.dialect import Dialect, blank
from evergreen.ingest.listing import (
    READ,
    Listing,
    few,
    form_of,
    is_local,
    separator_of,
    sort_out,
    special,
)
from evergreen.ingest.memory import check_size, check_text
from evergreen.ingest.naming import natural
from evergreen.ingest.sources import Offer, first_line
from evergreen.ingest.tables import as_utf8, read_csv, read_parquet, unpacked
from evergreen.ingest.values import NULLS
from evergreen.params import Source as SourceParams
from evergreen.redact import expand

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

SETTLED = 1.0  # seconds for which a local file has been left alone before it is read


class Files:
    """One CSV, TSV or Parquet file per batch, in a local folder or behind any fsspec URL."""

    def __init__(self, params: SourceParams, dataset: Dataset) -> None:
        self.dataset, self.path = dataset, params.path or ""
        self.encoding, self.separator, self.nulls = params.encoding, params.separator, params.nulls
        self.dialect = Dialect(params.decimal, params.thousands, params.dates)
        self.passed_over: tuple[str, ...] = ()
        self._listed: tuple[AbstractFileSystem, Mapping[str, str]] | None = None

    def offers(self) -> list[Offer]:
        self._listed = filesystem, files = self._files()
        origins = {name: _origin(filesystem, files[name]) for name in sorted(files, key=natural)}
        return [Offer(name, origin) for name, origin in origins.items() if origin is not None]

    def read(self, name: str) -> pl.DataFrame:
        filesystem, files = self._listed or self._files()
        path = files.get(name, "")
        try:
            if not path:
                raise FileNotFoundError
            return blank(self._read(filesystem, path), self.nulls)
        except FileNotFoundError:
            raise InputError(
                f"batch {name!r} is no longer in {self.path!r}: deliver it again"
            ) from None
        except MemoryError:
            raise InputError(
                f"{path} does not fit into memory: cut it into smaller files, one for each batch"
            ) from None

    def _read(self, filesystem: AbstractFileSystem, path: str) -> pl.DataFrame:
        content, form = self._content(filesystem, path), form_of(path)
        assert form
        if form.packed:
            content = unpacked(content, path, form.packed)
        if form.kind == "parquet":
            return self._timed(read_parquet(content, path))
        separator = "\t" if form.kind == "tsv" else self.separator
        if form.kind == "txt":
            separator = (
                separator_of(content, self.encoding, self.dataset.known_in_time) or separator
            )
        check_text(content, separator, path)
        known = self.dataset.delivered if self.dataset.personal else None
        return self._plain(read_csv(as_utf8(content, path, self.encoding), path, separator, known))

    def _content(self, filesystem: AbstractFileSystem, path: str) -> bytes:
        """Return the bytes of a file that nobody writes to meanwhile."""
        if is_local(filesystem) and (wrong := special(path)):
            raise InputError(f"{path} is {wrong}, not a readable file: remove it from the source")
        try:
            _let_settle(path)
            before = filesystem.ukey(path)
            check_size(filesystem.size(path) or 0, path)
            content: bytes = filesystem.cat_file(path)
            whole = filesystem.ukey(path) == before
        except (FileNotFoundError, InputError, MemoryError):
            raise
        except Exception as error:  # whatever a remote file system raises
            raise InputError(f"{path} cannot be read ({first_line(error)})") from error
        if not whole:
            raise InputError(
                f"{path} is still being written: wait until it is complete, then run again"
            )
        if not content:
            raise InputError(f"{path} is empty (0 bytes): deliver it again")
        return content

    def _plain(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the fields of declared numbers and times as everybody writes them."""
        columns = []
        for name in (
            name
            for name in frame.columns
            if self.dataset.delivered.get(name, pl.String()) != pl.String()
        ):
            column = frame[name].str.strip_chars().replace(dict.fromkeys(NULLS))
            times = self.dataset.delivered[name].is_temporal()
            columns.append(
                self.dialect.read_times(column) if times else self.dialect.read_numbers(column)
            )
        return frame.with_columns(columns)

    def _timed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the texts and numbers of declared times as everybody writes times."""
        times = [
            self.dialect.read_times(frame[name].cast(pl.String))
            for name, dtype in frame.schema.items()
            if self.dataset.delivered.get(name, dtype).is_temporal()
            and (dtype == pl.String() or dtype.is_numeric())
        ]
        return frame.with_columns(times) if self.dialect.dates else frame

    def _files(self) -> tuple[AbstractFileSystem, Mapping[str, str]]:
        import fsspec

        try:
            filesystem, path = fsspec.core.url_to_fs(expand(self.path))
            filesystem.invalidate_cache()  # a listing kept from before would hide what is new
            if not any(sign in path for sign in "*?[") and filesystem.isdir(path):
                path = path.rstrip("/") + "/*"
            elif not any(sign in path for sign in "*?[") and not filesystem.exists(path):
                raise FileNotFoundError("there is nothing of that name")
            entries = filesystem.glob(path, detail=True)
        except Exception as error:  # whatever a remote file system raises
            # What ${NAME} holds stays there
            said = first_line(error).replace(os.path.expandvars(self.path), self.path)
            raise InputError(f"source.path: {self.path!r} cannot be listed ({said})") from None
        found: Listing = sort_out(
            filesystem,
            {str(path): entry for path, entry in entries.items()},
            self.encoding,
            self.dataset.known_in_time,
        )
        self.passed_over = found.passed_over
        if not found.files:
            besides = f"; passed over: {few(found.passed_over)}" if found.passed_over else ""
            raise InputError(
                f"source.path: {self.path!r} holds no file that ends in {READ}{besides}"
            )
        return filesystem, found.files


def _origin(filesystem: AbstractFileSystem, path: str) -> str | None:
    """Return what identifies the content of a file; None where the file has gone meanwhile."""
    try:
        return str(filesystem.ukey(path))
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever a remote file system raises
        raise InputError(f"{path} cannot be read ({first_line(error)})") from None


def _let_settle(path: str) -> None:
    """Wait until nobody has written to a local file for a moment: half a file may look whole."""
    with suppress(OSError):
        while (age := time.time() - Path(path).stat().st_mtime) < SETTLED and age >= 0:
            time.sleep(SETTLED - age)
