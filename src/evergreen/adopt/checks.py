"""Look: what is doubtful about a column that may be a feature."""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from evergreen.adopt.infer import MOMENT, Column
from evergreen.adopt.names import NAMES_ROWS, plain_name
from evergreen.adopt.warning import Doubt

ID_LIKE = re.compile(
    r"(^|[_\W])(id|key|nr|no|uuid|guid|code|index|idx|row)$|number$|^unnamed", re.IGNORECASE
)
PEOPLE = re.compile(
    r"(^|[_\W])(e_?mails?|phone|telephone|telefon|mobile|handy|surname|(first|last|full|middle|maiden|customer|client|patient|"
    r"employee|contact|user)_?names?|vorname|nachname|prenom|nombre|apellidos?|address|adresse|street|strasse|ssn|iban|"
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


def look(one: Column, *, is_key: bool, time: Column | None) -> list[Doubt]:
    """Return what is doubtful about a column; the first thing that keeps it from being a feature is the last.

    `time`: the column that says when, which dates need to become numbers.
    """
    found = []
    for doubt in (*_of_people(one), *(() if is_key else _of_values(one, time))):
        found.append(doubt)
        if doubt.out:
            break
    return found


def _of_people(one: Column) -> Iterator[Doubt]:
    if one.dtype == pl.String():
        known = one.known
        if _share(known.str.contains(EMAIL)) > 0.5:
            yield Doubt(one.name, "personal data", "holds e-mail addresses", out=True)
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
            yield Doubt(one.name, "personal data", "holds telephone numbers", out=True)
    if PEOPLE.search(plain_name(one.name)) and (
        one.levels > min(FEW, len(one.known) / 2) or one.dtype == MOMENT
    ):
        yield Doubt(
            one.name,
            "personal data",
            "sounds like personal data, and differs from row to row",
            out=True,
        )
    elif GROUP.search(plain_name(one.name)):
        says = "tells groups of people apart: name it in groups if predictions must not differ between them"
        yield Doubt(one.name, "groups of people", says)


def _of_values(one: Column, time: Column | None) -> Iterator[Doubt]:
    name, rows = one.name, len(one.known)
    if one.nested:
        yield Doubt(
            name,
            "nested",
            "holds lists or other nested values, of which no number can be made",
            out=True,
        )
    elif not one.levels:
        yield Doubt(name, "empty", "holds no value in any row", out=True)
    elif one.levels == 1:
        where = "where it is known" if one.missing else "in every row"
        yield Doubt(name, "constant", f"is {_value(one)} {where}", out=not one.missing)
    if one.missing > 0.95:
        yield Doubt(
            name, "nearly empty", f"has no value in {one.missing:.1%} of the rows", out=True
        )
    if one.dtype == MOMENT:
        yield from _of_dates(one, time)
    if _is_id(one):
        yield Doubt(name, "ID", "names the row and says nothing about it", out=True)
    if one.dtype == pl.String() and one.levels > max(FEW, rows / 2):
        yield Doubt(
            name, "free text", f"holds {one.levels:,} different texts in {rows:,} rows", out=True
        )
    elif one.dtype == pl.String() and one.levels > MANY:
        yield Doubt(
            name,
            "many levels",
            f"holds {one.levels:,} different texts: the rare ones will count as one",
        )


def _of_dates(one: Column, time: Column | None) -> Iterator[Doubt]:
    if time is None:
        says = (
            "holds dates, and no column says when a row happened: make days since something of it"
        )
        yield Doubt(one.name, "date", says, out=True)
    elif (later := int((one.values > time.values).sum())) > LATER * len(one.known):
        says = f"is later than {time.name!r} in {later:,} rows: it is known only afterwards"
        yield Doubt(one.name, "known later", says, out=True)


def _is_id(one: Column) -> bool:
    """Say whether a column counts rows, names them, or names something by number."""
    if one.dtype not in (pl.Int64(), pl.String()) or one.levels <= FEW:
        return False
    name, different = plain_name(one.name), one.levels >= 0.95 * len(one.known)
    if one.dtype == pl.Int64():
        counted = different and bool((one.known.diff().drop_nulls() == 1).all())
        return (
            counted or (different and bool(ID_LIKE.search(name))) or bool(NAMES_ROWS.search(name))
        )
    return different and (bool(ID_LIKE.search(name)) or not one.known.str.contains(r"\s").any())


def _value(one: Column) -> str:
    text = repr(one.known[0])
    return text if len(text) <= 40 else f"{text[:37]}...'"


def _share(mask: pl.Series) -> float:
    return float(mask.sum()) / len(mask) if len(mask) else 0.0
