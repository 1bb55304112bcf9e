"""Tables: the bytes of a CSV or Parquet file as a frame, or one clear error."""

from __future__ import annotations

import codecs
import csv
import io
import lzma
import re
import zlib
from collections.abc import Collection

import polars as pl

from evergreen.errors import InputError
from evergreen.ingest.listing import (
    open_packed,
)
from evergreen.ingest.memory import check_parquet, unpack
from evergreen.ingest.sources import first_line

# The row itself, with all it holds, follows its number in Arrow's errors
ROW = re.compile(r"(Expected \d+ columns, got \d+):.*", re.DOTALL)


def unpacked(content: bytes, path: str, packed: str) -> bytes:
    """Return what is in a packed file.

    Raises InputError where it is damaged, or too large for the memory.
    """
    try:
        return unpack(open_packed(io.BytesIO(content), packed), path)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(_damaged(path, packed, error)) from None


def as_utf8(content: bytes, path: str, encoding: str) -> bytes:
    """Return text in UTF-8. Raises InputError where it is not in the given `encoding`."""
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode(encoding).encode()
    except LookupError:
        raise InputError(f"source.encoding: there is no encoding called {encoding!r}") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not {encoding}: "
            "set source.encoding in params.yaml to the file's encoding, such as cp1252 or latin-1"
        ) from None


def read_parquet(content: bytes, path: str) -> pl.DataFrame:
    """Return the rows of a Parquet file. Raises InputError where it cannot be read."""
    check_parquet(content, path)
    try:
        return pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(_damaged(path, "Parquet", error)) from None


def read_csv(
    content: bytes, path: str, separator: str, known: Collection[str] | None = None
) -> pl.DataFrame:
    """Return the fields of a CSV file as text.

    `known`: the names that an error may repeat (the first row of a file without a header looks like
    names too); None: any.

    By Arrow's reader, which refuses a row with too few fields, where others fill in nulls. In one
    thread: other threads of Arrow may still run when a mistake ends the process, which then aborts
    now and then.
    """
    from pyarrow import ArrowInvalid, BufferReader, string
    from pyarrow import csv as arrow

    content += b"" if content.endswith(b"\n") else b"\n"
    parsing = arrow.ParseOptions(delimiter=separator, newlines_in_values=True)
    try:
        names = _header(content, separator)
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            shown = repr(repeated[0]) if known is None or repeated[0] in known else "a column"
            raise InputError(f"{path}: the header names {shown} twice: rename one")
        columns = dict.fromkeys(names, string())
        texts = arrow.ConvertOptions(
            column_types=columns, null_values=[""], strings_can_be_null=True
        )
        alone = arrow.ReadOptions(use_threads=False)
        table = arrow.read_csv(
            BufferReader(content), alone, parse_options=parsing, convert_options=texts
        )
        if table.column_names != names:
            read = f"{', '.join(names)} and {', '.join(table.column_names)}"
            raise ArrowInvalid(f"the header reads {read}" if known is None else "in the header")
    except (ArrowInvalid, ValueError) as error:
        said = ROW.sub(r"\1", str(error).removeprefix("CSV parse error: "))
        raise InputError(_damaged(path, "CSV", said)) from None
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
    return (
        f"{path} cannot be read as {kind} ({first_line(error)}): "
        "it is incomplete or damaged; deliver it again"
    )
