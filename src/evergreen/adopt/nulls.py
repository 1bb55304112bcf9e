"""Nulls: texts that mean "no value", as databases and statistics packages write them."""

from __future__ import annotations

import polars as pl

from evergreen.adopt.warning import ColumnWarning, listed, shown
from evergreen.ingest.values import NULLS

# MySQL and COPY; tools that show what a database returned
SURE = ("\\N", "(null)", "[NULL]", "<null>", "<NULL>")
# SAS, Stata and the World Bank; spreadsheets; C of old; dates of MySQL; tables of offices.
# A category may be called so.
MARKS = (
    ".",
    "..",
    "...",
    "#NULL!",
    "#DIV/0!",
    "#VALUE!",
    "#REF!",
    "#NUM!",
    "#NAME?",
    "1.#IND",
    "-1.#IND",
    "1.#QNAN",
    "0000-00-00",
    "0000-00-00 00:00:00",
    "--",
    "---",
    "–",
    "—",
    "n.a.",
    "N.A.",
    "k.A.",
    ":",
    "*",
    "**",
)
# Numbers, dates
LIKE_VALUES = (
    r"^[+-]?[\d.,]*\d[\d.,' \u{a0}\u{202f}\u{2009}eE+-]*$|^\d{1,4}[-./]\d{1,2}[-./]\d{1,4}"
)
ENOUGH = 0.5  # share of numbers or dates in a column whose marks count


def find_nulls(rows: pl.DataFrame) -> list[str]:
    """Return the marks in columns of text that mean "no value".

    That is the sure ones, and those that stand among numbers or dates and nowhere else.
    """
    found, names = set[str](), set[str]()
    for column in (column for column in rows if column.dtype == pl.String()):
        known = column.str.strip_chars().replace(dict.fromkeys(NULLS)).drop_nulls()
        marked = known.is_in([*SURE, *MARKS])
        marks, others = set(known.filter(marked)), known.filter(~marked)
        values = int(others.str.contains(LIKE_VALUES).sum()) >= ENOUGH * len(others)
        found |= marks if values and len(others) else marks & {*SURE}
        names |= set() if values else marks - {*SURE}
    return [mark for mark in (*SURE, *MARKS) if mark in found - names]


def warn_of_nulls(
    before: pl.DataFrame, after: pl.DataFrame, nulls: tuple[str, ...]
) -> list[ColumnWarning]:
    """Return a warning that names the columns that lost values to `nulls`."""
    if not nulls:
        return []
    names = [
        column.name for column in before if after[column.name].null_count() > column.null_count()
    ]
    where = f"in {listed([shown(name) for name in names])}" if names else "in no column"
    marks = ", ".join(shown(mark) for mark in nulls)
    says = f"{marks} says that there is no value, {where}: source.nulls in params.yaml"
    return [ColumnWarning("", "no value", says)]
