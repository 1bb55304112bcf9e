"""The places batches come from: a folder of files, a SQL query (database.py), a module in Python."""

from __future__ import annotations

import codecs
import csv
import importlib
import io
import lzma
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import polars as pl

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.files import sha256_of_own
from evergreen.ingest.dialect import NUMBER, Dialect, blank, read_iso
from evergreen.ingest.listing import (
    READ,
    Listing,
    few,
    form_of,
    is_local,
    open_packed,
    separator_of,
    sort_out,
    special,
)
from evergreen.ingest.memory import check_parquet, check_size, check_text, unpack
from evergreen.ingest.naming import natural
from evergreen.params import Source as SourceParams
from evergreen.redact import expand, redact, redact_error

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

SETTLED = 1.0  # seconds for which a local file has been left alone before it is read
# In a column of numbers or dates these say that there is none; in a column of text "NA" is a name
# like any other.
NULLS = [
    "",
    "-",
    "?",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "<NA>",
    "NaN",
    "nan",
    "-nan",
    "NaT",
    "None",
    "null",
    "NULL",
]
TRUTHS = {"true": True, "t": True, "yes": True, "y": True, "1": True, "1.0": True,
          "false": False, "f": False, "no": False, "n": False, "0": False, "0.0": False}  # fmt: skip
PERIODS = {
    "day": ("1d", "%Y-%m-%d"),
    "week": ("1w", "%G-W%V"),
    "month": ("1mo", "%Y-%m"),
    "year": ("1y", "%Y"),
}


@dataclass(frozen=True)
class Offer:
    """A batch that a source can deliver; `origin` changes whenever the source knows its content has."""

    name: str
    origin: str
    may_be_empty: bool = False  # a day on which nothing happened is no mistake


class Source(Protocol):
    """Delivers batches by name. `passed_over`: what `offers` found besides, each with why it is no batch."""

    passed_over: tuple[str, ...]

    def offers(self) -> list[Offer]:
        """Return what there is to take, in order of name."""

    def read(self, name: str) -> pl.DataFrame:
        """Return the rows of one batch as they are in the source."""


def open_source(params: SourceParams, dataset: Dataset) -> Source:
    """Return the source that `params.yaml` names."""
    from evergreen.ingest.database import Sql  # which reads values as this module does

    kinds: dict[str, type[Files | Sql | Python]] = {"files": Files, "sql": Sql, "python": Python}
    return kinds[params.kind](params, dataset)


def first_line(error: object) -> str:
    """Return what an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def typed(frame: pl.DataFrame, columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return `frame` with each declared column in its declared type where every value allows it.

    A column with a value that does not fit stays as it was: nothing is lost, and validation names
    the rows.
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
        parsed = (
            _parse_text(column, dtype)
            if column.dtype == pl.String()
            else _parse_value(column, dtype)
        )
        if parsed.dtype == dtype:
            return parsed
        raise TypeError
    except (pl.exceptions.PolarsError, TypeError):
        # No value of such a column can become such a value
        return pl.Series(column.name, [None] * len(column), dtype=dtype)


def _parse_text(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if dtype == pl.String():
        return column
    column = column.str.strip_chars()
    if dtype == pl.Boolean():
        return column.str.to_lowercase().replace_strict(
            TRUTHS, default=None, return_dtype=pl.Boolean
        )
    if dtype == pl.Time():
        return column.str.to_time(strict=False)
    if dtype.is_integer():
        return _parse_whole(column, dtype)
    if not dtype.is_temporal():
        return column.cast(dtype, strict=False)
    moments = read_iso(column)
    return _unchanged(moments, moments.cast(dtype, strict=False))


def _parse_whole(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return whole numbers, also where they are written as others are: 23.0, 1e3."""
    bare = column.str.replace(r"\.0*$", "")
    exact = bare.cast(dtype, strict=False)
    if exact.null_count() == column.null_count():
        return exact
    number = pl.select(
        pl.when(column.str.contains(f"^(?:{NUMBER})$")).then(column.cast(pl.Float64, strict=False))
    )
    whole = number.to_series().alias(column.name)
    # Larger ones may have been rounded
    small = pl.select(pl.when(whole.abs() < 2**53).then(whole)).to_series()
    return pl.select(
        pl.coalesce(exact, _unchanged(small, small.cast(dtype, strict=False)))
    ).to_series()


