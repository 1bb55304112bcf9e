"""The places batches come from: the example, a folder of files, a SQL query. A new kind is one class here."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import polars as pl

from evergreen import dataset
from evergreen.errors import InputError
from evergreen.params import Source as SourceParams

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem
    from sqlalchemy import Engine

NULLS = ["", "NA", "NaN", "nan", "null", "NULL"]
SUFFIXES = (".csv", ".tsv", ".parquet")
PERIODS = {"day": ("1d", "%Y-%m-%d"), "week": ("1w", "%G-W%V"), "month": ("1mo", "%Y-%m"), "year": ("1y", "%Y")}


@dataclass(frozen=True)
class Offer:
    """A batch that a source can deliver; `origin` changes whenever the source knows its content has."""

    name: str
    origin: str


class Source(Protocol):
    """Delivers batches by name."""

    def offers(self) -> list[Offer]:
        """Return what there is to take, in order of name."""

    def read(self, name: str) -> pl.DataFrame:
        """Return the rows of one batch as they are in the source."""


def open_source(params: SourceParams) -> Source:
    """Return the source that `params.yaml` names."""
    kinds: dict[str, type[Example | Files | Sql]] = {"example": Example, "files": Files, "sql": Sql}
    return kinds[params.kind](params)


def typed(frame: pl.DataFrame, columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return `frame` with each declared column in its declared type where every value allows it.

    A column with a value that does not fit stays as it was: nothing is lost, and validation names the rows.
    """
    changes = []
    for name in frame.columns:
        if name in columns and frame.schema[name] != columns[name]:
            cast = parse(frame[name], columns[name])
            if cast.null_count() == frame[name].null_count():
                changes.append(cast)
    return frame.with_columns(changes)


