"""Dialect: how a system writes numbers and dates as text, turned into how everybody reads them.

What is not written so stays as it is, and validation names it: nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

ISO = "%Y-%m-%d %H:%M:%S%.f"
ISO_LIKE = r"^\d{4}-\d{1,2}-\d{1,2}([T ]|$)"
DIGITS = {"%Y": r"\d{4}", "%y": r"\d{2}", "%b": r"\p{L}{3}", "%B": r"\p{L}{3,}", "%p": r"[AaPp][Mm]"}
NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
SPACES = r"[\u{a0}\u{202f}\u{2009}]"  # that stand between thousands, and do not break a line


@dataclass(frozen=True)
class Dialect:
    """The decimal sign, the sign between thousands (None: there is none), and formats of dates besides ISO 8601."""

    decimal: str = "."
    thousands: str | None = None
    dates: tuple[str, ...] = ()

    def read_numbers(self, column: pl.Series) -> pl.Series:
        """Return the numbers in a column of text as `1234.5`; other text as it is.

        Where the decimal sign is no point, `1.5` is no number: it is left as text that says so.
        """
        if (self.decimal, self.thousands) == (".", None):
            return column
        text, point, group = column.str.strip_chars(), re.escape(self.decimal), re.escape(self.thousands or "")
        if self.thousands == " ":
            text = text.str.replace_all(SPACES, " ")
        whole = rf"(\d+|\d{{1,3}}({group}\d{{3}})+)" if self.thousands else r"\d+"
        written = text.str.contains(rf"^[+-]?({whole}({point}\d*)?|{point}\d+)([eE][+-]?\d+)?$")
        plain = text.str.replace_all(self.thousands, "", literal=True) if self.thousands else text
        plain = plain.str.replace(self.decimal, ".", literal=True)
        foreign = text.str.contains(r"^[+-]?[\d.,]+$") & text.str.contains(r"[.,]")
        told = text + f" (decimal sign is {self.decimal!r})"
        chosen = pl.when(written).then(plain).when(foreign).then(told).otherwise(column)
        return pl.select(chosen).to_series().alias(column.name)

    def read_times(self, column: pl.Series) -> pl.Series:
        """Return the dates and times in a column of text in ISO 8601, by the first of the formats that fits each."""
        if not self.dates:
            return column
        text = column.str.strip_chars()
        known = pl.when(text.str.contains(ISO_LIKE)).then(text)
        told = [self.parse(text, form).dt.strftime(ISO) for form in self.dates]
        return pl.select(pl.coalesce(known, *told, column)).to_series().alias(column.name)

    @staticmethod
    def parse(text: pl.Series, form: str) -> pl.Series:
        """Return the moments that `text` tells in the format `form`; null where it does not fit, to the digit."""
        shape = re.sub(r"%\\?(\w)", lambda one: DIGITS.get(f"%{one[1]}", r"\d{1,2}"), re.escape(form))
        fitting = pl.select(pl.when(text.str.contains(f"^{shape}$")).then(text)).to_series()  # %Y would take "24"
        if "%H" in form or "%I" in form:
            return fitting.str.to_datetime(form, strict=False, time_unit="us")
        return fitting.str.to_date(form, strict=False).cast(pl.Datetime("us"))


def blank(frame: pl.DataFrame, nulls: Sequence[str]) -> pl.DataFrame:
    """Return `frame` without the values that say that there is none: texts, or numbers written as `nulls` are."""
    if not nulls:
        return frame
    numbers = [float(text) for text in nulls if re.fullmatch(NUMBER, text)]
    texts = "|".join(re.escape(text) + (r"(\.0*)?" if re.fullmatch(r"[+-]?\d+", text) else "") for text in nulls)
    columns = []
    for column in frame:
        if column.dtype == pl.String():
            said = column.str.strip_chars().str.contains(rf"^(?:{texts})$")
        elif column.dtype.is_numeric() and numbers:
            said = column.cast(pl.Float64).is_in(numbers)
        else:
            continue
        columns.append(pl.select(pl.when(~said).then(column)).to_series().alias(column.name))
    return frame.with_columns(columns)
