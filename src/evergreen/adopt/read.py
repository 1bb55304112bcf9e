"""Read: a table from a file or a database, and how it is written."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from evergreen.adopt.nulls import find_nulls, warn_of_nulls
from evergreen.adopt.warning import ColumnWarning, listed, shown
from evergreen.errors import InputError
from evergreen.ingest.cells import to_frame
from evergreen.ingest.database import open_engine
from evergreen.ingest.dialect import blank
from evergreen.ingest.listing import form_of, special
from evergreen.ingest.memory import check_size, check_text
from evergreen.ingest.tables import as_utf8, read_csv, read_parquet, unpacked
from evergreen.redact import holds_secret

if TYPE_CHECKING:
    from sqlalchemy import Connection

SEPARATORS = (",", ";", "\t", "|")
FEWEST = 30  # rows
LOOKED_AT = 200  # lines, to find the separator
URL = r"\w+(\+\w+)?://|.*\$\{"
PATTERN = r"\*|\^.*\$"  # names that polars takes for a pattern of names


@dataclass(frozen=True)
class Table:
    """A table as it was read: its rows, where they came from, and how they were written.

    `rows`: shape (rows, columns), text where they came as text. `name`: what the file or table is
    called. `kind`: csv, tsv, parquet or sql. `content`: the bytes of the file. `lines`: row r
    stands in line r + 2 of it. `nulls`: texts that say that there is no value; `rows` lacks them.
    """

    rows: pl.DataFrame = field(repr=False)
    name: str
    kind: str
    origin: str
    encoding: str = "utf-8"
    separator: str = ","
    content: bytes = field(repr=False, default=b"")
    lines: bool = False
    table: str = ""  # in a database, as SQL names it
    nulls: tuple[str, ...] = ()
    warnings: tuple[ColumnWarning, ...] = ()

    def place(self, row: int) -> str:
        """Return where a row is found, for a person."""
        return f"line {row + 2:,}" if self.lines else f"row {row + 1:,}"


def read(source: str, table: str | None = None, nulls: Sequence[str] = ()) -> Table:
    """Return the table in a CSV, TSV or Parquet file, or in a database.

    `source`: the path of the file, or the SQLAlchemy URL of a database, which has the `table`.
    `nulls`: texts that say that there is no value, besides those that are found. Raises InputError
    where there is no such thing, where it cannot be read whole, and for fewer than 30 rows.
    """
    found = (
        _read_table(source, table) if table or re.match(URL, source) else _read_file(Path(source))
    )
    names = found.rows.columns
    if odd_names := [name for name in names if re.fullmatch(PATTERN, name)]:
        raise InputError(
            f"{source}: a column cannot be called {odd_names[0]!r}, which stands for a pattern: "
            "rename it"
        )
    if found.rows.height < FEWEST:
        raise InputError(
            f"{source} has {found.rows.height} rows: at least {FEWEST} are needed to learn from"
        )
    nulls = tuple(
        dict.fromkeys([text.strip() for text in nulls if text.strip()] + find_nulls(found.rows))
    )
    rows = blank(found.rows, nulls)
    return replace(
        found,
        rows=rows,
        nulls=nulls,
        warnings=(*found.warnings, *warn_of_nulls(found.rows, rows, nulls)),
    )


def _read_file(path: Path) -> Table:
    if wrong := special(str(path)):
        raise InputError(
            f"{path} is a folder: name one file of it; later ones must have the same columns"
            if path.is_dir()
            else f"{path} is {wrong}, not a readable file: write the table to one, and adopt that"
        )
    if not path.exists():
        raise InputError(f"{path}: there is no such file")
    check_size(path.stat().st_size, str(path))
    content, form = path.read_bytes(), form_of(path.name)
    if form and form.packed:
        content = unpacked(content, str(path), form.packed)
    if not content.strip():
        raise InputError(f"{path} is empty ({len(content)} bytes)")
    name = form.batch if form else path.stem
    if content[:4] == b"PAR1" or (form and form.kind == "parquet"):
        return Table(read_parquet(content, str(path)), name, "parquet", path.name, content=content)
    if content[:2] == b"PK" or content[:4] == b"\xd0\xcf\x11\xe0":
        raise InputError(
            f"{path} is a spreadsheet or an archive: export the table as CSV (UTF-8), and adopt "
            "that"
        )
    if b"\0" in content or not form:
        raise InputError(
            f"{path} is no CSV, TSV or Parquet file: export the table as CSV (UTF-8), and adopt "
            "that"
        )
    return _read_text(content, path, name)


def _read_text(content: bytes, path: Path, name: str) -> Table:
    check_text(content, ",", str(path))
    encoding, warnings = "utf-8", []
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        encoding = "cp1252"
        warnings.append(
            ColumnWarning(
                "",
                "encoding",
                "the file is not UTF-8: taken for cp1252 (Windows, Western European)",
            )
        )
    plain = as_utf8(content, str(path), encoding)
    text = plain.decode()
    separator = _find_separator(text, path)
    _check_header(text, separator, path)
    try:
        rows = read_csv(plain, str(path), separator)
    except InputError:
        _check_fields(text, separator, path)
        raise
    lines = len(plain.rstrip(b"\r\n").splitlines()) == rows.height + 1
    kind = "tsv" if separator == "\t" else "csv"
    return Table(
        rows, name, kind, path.name, encoding, separator, content, lines, warnings=tuple(warnings)
    )


def _find_separator(text: str, path: Path) -> str:
    """Return the sign that cuts the first lines into the same number of fields, and into most."""
    lines = text[:1_000_000].splitlines()[:LOOKED_AT]
    best = {}
    for separator in SEPARATORS:
        try:
            counts = Counter(len(row) for row in csv.reader(lines, delimiter=separator) if row)
        except csv.Error:  # a field of more than 131,072 characters
            continue
        fields, often = counts.most_common(1)[0]
        if fields > 1:
            best[separator] = (often / counts.total(), fields)
    if not best:
        raise InputError(
            f"{path}, line 1: no field separator (comma, semicolon, tab, bar): one column is no "
            "table"
        )
    return max(best, key=best.__getitem__)


def _check_header(text: str, separator: str, path: Path) -> None:
    header = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    if odd := [at for at, name in enumerate(header, 1) if not name.strip()]:
        raise InputError(
            f"{path}: column {odd[0]} has no name in the header: give it one, or take it out (row "
            "numbers of pandas: to_csv(index=False)); later files must have the same columns"
        )
    if all(re.fullmatch(r"[+-]?\d+[.,]\d+", name.strip()) for name in header[:-1]):
        raise InputError(
            f"{path}, line 1: {listed(header)}: these are values; put a line with the names of "
            "columns first"
        )


def _check_fields(text: str, separator: str, path: Path) -> None:
    """Raise InputError for the first line with another number of fields than the header."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        header = next(reader)
        for row in reader:
            if row and len(row) != len(header):
                raise InputError(
                    f"{path}, line {reader.line_num:,}: {len(row)} fields where the header has "
                    f"{len(header)} (separator {separator!r}): correct the line; a field that "
                    "holds the separator stands in quotes"
                )
    except csv.Error:
        return