def _parse_value(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if (
        column.dtype.is_temporal() != dtype.is_temporal()
        and dtype != pl.String()
        and column.dtype != pl.Null()
    ):
        raise TypeError  # a number is no date
    cast = column.cast(dtype, strict=False)
    return cast if dtype.is_float() or dtype == pl.String() else _unchanged(column, cast)


def _unchanged(before: pl.Series, after: pl.Series) -> pl.Series:
    """Return `after`, null where it does not lead back to `before`."""
    back = after.cast(before.dtype, strict=False)
    return pl.select(pl.when(back == before).then(after)).to_series().alias(after.name)


class Files:
    """One CSV, TSV or Parquet file per batch, in a local folder or behind any fsspec URL, listed by `offers`."""

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
        return self._plain(read_csv(as_utf8(content, path, self.encoding), path, separator))

    def _content(self, filesystem: AbstractFileSystem, path: str) -> bytes:
        """Return the bytes of a file that nobody writes to meanwhile."""
        if is_local(filesystem) and (wrong := special(path)):
            raise InputError(
                f"{path} is {wrong}, and no file that can be read: take it out of the source"
            )
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
                f"{path} is still being written: wait until it is whole, then run again"
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
            if self.dataset.columns.get(name, pl.String()) != pl.String()
        ):
            column = frame[name].str.strip_chars().replace(dict.fromkeys(NULLS))
            times = self.dataset.columns[name].is_temporal()
            columns.append(
                self.dialect.read_times(column) if times else self.dialect.read_numbers(column)
            )
        return frame.with_columns(columns)

    def _timed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the texts and numbers of declared times as everybody writes times."""
        told = [
            self.dialect.read_times(frame[name].cast(pl.String))
            for name, dtype in frame.schema.items()
            if self.dataset.columns.get(name, dtype).is_temporal()
            and (dtype == pl.String() or dtype.is_numeric())
        ]
        return frame.with_columns(told) if self.dialect.dates else frame

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
    """Return what tells this content of a file from another; None where it has gone since it was listed."""
    try:
        return str(filesystem.ukey(path))
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever a remote file system raises
        raise InputError(f"{path} cannot be looked at ({first_line(error)})") from None


def unpacked(content: bytes, path: str, packed: str) -> bytes:
    """Return what is in a packed file. Raises InputError where it is damaged, or too large for the memory."""
    try:
        return unpack(open_packed(io.BytesIO(content), packed), path)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(_damaged(path, packed, error)) from None


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
    check_parquet(content, path)
    try:
        return pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(_damaged(path, "Parquet", error)) from None


def read_csv(content: bytes, path: str, separator: str) -> pl.DataFrame:
    """Return the fields as text. Arrow's reader refuses a row with too few fields, where others fill in nulls.

    In one thread: others of Arrow's may still run when a mistake ends the process, which then
    aborts now and then.
    """
    from pyarrow import ArrowInvalid, BufferReader, string
    from pyarrow import csv as arrow

    content += b"" if content.endswith(b"\n") else b"\n"
    parsing = arrow.ParseOptions(delimiter=separator, newlines_in_values=True)
    try:
        names = _header(content, separator)
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"{path}: the header names {repeated[0]!r} twice: rename one")
        columns = dict.fromkeys(names, string())
        texts = arrow.ConvertOptions(
            column_types=columns, null_values=[""], strings_can_be_null=True
        )
        alone = arrow.ReadOptions(use_threads=False)
        table = arrow.read_csv(
            BufferReader(content), alone, parse_options=parsing, convert_options=texts
        )
        if table.column_names != names:
            raise ArrowInvalid(
                f"the header reads {', '.join(names)} and {', '.join(table.column_names)}"
            )
    except (ArrowInvalid, ValueError) as error:
        raise InputError(
            _damaged(path, "CSV", str(error).removeprefix("CSV parse error: "))
        ) from None
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    if content.count(b'"') % 2 and any(
        "\n" in str(field) for row in frame.tail(1).rows() for field in row
    ):
        raise InputError(_damaged(path, "CSV", "a quote is opened and never closed"))
    return frame


def _header(content: bytes, separator: str) -> list[str]:
    """Return the names in the first line that is not empty."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")
    try:
        return next((fields for fields in csv.reader(text, delimiter=separator) if fields), [])
    except csv.Error as error:
        raise ValueError(str(error)) from None


def _damaged(path: str, kind: str, error: object) -> str:
    return f"{path} cannot be read as {kind} ({first_line(error)}): it is cut short or damaged; deliver it again"


class Python:
    """A module with three functions: `batches()` names what there is, `read(name)` returns the rows of one as a frame.

    `origin()` says what tells this copy of the data from another (a version, a date); the module's
    code counts as well.
    """

    passed_over: tuple[str, ...] = ()

    def __init__(self, params: SourceParams, _: Dataset) -> None:
        name = params.module or ""
        try:
            self.module = importlib.import_module(name)
        except ImportError as error:
            raise InputError(
                f"source.module: {name!r} cannot be imported ({first_line(error)})"
            ) from None
        lacking = [
            one
            for one in ("batches", "read", "origin")
            if not callable(getattr(self.module, one, None))
        ]
        if lacking:
            raise InputError(
                f"source.module: {name!r} lacks {lacking[0]}(): it needs batches(), read(name) and origin()"
            )

    def offers(self) -> list[Offer]:
        code = sha256_of_own(str(self.module.__file__))
        with _without_secrets():
            origin, names = (
                redact(str(self.module.origin())),
                sorted(self.module.batches(), key=natural),
            )
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
