"""Dialect: numbers and dates as a system writes them, turned into standard notation.

What is not written so stays as it is, and validation names it: nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import polars as pl

from evergreen.params import EPOCHS

ISO = "%Y-%m-%d %H:%M:%S%.f"
ISO_LIKE = r"^\d{4}-\d{1,2}-\d{1,2}([T ]|$)"
ISO_PLAIN = r"^\d{4}-\d{1,2}-\d{1,2}([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?$"
ZONE = r"(?:UTC|GMT|[Zz]|[+-]\d{2}(?::?\d{2})?)"
ISO_ZONED = (
    r"^(\d{4}-\d{1,2}-\d{1,2})[T ](\d{2}:\d{2})(:\d{2}(?:[.,]\d+)?)?"
    rf" ?({ZONE})(?:\[[\w/+-]+\])?$"
)
FRACTION = r"(:\d{2}),(\d+)"  # of a second, as a log writes it
# Microseconds in one of each
UNITS = dict(zip(EPOCHS, (1_000_000.0, 1_000.0, 1.0, 0.001), strict=True))
# 1971 to 2200: no number counts in two of these units
SINCE_1970 = (31_536_000_000_000, 7_258_118_400_000_000)
DIGITS = {
    "Y": r"\d{4}",
    "G": r"\d{4}",
    "y": r"\d{2}",
    "b": r"\p{L}{3}",
    "B": r"\p{L}{3,}",
    "p": r"[AaPp][Mm]",
    "f": r"(\.\d+)?",
    "z": r"[+-]\d{2}:?\d{2}",
    "q": "[1-4]",
    "V": r"\d{2}",
    "u": "[1-7]",
    "j": r"\d{3}",
}
PLAIN = (  # what people write around the same date -> how it is read
    (r"^(?i)(mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,? +", ""),
    (r" +\([\p{L} ]+\)$", ""),  # a zone in words after its offset
    (r"(?:UTC|GMT)([+-]\d)", "$1"),
    (r"(:\d{2}(?:\.\d+)?) ?(?:UTC|GMT|Z)\b", "$1 +0000"),
    (FRACTION, "$1.$2"),
    (r"(?i)(:\d{2}) ?([ap])\.?m\.?$", "$1 ${2}m"),
    (r"(?i)\b(\d{1,2})(?:st|nd|rd|th)\b", "$1"),
    (r"(\d),? +(\d{1,2}:\d{2})", "$1 $2"),
    (r" {2,}", " "),
)
QUARTERS = {"Q1": "01", "Q2": "04", "Q3": "07", "Q4": "10"}  # their first months
NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
SPACES = r"[\u{a0}\u{202f}\u{2009}]"  # that stand between thousands, and do not break a line
MOMENT = pl.Datetime("us")


@dataclass(frozen=True)
class Dialect:
    """How numbers and dates are written.

    `thousands`: the sign between them; None: there is none. `dates`: formats besides ISO 8601.
    """

    decimal: str = "."
    thousands: str | None = None
    dates: tuple[str, ...] = ()

    def read_numbers(self, column: pl.Series) -> pl.Series:
        """Return the numbers in a column of text as `1234.5`; other text as it is.

        Where the decimal sign is no point, `1.5` is no number: it is left as text that says so.
        """
        if (self.decimal, self.thousands) == (".", None):
            return column
        text, point, group = (
            column.str.strip_chars(),
            re.escape(self.decimal),
            re.escape(self.thousands or ""),
        )
        if self.thousands == " ":
            text = text.str.replace_all(SPACES, " ")
        whole = rf"(\d+|\d{{1,3}}({group}\d{{3}})+)" if self.thousands else r"\d+"
        written = text.str.contains(rf"^[+-]?({whole}({point}\d*)?|{point}\d+)([eE][+-]?\d+)?$")
        plain = text.str.replace_all(self.thousands, "", literal=True) if self.thousands else text
        plain = plain.str.replace(self.decimal, ".", literal=True)
        foreign = text.str.contains(r"^[+-]?[\d.,]+$") & text.str.contains(r"[.,]")
        marked = text + f" (decimal sign is {self.decimal!r})"
        chosen = pl.when(written).then(plain).when(foreign).then(marked).otherwise(column)
        return pl.select(chosen).to_series().alias(column.name)

    def read_times(self, column: pl.Series) -> pl.Series:
        """Return a column of text with its dates and times in ISO 8601.

        Each is read by the first of the formats that fits it.
        """
        if not self.dates:
            return column
        text = column.str.strip_chars()
        known = pl.when(read_iso(text).is_not_null()).then(text)
        read = [self.parse(text, form).dt.strftime(ISO) for form in self.dates]
        return pl.select(pl.coalesce(known, *read, column)).to_series().alias(column.name)

    @staticmethod
    def parse(text: pl.Series, form: str) -> pl.Series:
        """Return the moments that `text` holds in the format `form`; null where it does not fit.

        Formats are those of strptime; `%q` besides is a quarter, and `EPOCHS` are numbers. What
        lacks a day is its first; what has a zone becomes UTC.
        """
        if form in UNITS:
            return _since_1970(text, UNITS[form])
        text = plain_times(text)
        # %Y would take "24"
        fitting = pl.select(pl.when(text.str.contains(shape_of(form))).then(text)).to_series()
        if "%q" in form:
            fitting, form = fitting.str.replace_many(QUARTERS), form.replace("Q%q", "%m")
        for lacking, first, day in (("dejsVu", "-01", "-%d"), ("u", "-1", "-%u")):
            if not any(f"%{sign}" in form for sign in lacking) and (lacking != "u" or "%V" in form):
                month = "" if any(f"%{sign}" in form for sign in "mbBV") else "-01"
                fitting, form = fitting + month + first, form + ("-%m" if month else "") + day
        if "%H" in form or "%I" in form:
            found = fitting.str.to_datetime(form, strict=False, time_unit="us")
            zoned = "%z" in form
            return found.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zoned else found
        return fitting.str.to_date(form, strict=False).cast(MOMENT)


def blank(frame: pl.DataFrame, nulls: Sequence[str]) -> pl.DataFrame:
    """Return `frame` with null for values that mean "no value": the texts or numbers in `nulls`."""
    if not nulls:
        return frame
    numbers = [float(text) for text in nulls if re.fullmatch(NUMBER, text)]
    texts = "|".join(
        re.escape(text) + (r"(\.0*)?" if re.fullmatch(r"[+-]?\d+", text) else "") for text in nulls
    )
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


def plain_times(text: pl.Series) -> pl.Series:
    """Return dates and times without weekdays, ordinals and zones in words."""
    for written, plain in PLAIN:
        text = text.str.replace_all(written, plain)
    return text


def shape_of(form: str) -> str:
    """Return the pattern of what is written in a format, for `plain_times`."""
    close = re.search(r"%\w%\w", form)  # digits without anything between: two for each
    few = r"\d{2}" if close else r"\d{1,2}"
    shape = re.sub(r"%(?:\\\.)?(\w)", lambda sign: DIGITS.get(sign[1], few), re.escape(form))
    return f"^{shape}$"


def read_iso(text: pl.Series) -> pl.Series:
    """Return the moments that `text` holds in ISO 8601; null where it holds none.

    Those with an offset become UTC. Nothing is cut: what is finer than microseconds is null.
    """
    text = text.str.replace(FRACTION, "$1.$2")
    finer = text.str.contains(r"\.[0-9]{6}[0-9]*[1-9]")
    # No guess which way 03/04 is
    iso = pl.select(pl.when(text.str.contains(ISO_LIKE) & ~finer).then(text)).to_series()
    zoned = iso.str.contains(ISO_ZONED).fill_null(value=False)
    plain = pl.select(pl.when(iso.str.contains(ISO_PLAIN)).then(iso)).to_series()
    found = pl.Series([None] * len(text), dtype=MOMENT)
    with suppress(pl.exceptions.ComputeError):  # none can be read
        found = plain.str.to_datetime(strict=False, time_unit="us")
    if zoned.any():
        found = pl.select(
            pl.coalesce(_read_zoned(pl.select(pl.when(zoned).then(iso)).to_series()), found)
        ).to_series()
    return found.alias(text.name)


def _read_zoned(text: pl.Series) -> pl.Series:
    parts = [text.str.extract(ISO_ZONED, group) for group in range(1, 5)]
    day, minute, second, zone = parts
    offset = (
        zone.str.replace("UTC|GMT|[Zz]", "+0000")
        .str.replace(":", "")
        .str.replace(r"^([+-]\d{2})$", "${1}00")
    )
    whole = day + "T" + minute + second.fill_null(":00") + offset
    found = whole.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%z", strict=False, time_unit="us")
    return found.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def _since_1970(text: pl.Series, unit: float) -> pl.Series:
    """Return moments counted since 1970 in units of so many microseconds; finer parts are cut."""
    whole = text.str.replace(r"^(\d+)\.0*$", "$1").cast(pl.Int64, strict=False)
    exact = whole // round(1 / unit) if unit < 1 else whole * round(unit)
    rough = (text.cast(pl.Float64, strict=False) * unit).round()
    low, high = SINCE_1970
    fits = rough.is_between(low, high)
    chosen = (
        pl.when(fits & whole.is_not_null())
        .then(exact)
        .when(fits)
        .then(rough.cast(pl.Int64, strict=False))
    )
    return pl.select(chosen.cast(MOMENT)).to_series().alias(text.name)
