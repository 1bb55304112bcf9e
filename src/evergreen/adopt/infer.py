"""Infer: what the columns of a table are, and how their numbers and dates are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import polars as pl

from evergreen.adopt.columns import (
    LOOKED_AT,
    MOMENT,
    Column,
    Found,
    Inferred,
    find_dialect,
    of_text,
    of_type,
)
from evergreen.adopt.dates import (
    find_number_format,
    in_words,
    looks_like_time,
)
from evergreen.adopt.names import DONE, MOMENTS, NAMES_ROWS, TIMELY, plain_name
from evergreen.adopt.read import Table
from evergreen.adopt.warning import ColumnWarning
from evergreen.errors import InputError
from evergreen.ingest.dialect import Dialect
from evergreen.ingest.values import NULLS, parse

EXCEL = (32_874, 54_789)  # days since 1900 that a spreadsheet may mean: 1990 to 2049


def infer(table: Table, time: str | None = None, formats: Sequence[str] = ()) -> Inferred:
    """Return what the columns of `table` are: numbers, dates, yes or no, or text.

    `time`: the column that a person names as the time. `formats`: those of dates besides the known
    ones.
    """
    if table.kind in ("parquet", "sql"):
        found = [of_type(series, table.kind, time, formats) for series in table.rows]
        return _gather(found, Dialect(), [], table)
    texts = [series.str.strip_chars().replace(dict.fromkeys(NULLS)) for series in table.rows]
    dialect, warnings = find_dialect(
        [text.gather_every(max(1, len(text) // LOOKED_AT)) for text in texts]
    )
    found = [of_text(text, dialect, time, formats) for text in texts]
    inferred = _gather(found, dialect, warnings, table)
    _check_dates(inferred, texts)
    return inferred


def _gather(
    found: list[Found], dialect: Dialect, warnings: list[ColumnWarning], table: Table
) -> Inferred:
    formats = dict.fromkeys(form for _, forms, _ in found for form in forms)
    columns = {}
    for column, _, told in found:
        warnings += told
        if (
            column.dtype == pl.String()
            and column.levels
            and not column.nested
            and table.kind in ("csv", "tsv")
        ):
            # In a column of text "NA" is a name like any other
            column = replace(column, values=table.rows[column.name])
        columns[column.name] = column
    said = (*table.warnings, *warnings, *_describe_broken(columns))
    known = replace(dialect, dates=tuple(formats))
    return Inferred(columns, known, said, dict(_suppose(columns.values(), table.kind)))


def _suppose(columns: Iterable[Column], kind: str) -> Iterator[tuple[str, str]]:
    """Yield each column that looks like a time and is not read as one, and why, for a person."""
    elsewhere = (
        "in a view of the database"
        if kind == "sql"
        else "in the source, or name its format with --dates"
    )
    for column in columns:
        if column.dtype == pl.String() and (example := looks_like_time(column.values)):
            yield (
                column.name,
                (
                    f"looks like a time that cannot be read, such as {example!r}: write it as "
                    f"2026-05-03 08:30 {elsewhere}"
                ),
            )
        elif column.dtype in (pl.Int64(), pl.Float64()):
            form, _ = find_number_format(column.name, column.values)
            if form and kind == "sql":
                yield (
                    column.name,
                    f"may be {in_words(form)}: make a timestamp of it in a view of the database",
                )
            elif form:
                yield column.name, f"may be {in_words(form)}: --time {column.name!r} takes it so"
            elif says := _suppose_order(column):
                yield (
                    column.name,
                    says.format(f"--time {column.name!r} puts the rows in their order"),
                )


def _suppose_order(column: Column) -> str:
    """Return why a column of numbers may order the rows in time, or nothing."""
    name = plain_name(column.name)
    if column.levels < MOMENTS or NAMES_ROWS.search(name) or column.missing:
        return ""
    called, rising = bool(TIMELY.search(name)), column.values.is_sorted()
    if column.values.is_between(*EXCEL).all() and (called or DONE.search(name) or rising):
        return "may be days as a spreadsheet counts them: {}"
    if rising:
        return "never falls from one row to the next, as a time would: {}"
    return "may say when: where its numbers grow with time, {}" if called else ""


def _check_dates(found: Inferred, texts: list[pl.Series]) -> None:
    """Raise InputError where the formats of one column read the dates of another in another way."""
    if not found.dialect.dates:
        return
    for text in texts:
        column = found.columns[text.name]
        if column.dtype == MOMENT and not parse(found.dialect.read_times(text), MOMENT).equals(
            column.values
        ):
            formats = ", ".join(map(in_words, found.dialect.dates))
            raise InputError(
                f"column {text.name!r} has day and month in the opposite order of another column "
                f"({formats}): write the dates of one of them as 2026-05-03"
            )


# --- numbers


# --- columns that come with a type


def _describe_broken(columns: Mapping[str, Column]) -> Iterator[ColumnWarning]:
    for name, column in columns.items():
        if count := int(column.broken.sum()):
            kind = "dates" if column.dtype == MOMENT else "numbers"
            says = (
                f"holds {count:,} values that are no {kind}, among {len(column.known):,} that "
                "are: such rows are put aside"
            )
            yield ColumnWarning(name, "mixed types", says)
