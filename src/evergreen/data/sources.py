"""The places batches come from: a folder of files, a SQL query, a module in Python. A new kind is one class here."""

from __future__ import annotations

import codecs
import importlib
import io
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import polars as pl

from evergreen import dataset
from evergreen.data.dialect import ISO_LIKE, Dialect
from evergreen.errors import InputError
from evergreen.files import sha256_of_code
from evergreen.params import Source as SourceParams
from evergreen.redact import expand, redact, redact_error

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem
    from sqlalchemy import Engine

RESERVED = ("manifest", "split", "encoder", "held")
SETTLED = 1.0  # seconds for which a local file has been left alone before it is read
# In a column of numbers or dates these say that there is none; in a column of text "NA" is a name like any other.
NULLS = ["", "-", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "None", "null", "NULL"]
SUFFIXES = (".csv", ".tsv", ".parquet")
PERIODS = {"day": ("1d", "%Y-%m-%d"), "week": ("1w", "%G-W%V"), "month": ("1mo", "%Y-%m"), "year": ("1y", "%Y")}


@dataclass(frozen=True)
class Offer:
    """A batch that a source can deliver; `origin` changes whenever the source knows its content has."""

    name: str
    origin: str
    may_be_empty: bool = False  # a day on which nothing happened is no mistake


class Source(Protocol):
    """Delivers batches by name."""

    def offers(self) -> list[Offer]:
        """Return what there is to take, in order of name."""

    def read(self, name: str) -> pl.DataFrame:
        """Return the rows of one batch as they are in the source."""


def open_source(params: SourceParams) -> Source:
    """Return the source that `params.yaml` names."""
    kinds: dict[str, type[Files | Sql | Python]] = {"files": Files, "sql": Sql, "python": Python}
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
    """Return `column` as `dtype`, null where a value does not fit: nothing is rounded, cut or made up."""
    try:
        parsed = _parse_text(column, dtype) if column.dtype == pl.String() else _parse_value(column, dtype)
        if parsed.dtype == dtype:
            return parsed
        raise TypeError
    except (pl.exceptions.PolarsError, TypeError):  # no value of such a column can become such a value
        return pl.Series(column.name, [None] * len(column), dtype=dtype)


