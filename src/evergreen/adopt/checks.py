"""Checks: what a person should know about a column before it becomes a feature."""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from evergreen.adopt.columns import MOMENT, Column
from evergreen.adopt.names import NAMES_ROWS, plain_name
from evergreen.adopt.warning import ColumnWarning

ID_LIKE = re.compile(
    r"(^|[_\W])(id|key|nr|no|uuid|guid|code|index|idx|row)$|number$|^unnamed", re.IGNORECASE
)
PEOPLE = re.compile(
    r"(^|[_\W])(e_?mails?|phone|telephone|telefon|mobile|handy|surname|"
    r"(first|last|full|middle|maiden|customer|client|patient|employee|contact|user)_?names?|"
    r"vorname|nachname|prenom|nombre|apellidos?|address|adresse|street|strasse|ssn|iban|"
    r"passport|birth|birth_?(date|day)|dob|date_?of_?birth|geburtsdatum)($|[_\W])|^name$",
    re.IGNORECASE,
)
GROUP = re.compile(
    r"(^|[_\W])(sex|gender|race|ethnicity|religion|nationality|age|disability|geschlecht)($|[_\W])",
    re.IGNORECASE,
)
EMAIL = r"^[^@\s]+@[^@\s]+\.[A-Za-z]{2,}$"
DATE = r"^\d{4}-\d{2}-\d{2}|^\d{1,2}[./-]\d{1,2}[./-]\d{2,4}"
PHONE = r"^\+?[\d ()/.-]{7,20}$"
IP_ADDRESS = r"^\d+(\.\d+){3}$"
MANY = 50  # levels of a text column beyond which it is worth a word
FEW = 20  # levels of a text column that are never free text
LATER = 0.01  # share of dates after the time of their row, beyond which they are known only later


def check_column(column: Column, *, is_key: bool, time: Column | None) -> list[ColumnWarning]:
    """Return the warnings about a column, up to the first that keeps it from being a feature.

    `time`: the column that says when, which dates need to become numbers.
    """
    found = []
    for warning in (*_check_personal(column), *(() if is_key else _check_values(column, time))):
        found.append(warning)
        if warning.out:
            break
    return found


def _check_personal(column: Column) -> Iterator[ColumnWarning]:
    if column.dtype == pl.String():
        known = column.known
        if _share(known.str.contains(EMAIL)) > 0.5:
            yield ColumnWarning(column.name, "personal data", "holds e-mail addresses", out=True)
        digits = known.str.count_matches(r"\d").ge(7) & known.str.contains(r"[+ ()/.-]")
        if (
            _share(
                known.str.contains(PHONE)
                & digits
                & ~known.str.contains(DATE)
                & ~known.str.contains(IP_ADDRESS)
            )
            > 0.5
        ):
            yield ColumnWarning(column.name, "personal data", "holds telephone numbers", out=True)
    if PEOPLE.search(plain_name(column.name)) and (
        column.levels > min(FEW, len(column.known) / 2) or column.dtype == MOMENT
    ):
        yield ColumnWarning(
            column.name,
            "personal data",
            "sounds like personal data, and differs from row to row",
            out=True,
        )
    elif GROUP.search(plain_name(column.name)):
        says = (
            "tells groups of people apart: name it in groups if predictions must not differ "
            "between them"
        )
        yield ColumnWarning(column.name, "groups of people", says)


def _check_values(column: Column, time: Column | None) -> Iterator[ColumnWarning]:
    name, rows = column.name, len(column.known)
    if column.nested:
        yield ColumnWarning(
            name,
            "nested",
            "holds lists or other nested values, of which no number can be made",
            out=True,
        )
    elif not column.levels:
        yield ColumnWarning(name, "empty", "holds no value in any row", out=True)
    elif column.levels == 1:
        where = "where it is known" if column.missing else "in every row"
        yield ColumnWarning(
            name, "constant", f"is {_value(column)} {where}", out=not column.missing
        )
    if column.missing > 0.95:
        yield ColumnWarning(
            name, "nearly empty", f"has no value in {column.missing:.1%} of the rows", out=True
        )
    if column.dtype == MOMENT:
        yield from _check_later(column, time)
    if _is_id(column):
        yield ColumnWarning(name, "ID", "names the row and says nothing about it", out=True)
    if column.dtype == pl.String() and column.levels > max(FEW, rows / 2):
        yield ColumnWarning(
            name, "free text", f"holds {column.levels:,} different texts in {rows:,} rows", out=True
        )
    elif column.dtype == pl.String() and column.levels > MANY:
        yield ColumnWarning(
            name,
            "many levels",
            f"holds {column.levels:,} different texts: the rare ones will count as one",
        )


def _check_later(column: Column, time: Column | None) -> Iterator[ColumnWarning]:
    if time is None:
        says = (
            "holds dates, and no column says when a row happened: make days since something of it"
        )
        yield ColumnWarning(column.name, "date", says, out=True)
    elif (later := int((column.values > time.values).sum())) > LATER * len(column.known):
        says = f"is later than {time.name!r} in {later:,} rows: it is known only afterwards"
        yield ColumnWarning(column.name, "known later", says, out=True)


def _is_id(column: Column) -> bool:
    """Return whether a column counts rows, names them, or names something by number."""
    if column.dtype not in (pl.Int64(), pl.String()) or column.levels <= FEW:
        return False
    name, different = plain_name(column.name), column.levels >= 0.95 * len(column.known)
    if column.dtype == pl.Int64():
        counted = different and bool((column.known.diff().drop_nulls() == 1).all())
        return (
            counted or (different and bool(ID_LIKE.search(name))) or bool(NAMES_ROWS.search(name))
        )
    return different and (bool(ID_LIKE.search(name)) or not column.known.str.contains(r"\s").any())


def _value(column: Column) -> str:
    text = repr(column.known[0])
    return text if len(text) <= 40 else f"{text[:37]}...'"


def _share(mask: pl.Series) -> float:
    return float(mask.sum()) / len(mask) if len(mask) else 0.0
