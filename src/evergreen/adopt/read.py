"""Read: a table from a file or a database, as text where it is text, and the signs it is written with."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from evergreen.adopt.doubt import Doubt, listed, shown
from evergreen.data.sources import as_utf8, fill_in, read_csv, read_parquet
from evergreen.errors import InputError
from evergreen.redact import holds_secret

SEPARATORS = (",", ";", "\t", "|")
TEXTS = (".csv", ".tsv", ".tab", ".txt")
FEWEST = 30  # rows
LOOKED_AT = 200  # lines, to find the separator
IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?"
URL = r"\w+(\+\w+)?://|.*\$\{"
PATTERN = r"\*|\^.*\$"  # names that polars takes for a pattern of names


@dataclass(frozen=True)
class Table:
    """Rows, shape (rows, columns), text where they came as text; where from, and how they were written.

    `name`: what the file or table is called. `kind`: csv, tsv, parquet or sql. `content`: the bytes of the file.
    `lines`: row r stands in line r + 2 of it.
    """

    rows: pl.DataFrame = field(repr=False)
    name: str
    kind: str
    origin: str
    encoding: str = "utf-8"
    separator: str = ","
    content: bytes = field(repr=False, default=b"")
    lines: bool = False
    table: str = ""  # in a database
    doubts: tuple[Doubt, ...] = ()

    def place(self, row: int) -> str:
        """Return where a row is found, for a person."""
        return f"line {row + 2:,}" if self.lines else f"row {row + 1:,}"


def read(source: str, table: str | None = None) -> Table:
    """Read a CSV, TSV or Parquet file, or with `table` a table of the database whose SQLAlchemy URL `source` is.

    Raises InputError where there is no such thing, where it cannot be read whole, and for fewer than 30 rows.
    """
    found = _read_table(source, table) if table or re.match(URL, source) else _read_file(Path(source))
    names = found.rows.columns
    if odd_names := [name for name in names if re.fullmatch(PATTERN, name)]:
        raise InputError(f"{source}: a column cannot be called {odd_names[0]!r}, which stands for a pattern: rename it")
    if found.rows.height < FEWEST:
        raise InputError(f"{source} has {found.rows.height} rows: at least {FEWEST} are needed to learn from")
    return found


def _read_file(path: Path) -> Table:
    if not path.exists():
        raise InputError(f"{path}: there is no such file")
    if path.is_dir():
        raise InputError(f"{path} is a folder: name one file of it; later ones must have the same columns")
    content = path.read_bytes()
    if not content.strip():
        raise InputError(f"{path} is empty ({len(content)} bytes)")
    if content[:4] == b"PAR1" or path.suffix == ".parquet":
        return Table(read_parquet(content, str(path)), path.stem, "parquet", path.name, content=content)
    if content[:2] == b"PK" or content[:4] == b"\xd0\xcf\x11\xe0":
        raise InputError(f"{path} is a spreadsheet or an archive: export the table as CSV (UTF-8), and adopt that")
    if b"\0" in content or path.suffix.lower() not in TEXTS:
        raise InputError(f"{path} is no CSV, TSV or Parquet file: export the table as CSV (UTF-8), and adopt that")
    return _read_text(content, path)


def _read_text(content: bytes, path: Path) -> Table:
    encoding, doubts = "utf-8", []
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        encoding = "cp1252"
        doubts.append(Doubt("", "encoding", "the file is not UTF-8: taken for cp1252 (Windows, Western European)"))
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
    return Table(rows, path.stem, kind, path.name, encoding, separator, content, lines, doubts=tuple(doubts))


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
        raise InputError(f"{path}, line 1: no field separator (comma, semicolon, tab, bar): one column is no table")
    return max(best, key=best.__getitem__)


def _check_header(text: str, separator: str, path: Path) -> None:
    header = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    if odd := [at for at, name in enumerate(header, 1) if not name.strip()]:
        raise InputError(
            f"{path}: column {odd[0]} has no name in the header: give it one, or take it out (row numbers of pandas: "
            "to_csv(index=False)); later files must have the same columns"
        )
    if all(re.fullmatch(r"[+-]?\d+[.,]\d+", name.strip()) for name in header[:-1]):
        raise InputError(
            f"{path}, line 1: {listed(header)}: these are values; put a line with the names of columns first"
        )


def _check_fields(text: str, separator: str, path: Path) -> None:
    """Raise InputError that names the first line with another number of fields than the header has."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        header = next(reader)
        for row in reader:
            if row and len(row) != len(header):
                raise InputError(
                    f"{path}, line {reader.line_num:,}: {len(row)} fields where the header has {len(header)} (separator "
                    f"{separator!r}): correct the line; a field that holds the separator stands in quotes"
                )
    except csv.Error:
        return


def _read_table(url: str, table: str | None) -> Table:
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError

    if holds_secret(url):
        raise InputError(
            "the URL holds a password, which must stand in no file: `export DATABASE_URL=...`, and name it as "
            "'${DATABASE_URL}' in single quotes"
        )
    if not table:
        raise InputError("a database needs --table: the table or view to adopt")
    if not re.fullmatch(IDENTIFIER, table):
        raise InputError(f"--table {shown(table)}: name a table or view as NAME or SCHEMA.NAME")
    real = fill_in(url, url)
    try:
        with create_engine(real).connect() as connection:
            rows = pl.read_database(text(f"SELECT * FROM {table}"), connection, infer_schema_length=None)
    except (SQLAlchemyError, ImportError, ValueError, TypeError, pl.exceptions.PolarsError) as error:
        said = (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{url}, table {table}: {said.replace(real, url)}") from None
    return Table(rows, table.split(".")[-1], "sql", url, table=table)