def _parse_text(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if dtype == pl.String():
        return column
    column = column.str.strip_chars()
    if dtype == pl.Boolean():
        words = {"true": True, "1": True, "false": False, "0": False}
        return column.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
    if dtype == pl.Time():
        return column.str.to_time(strict=False)
    if not dtype.is_temporal():
        return column.cast(dtype, strict=False)
    iso = pl.select(pl.when(column.str.contains(ISO_LIKE)).then(column)).to_series()  # no guess which way 03/04 is
    moments = iso.str.to_datetime(strict=False, time_unit="us")
    finer = column.str.contains(r"\.[0-9]{6}[0-9]*[1-9]")  # than microseconds: they would be cut
    moments = pl.select(pl.when(~finer).then(moments)).to_series().alias(column.name)
    if getattr(moments.dtype, "time_zone", None):
        moments = moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return _unchanged(moments, moments.cast(dtype, strict=False))


def _parse_value(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if column.dtype.is_temporal() != dtype.is_temporal() and dtype != pl.String() and column.dtype != pl.Null():
        raise TypeError  # a number is no date
    cast = column.cast(dtype, strict=False)
    return cast if dtype.is_float() or dtype == pl.String() else _unchanged(column, cast)


def _unchanged(before: pl.Series, after: pl.Series) -> pl.Series:
    """Return `after`, null where it does not lead back to `before`."""
    back = after.cast(before.dtype, strict=False)
    return pl.select(pl.when(back == before).then(after)).to_series().alias(after.name)


class Files:
    """One CSV, TSV or Parquet file per batch, in a local folder or behind any fsspec URL, listed by `offers`."""

    def __init__(self, params: SourceParams) -> None:
        self.path = params.path or ""
        self.encoding, self.separator = params.encoding, params.separator
        self.dialect = Dialect(params.decimal, params.thousands, params.dates)
        self._listed: tuple[AbstractFileSystem, dict[str, str]] | None = None

    def offers(self) -> list[Offer]:
        self._listed = filesystem, files = self._files()
        return [Offer(name, filesystem.ukey(path)) for name, path in sorted(files.items())]

    def read(self, name: str) -> pl.DataFrame:
        filesystem, files = self._listed or self._files()
        path = files.get(name, "")
        try:
            if not path:
                raise FileNotFoundError
            _let_settle(path)
            before = filesystem.ukey(path)
            content = filesystem.cat_file(path)
            whole = filesystem.ukey(path) == before
        except FileNotFoundError:
            raise InputError(f"batch {name!r} is no longer in {self.path!r}: deliver it again") from None
        except Exception as error:  # whatever a remote file system raises
            raise InputError(f"{path} cannot be read ({_first_line(error)})") from error
        if not whole:
            raise InputError(f"{path} is still being written: wait until it is whole, then run again")
        if not content:
            raise InputError(f"{path} is empty (0 bytes): deliver it again")
        if path.endswith(".parquet"):
            return read_parquet(content, path)
        text = as_utf8(content, path, self.encoding)
        return self._plain(read_csv(text, path, "\t" if path.endswith(".tsv") else self.separator))

    def _plain(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the fields of declared numbers and times as everybody writes them."""
        columns = []
        for name in (name for name in frame.columns if dataset.COLUMNS.get(name, pl.String()) != pl.String()):
            column = frame[name].str.strip_chars().replace(dict.fromkeys(NULLS))
            times = dataset.COLUMNS[name].is_temporal()
            columns.append(self.dialect.read_times(column) if times else self.dialect.read_numbers(column))
        return frame.with_columns(columns)

    def _files(self) -> tuple[AbstractFileSystem, dict[str, str]]:
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
            said = _first_line(error).replace(
                os.path.expandvars(self.path), self.path
            )  # what ${NAME} holds stays there
            raise InputError(f"source.path: {self.path!r} cannot be listed ({said})") from None
        found = [str(one) for one in entries if str(one).endswith(SUFFIXES)]
        if folders := [one for one in found if entries[one]["type"] == "directory"]:
            raise InputError(f"source.path: {folders[0]} is a folder, not a file: rename it, or move it away")
        if not found:
            raise InputError(f"source.path: {self.path!r} holds no file that ends in {', '.join(SUFFIXES)}")
        files: dict[str, str] = {}
        for one in found:
            name = one.rsplit("/", 1)[-1].rsplit(".", 1)[0]
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
                raise InputError(f"{one}: a batch is called like its file: use letters, digits, '.', '_' and '-' only")
            if name in RESERVED:
                raise InputError(f"{one}: a batch cannot be called {name!r}, a file of the project is: rename it")
            if name in files:
                raise InputError(f"{files[name]} and {one} would both be the batch {name!r}: rename one")
            files[name] = one
        return filesystem, files


def _let_settle(path: str) -> None:
    """Wait until a local file has been left alone for a moment: half of one reads like a whole one."""
    with suppress(OSError):
        while (age := time.time() - Path(path).stat().st_mtime) < SETTLED and age >= 0:
            time.sleep(SETTLED - age)


def as_utf8(content: bytes, path: str, encoding: str) -> bytes:
    """Return text in UTF-8. Raises InputError where it is not in the encoding it is said to be in."""
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode(encoding).encode()
    except LookupError:
        raise InputError(f"source.encoding: there is no encoding called {encoding!r}") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not {encoding}: "
            "set source.encoding in params.yaml to the file's encoding, for instance cp1252 or latin-1"
        ) from None


def read_parquet(content: bytes, path: str) -> pl.DataFrame:
    """Return the rows of a Parquet file. Raises InputError where it cannot be read."""
    try:
        return pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(_damaged(path, "Parquet", error)) from None


def read_csv(content: bytes, path: str, separator: str) -> pl.DataFrame:
    """Return the fields as text. Arrow's reader refuses a row with too few fields, where others fill in nulls."""
    from pyarrow import ArrowInvalid, csv, string

    content += b"" if content.endswith(b"\n") else b"\n"
    parsing = csv.ParseOptions(delimiter=separator, newlines_in_values=True)
    try:
        with csv.open_csv(io.BytesIO(content), parse_options=parsing) as reader:
            names = reader.schema.names
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"{path}: the header names {repeated[0]!r} twice: rename one")
        columns = dict.fromkeys(names, string())
        texts = csv.ConvertOptions(column_types=columns, null_values=[""], strings_can_be_null=True)
        table = csv.read_csv(io.BytesIO(content), parse_options=parsing, convert_options=texts)
    except ArrowInvalid as error:
        raise InputError(_damaged(path, "CSV", error)) from None
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    if content.count(b'"') % 2 and any("\n" in str(field) for row in frame.tail(1).rows() for field in row):
        raise InputError(_damaged(path, "CSV", "a quote is opened and never closed"))
    return frame


def _damaged(path: str, kind: str, error: object) -> str:
    return f"{path} cannot be read as {kind} ({_first_line(error)}): it is cut short or damaged; deliver it again"


class Sql:
    """One finished period (day, week, month, year) of a query's rows per batch, by the event time.

    A period is finished when a later row is there, or the clock (UTC) has passed its end by `lag_hours`. It is taken
    once; rows that come into it later are noticed by `evergreen ingest NAME`, which reads it again. Times with an
    offset become UTC.
    """

    def __init__(self, params: SourceParams) -> None:
        self.url, self.query, self.period = params.url or "", (params.query or "").rstrip("; \t\r\n"), params.period
        self.lag = timedelta(hours=params.lag_hours)
        if not dataset.TIME:
            raise InputError(
                "source.kind: 'sql' cuts rows into batches by time: name a column as TIME in dataset.py, or export the "
                "rows to files, one for each batch (kind: files)"
            )

    def offers(self) -> list[Offer]:
        return [Offer(name, f"{self.period} {name}", may_be_empty=True) for name in self._periods]

    def read(self, name: str) -> pl.DataFrame:
        if name not in self._periods:
            raise InputError(f"source.query holds no finished {self.period} {name!r}")
        start, end = self._periods[name]
        # SQLite keeps times as text, with or without an offset: a day more on each side, then cut by the time itself.
        room = timedelta(days=1) if self._engine().dialect.name == "sqlite" else timedelta()
        where = f"{dataset.TIME} >= :start AND {dataset.TIME} < :end"
        rows = self._select(f"* FROM (\n{self.query}\n) AS batch WHERE {where}", start=start - room, end=end + room)
        times = parse(rows[dataset.TIME], pl.Datetime("us"))
        inside = (times >= start) & (times < end)
        return rows.filter(inside.fill_null(value=True)).sort(
            [name for name in (dataset.TIME, *dataset.KEY) if name in rows.columns]
        )

    @cached_property
    def _periods(self) -> dict[str, tuple[datetime, datetime]]:
        moment = dataset.TIME
        edges = self._select(
            f"MIN({moment}) AS oldest, MAX({moment}) AS newest, COUNT(*) - COUNT({moment}) AS timeless "
            f"FROM (\n{self.query}\n) AS batch"
        )
        if edges["timeless"].item():
            raise InputError(
                f"source.query: {edges['timeless'].item():,} rows have no {moment}, and would be in no batch: leave "
                f"them out in the query, with WHERE {moment} IS NOT NULL"
            )
        oldest, newest = (parse(edges[name], pl.Datetime("us")).item() for name in ("oldest", "newest"))
        if oldest is None or newest is None:
            raise InputError(f"source.query returns no row with a time in {moment!r}")
        every, form = PERIODS[self.period]
        starts = pl.select(
            pl.datetime_range(pl.lit(oldest).dt.truncate(every), pl.lit(newest).dt.offset_by(every), every)
        ).to_series()
        finished = max(newest, datetime.now(UTC).replace(tzinfo=None) - self.lag)
        return {start.strftime(form): (start, end) for start, end in pairwise(starts) if end <= finished}

    def _select(self, what: str, **bounds: datetime) -> pl.DataFrame:
        from sqlalchemy import text
        from sqlalchemy.exc import SQLAlchemyError

        try:
            engine = self._engine()
            # An ISO date, as text, sorts right before every moment of its day.
            as_text = engine.dialect.name == "sqlite"
            given = {key: at.strftime("%Y-%m-%d") if as_text else at for key, at in bounds.items()}
            statement = text(f"SELECT {what}")
            options = {"parameters": given}
            with engine.connect() as connection:
                return pl.read_database(statement, connection, execute_options=options, infer_schema_length=None)
        except (SQLAlchemyError, ImportError, ValueError) as error:
            raise InputError(f"source.query failed: {_first_line(getattr(error, 'orig', None) or error)}") from None
        except (pl.exceptions.PolarsError, TypeError) as error:
            raise InputError(f"source.query: a column mixes kinds of values ({_first_line(error)}): cast it") from None

    def _engine(self) -> Engine:
        from sqlalchemy import create_engine

        return create_engine(fill_in(self.url, "source.url"))


class Python:
    """A module with three functions: `batches()` names what there is, `read(name)` returns the rows of one as a frame.

    `origin()` says what tells this copy of the data from another (a version, a date); the module's code counts as well.
    """

    def __init__(self, params: SourceParams) -> None:
        name = params.module or ""
        try:
            self.module = importlib.import_module(name)
        except ImportError as error:
            raise InputError(f"source.module: {name!r} cannot be imported ({_first_line(error)})") from None
        lacking = [one for one in ("batches", "read", "origin") if not callable(getattr(self.module, one, None))]
        if lacking:
            raise InputError(f"source.module: {name!r} lacks {lacking[0]}(): see src/evergreen/flights.py")

    def offers(self) -> list[Offer]:
        code = sha256_of_code([Path(str(self.module.__file__))])
        with _without_secrets():
            origin, names = redact(str(self.module.origin())), sorted(self.module.batches())
        return [Offer(name, f"{origin} {code}") for name in names]

    def read(self, name: str) -> pl.DataFrame:
        with _without_secrets():
            frame: pl.DataFrame = self.module.read(name)
        return frame


@contextmanager
def _without_secrets() -> Iterator[None]:
    """Let errors of other people's code name no secret: they are shown and kept."""
    try:
        yield
    except Exception as error:
        redact_error(error)
        raise


def fill_in(url: str, where: str) -> str:
    """Return a URL with the environment's values in place of `${NAME}`.

    Raises InputError where one is not set, and where a driver would take a part of the password for the host.
    """
    filled = expand(url)
    if lacking := re.findall(r"[$][{](\w+)[}]", filled):
        raise InputError(f"{where}: the environment lacks {', '.join(lacking)}")
    if filled.partition("://")[2].partition("?")[0].count("@") > 1:
        raise InputError(
            f"{where}: the name or password before the host holds '@': write %40 for it (%3A for :, %2F for /)"
        )
    return filled


def _first_line(error: object) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