def _read_table(url: str, table: str | None) -> Table:
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    if holds_secret(url):
        raise InputError(
            "the URL holds a password, which must stand in no file: `export DATABASE_URL=...`, and "
            "name it as '${DATABASE_URL}' in single quotes"
        )
    if not table:
        raise InputError("a database needs --table: the table or view to adopt")
    try:
        with open_engine(url, f"{url}, table {table}").connect() as connection:
            schema, name = _find_table(connection, table)
            quote = connection.dialect.identifier_preparer.quote
            in_sql = ".".join(quote(part) for part in (schema, name) if part)
            result = connection.execute(text(f"SELECT * FROM {in_sql}"))
            rows = to_frame(list(result.keys()), result.fetchall())
    except (SQLAlchemyError, ImportError, ValueError, TypeError, InputError) as error:
        said = (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[
            0
        ]
        raise InputError(said if url in said else f"{url}, table {table}: {said}") from None
    return Table(rows, name, "sql", url, table=in_sql)


def _find_table(connection: Connection, table: str) -> tuple[str | None, str]:
    """Return schema and name of a table or view: as it is written, else in capitals or not.

    Raises InputError where there is none, and for a name that SQL takes for something else.
    """
    from sqlalchemy import inspect

    if re.search(r"[%:\\]", table):
        raise InputError("a name with %, : or \\ cannot be queried: make a view of it")
    known = inspect(connection)
    schema, _, name = table.rpartition(".")
    candidates: list[tuple[str | None, str]] = [
        (None, table),
        *([(schema, name)] if schema else []),
    ]
    for candidate in candidates:
        if known.has_table(candidate[1], candidate[0]):
            return candidate
    there = [*known.get_table_names(), *known.get_view_names()]
    if len(alike := [name for name in there if name.lower() == table.lower()]) == 1:
        return None, alike[0]
    near = difflib.get_close_matches(table, there, n=1)
    hint = (
        f"did you mean {near[0]!r}?"
        if near
        else f"there are {listed([shown(name) for name in there], 10) or 'none'}"
    )
    raise InputError(f"there is no such table or view (NAME or SCHEMA.NAME); {hint}")
