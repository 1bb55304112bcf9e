"""Dates: in which formats the dates of a column are written."""

from __future__ import annotations

import re
from itertools import product

import polars as pl

from evergreen.adopt.doubt import Doubt
from evergreen.data.dialect import ISO_LIKE, Dialect

DAYS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y",
        "%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y")  # fmt: skip
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", "T%H:%M:%S")
FORMATS = tuple(day + clock for day, clock in product(DAYS, CLOCKS))
LOOKED_AT = 5_000  # values
SELDOM = 0.005  # share of values below which a format is not one of the column
LONGEST = 40  # characters of a date
DATE_LIKE = r"^[\d\p{L}]+[./, -]+[\d\p{L}]+[./, -]+\d"  # three parts, the last or the first of them a number
WORDS = {"%d": "DD", "%m": "MM", "%Y": "YYYY", "%y": "YY", "%b": "Mon", "%B": "Month", "%H": "hh", "%M": "mm", "%S": "ss",
         "%I": "hh", "%p": "AM"}  # fmt: skip


def find_dates(text: pl.Series) -> tuple[list[str], list[Doubt]]:
    """Return the formats besides ISO 8601 in which the values of `text` are dates, those that fit most values first.

    Which of day and month stands first is told by the values that only fit one way; by none of them: the day.
    """
    known = text.drop_nulls()
    left = known.gather_every(max(1, len(known) // LOOKED_AT))
    left = left.filter(left.str.len_chars().le(LONGEST) & left.str.contains(DATE_LIKE) & ~left.str.contains(ISO_LIKE))
    least = max(1.0, SELDOM * len(left))
    formats: list[str] = []
    doubts: list[Doubt] = []
    while len(left):
        fits = {form: Dialect.parse(left, form).is_not_null() for form in FORMATS if form not in formats}
        best = max(fits, key=lambda one: int(fits[one].sum()))
        if fits[best].sum() < least:
            break
        other = _turned(best)
        if other in fits and other != best and fits[other].any():
            doubts += _doubt(text.name, best, other, fits[best], fits[other], left)
        formats.append(best)
        left = left.filter(~fits[best])
    return formats, doubts


def in_words(form: str) -> str:
    """Return a format as people write it."""
    return re.sub(r"%\w", lambda found: WORDS[found[0]], form)


def _turned(form: str) -> str:
    """Return the format with day and month the other way round."""
    return form.translate(str.maketrans("dm", "md")) if re.search(r"%[dm][^%]%[dm]", form) else form


def _doubt(name: str, best: str, other: str, fits: pl.Series, turned: pl.Series, values: pl.Series) -> list[Doubt]:
    both = fits & turned
    example = values.filter(both)[0] if both.any() else ""
    if fits.sum() == both.sum():
        says = f"holds dates such as {example!r}, day first or month first: taken for {in_words(best)}"
        return [Doubt(name, "ambiguous dates", says)]
    if turned.sum() > both.sum() and example:
        says = f"holds dates written {in_words(best)} and {in_words(other)}: {example!r}, which fits both, is taken for the first"
        return [Doubt(name, "ambiguous dates", says)]
    return []