def parse(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return `column` as `dtype`, null where a value does not fit."""
    if column.dtype == pl.String() and dtype.is_temporal():
        try:
            moments = column.str.to_datetime(strict=False, time_unit="us")
        except pl.exceptions.ComputeError:  # no value looks like a date
            return pl.Series(column.name, [None] * len(column), dtype=dtype)
        if getattr(moments.dtype, "time_zone", None):
            moments = moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return moments.cast(dtype, strict=False)
    if column.dtype == pl.String() and dtype == pl.Boolean():
        return column.str.to_lowercase().replace_strict(
            {"true": True, "1": True, "false": False, "0": False}, default=None, return_dtype=pl.Boolean
        )
    if column.dtype.is_float() and dtype.is_integer():  # 2.5 is not an integer: a cast would cut it to 2
        whole = pl.select(pl.when(column == column.round()).then(column)).to_series()
        return whole.alias(column.name).cast(dtype, strict=False)
    return column.cast(dtype, strict=False)


class Example:
    """The reference data of `dataset.py`."""

    def __init__(self, params: SourceParams) -> None:
        pass

    def offers(self) -> list[Offer]:
        origin = dataset.example_origin()
        return [Offer(name, origin) for name in sorted(dataset.example_batches())]

    def read(self, name: str) -> pl.DataFrame:
        return dataset.read_example(name)


class Files:
    """One CSV, TSV or Parquet file per batch, in a local folder or behind any fsspec URL."""

    def __init__(self, params: SourceParams) -> None:
        self.path = params.path or ""
        self.encoding, self.separator = params.encoding, params.separator

    def offers(self) -> list[Offer]:
        filesystem, files = self._files()
        return [Offer(name, filesystem.ukey(path)) for name, path in sorted(files.items())]

    def read(self, name: str) -> pl.DataFrame:
        filesystem, files = self._files()
        path = files[name]
        content = filesystem.cat_file(path)
        if not content:
            raise InputError(f"{path} is empty (0 bytes): deliver it again")
        try:
            if path.endswith(".parquet"):
                return pl.read_parquet(io.BytesIO(content))
            return pl.read_csv(
                self._as_utf8(content, path),
                separator="\t" if path.endswith(".tsv") else self.separator,
                null_values=NULLS,
                infer_schema=False,
            )
        except (pl.exceptions.PolarsError, OSError) as error:
            kind = "Parquet" if path.endswith(".parquet") else "CSV"
            raise InputError(
                f"{path} cannot be read as {kind} ({_first_line(error)}): it is cut short or damaged; deliver it again"
            ) from None

    def _as_utf8(self, content: bytes, path: str) -> bytes:
        encoding = "utf-8-sig" if self.encoding.lower().replace("-", "") == "utf8" else self.encoding
        try:
            return content.decode(encoding).encode()
        except LookupError:
            raise InputError(f"source.encoding: there is no encoding called {self.encoding!r}") from None
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise InputError(
                f"{path}, line {line}: byte 0x{content[error.start]:02x} is not {self.encoding}: "
                "set source.encoding in params.yaml to the file's encoding, for instance cp1252 or latin-1"
            ) from None

    def _files(self) -> tuple[AbstractFileSystem, dict[str, str]]:
        import fsspec

        try:
            filesystem, path = fsspec.core.url_to_fs(self.path)
            if not any(sign in path for sign in "*?[") and filesystem.isdir(path):
                path = path.rstrip("/") + "/*"
            found = [str(one) for one in filesystem.glob(path) if str(one).endswith(SUFFIXES)]
        except (ValueError, ImportError, OSError) as error:
            raise InputError(f"source.path: {self.path!r} cannot be listed ({_first_line(error)})") from None
        if not found:
            raise InputError(f"source.path: {self.path!r} holds no file that ends in {', '.join(SUFFIXES)}")
        files: dict[str, str] = {}
        for one in found:
            name = one.rsplit("/", 1)[-1].rsplit(".", 1)[0]
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
                raise InputError(f"{one}: a batch is called like its file: use letters, digits, '.', '_' and '-' only")
            if name in files:
                raise InputError(f"{files[name]} and {one} would both be the batch {name!r}: rename one")
            files[name] = one
        return filesystem, files


class Sql:
    """One finished period (day, week, month, year) of a query's rows per batch, by the event time."""

    def __init__(self, params: SourceParams) -> None:
        self.url, self.query, self.period = params.url or "", (params.query or "").rstrip(" ;\n"), params.period

    def offers(self) -> list[Offer]:
        return [Offer(name, f"{self.period} {name}") for name in self._periods()]

    def read(self, name: str) -> pl.DataFrame:
        start, end = self._periods()[name]
        rows = self._select(f"* FROM ({self.query}) AS batch WHERE {dataset.TIME} >= :start AND {dataset.TIME} < :end",
                            start=start, end=end)  # fmt: skip
        return rows.sort([name for name in (dataset.TIME, *dataset.KEY) if name in rows.columns])

    def _periods(self) -> dict[str, tuple[datetime, datetime]]:
        edges = self._select(
            f"MIN({dataset.TIME}) AS oldest, MAX({dataset.TIME}) AS newest FROM ({self.query}) AS batch"
        )
        oldest, newest = (parse(edges[name], pl.Datetime("us")).item() for name in ("oldest", "newest"))
        if oldest is None or newest is None:
            raise InputError(f"source.query returns no row with a time in {dataset.TIME!r}")
        every, form = PERIODS[self.period]
        starts = pl.select(
            pl.datetime_range(pl.lit(oldest).dt.truncate(every), pl.lit(newest).dt.offset_by(every), every)
        ).to_series()
        finished = max(newest, datetime.now(UTC).replace(tzinfo=None))
        pairs = pairwise(starts)
        return {start.strftime(form): (start, end) for start, end in pairs if end <= finished}

    def _select(self, what: str, **bounds: datetime) -> pl.DataFrame:
        from sqlalchemy import text
        from sqlalchemy.exc import SQLAlchemyError

        try:
            engine = self._engine()
            # SQLite keeps times as text: an ISO date sorts right before every moment of its day.
            given = {
                key: at.strftime("%Y-%m-%d") if engine.dialect.name == "sqlite" else at for key, at in bounds.items()
            }
            with engine.connect() as connection:
                return pl.read_database(text(f"SELECT {what}"), connection, execute_options={"parameters": given})
        except (SQLAlchemyError, ImportError) as error:
            raise InputError(f"source.query failed: {_first_line(getattr(error, 'orig', None) or error)}") from None

    def _engine(self) -> Engine:
        from sqlalchemy import create_engine, make_url

        url = os.path.expandvars(self.url)
        if lacking := re.findall(r"[$][{](\w+)[}]", url):
            raise InputError(f"source.url: the environment lacks {', '.join(lacking)}")
        if url == self.url and make_url(url).password:
            raise InputError("source.url holds a password: put the URL into the environment and write ${NAME} here")
        return create_engine(url)


def _first_line(error: object) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
