"""Dates: in which formats the dates of a column are written, as text or as numbers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache
from itertools import product

import polars as pl

from evergreen.adopt.names import DONE, MOMENTS, NAMES_ROWS, TIMELY, YEARLY, plain_name
from evergreen.adopt.warning import ColumnWarning
from evergreen.ingest.dialect import Dialect, plain_times, read_iso, shape_of
from evergreen.params import EPOCHS

DAYS = (
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y.%m.%d",
    "%d.%m.%y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d/%b/%Y",
    "%b-%d-%Y",
    "%b %d, %Y",
    "%b %d %Y",
    "%d %B %Y",
    "%d. %B %Y",
    "%B %d, %Y",
    "%Y-%m-%d",
    "%Y年%m月%d日",
    "%Y%m%d",
)
CLOCKS = (
    "",
    " %H:%M",
    " %H:%M:%S",
    " %I:%M %p",
    " %I:%M:%S %p",
    "T%H:%M:%S",
    " %H:%M:%S%.f",
    " %H:%M:%S %z",
    " %H:%M:%S%.f %z",
)
PARTS = (
    "%Y-%m",
    "%Y/%m",
    "%m/%Y",
    "%m-%Y",
    "%m.%Y",
    "%b %Y",
    "%b-%Y",
    "%B %Y",
    "%YQ%q",
    "%Y-Q%q",
    "%Y Q%q",
    "Q%q %Y",
    "Q%q-%Y",
    "%GW%V",
    "%G-W%V",
    "%G-W%V-%u",
    "%Y-%j",
)
OTHERS = (
    "%b %d %H:%M:%S %Y",
    "%b %d %H:%M:%S %z %Y",
    "%d/%b/%Y:%H:%M:%S %z",
    "%Y%m%dT%H%M%S",
    "%Y%m%dT%H%M%SZ",
    "%Y%m%dT%H%M%S%z",
    "%Y%m%d %H%M%S",
    "%Y%m%d_%H%M%S",
    "%Y%m%d-%H%M%S",
    "%Y-%m-%d-%H.%M.%S%.f",  # DB2
    "%d%b%Y",  # SAS, and below
    "%d%b%y",
    "%d%b%Y:%H:%M",
    "%d%b%y:%H:%M",
    "%d%b%Y:%H:%M:%S%.f",
    "%d%b%y:%H:%M:%S%.f",
)
FORMATS = (*(day + clock for day, clock in product(DAYS, CLOCKS)), *PARTS, *OTHERS)
# Formats of numbers, and how long these are
DIGITS = {"%Y%m%d": 8, "%Y%m%d%H%M%S": 14, "%Y%m%d%H%M": 12, "%Y%m": 6}
YEARS = (1950, 2100)  # that numbers may begin with
# Of what is counted since 1970: from here to so many days from now
SPAN = (datetime(1990, 1, 1, tzinfo=UTC), 3650)
LOOKED_AT = 5_000  # values
SELDOM = 0.005  # share of values below which a format is not one of the column
SURELY = 0.99  # share of numbers that must fit a format
EXAMPLES = 20  # of values that differ in their digits and letters only
LONGEST = 60  # characters of a date
DATE_LIKE = r"\d.*[./, :_\-A-Za-z年].*\d|\p{L}.*\d{4}|^\d{8}$"
LOOKS = (  # what says when, in a way that is not known here
    # 1 mars 2024
    r"^(\p{L}+\.?,? +)?\d{1,2}(\.|st|nd|rd|th)? ?(de )?\p{L}+\.?,? (de )?(19|20)\d{2}\b",
    r"^\p{L}+\.?[ -](\d{1,2},? )?(19|20)\d{2}([ ,]+(at )?\d{1,2}:\d{2}.*)?$",  # März 2024
    r"^\d{1,4}([./-])\d{1,2}[./-]\d{1,4}([^.\d/-]|$)",  # 24-01-31, and no address of a machine
    r"^\d{1,2}[- ]\p{L}{3}[- ]\d{2}\b|^/Date\(\d+",  # 31-JAN-24 08.30, and JSON of .NET
    r"^\d{1,2}[:h]\d{2}\S* +\d{1,4}[./-]\d",  # the time first
    # 2024H1, KW05 2024
    r"^(19|20)\d{2}[ ./-]?\p{L}{1,2}\d{1,2}$|^\p{L}{1,2}\d{1,2}[ ./-]?(19|20)\d{2}$",
    # Jan-24
    r"^(?i)(jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)\p{L}*[ '-]+\d{2}$",
)
WORDS = {
    "%d": "DD",
    "%m": "MM",
    "%Y": "YYYY",
    "%y": "YY",
    "%b": "Mon",
    "%B": "Month",
    "%H": "hh",
    "%M": "mm",
    "%S": "ss",
    "%I": "hh",
    "%p": "AM",
    "%.f": ".ssssss",
    "%z": "+0100",
    "%q": "n",
    "%G": "YYYY",
    "%V": "ww",
    "%u": "d",
    "%j": "ddd",
}
EPOCH_WORDS = dict(
    zip(EPOCHS, ("seconds", "milliseconds", "microseconds", "nanoseconds"), strict=True)
)


def find_dates(text: pl.Series) -> tuple[list[str], list[ColumnWarning]]:
    """Return the formats besides ISO 8601 in which values are dates, and warnings.

    Formats that fit most values come first. Whether day or month comes first is decided by the
    values that fit one way only; where there are none, it is the day.
    """
    known = text.drop_nulls()
    left = known.gather_every(max(1, len(known) // LOOKED_AT))
    left = left.filter(
        left.str.len_chars().le(LONGEST) & left.str.contains(DATE_LIKE) & read_iso(left).is_null()
    )
    least, possible = max(1.0, SELDOM * len(left)), _possible(left)
    formats: list[str] = []
    warnings: list[ColumnWarning] = []
    while len(left):
        fits = {
            form: Dialect.parse(left, form).is_not_null()
            for form in possible
            if form not in formats
        }
        if not fits:
            break
        best = max(fits, key=lambda form: int(fits[form].sum()))
        if fits[best].sum() < least:
            break
        other = _turned(best)
        if other in fits and other != best and fits[other].any():
            warnings += _warn_ambiguous(text.name, best, other, fits[best], fits[other], left)
        formats.append(best)
        left = left.filter(~fits[best])
    return formats, warnings


def _possible(values: pl.Series) -> list[str]:
    """Return the formats whose shape some values have: trying all of them takes seconds."""
    if values.is_empty():
        return []
    plain = plain_times(values).alias("value").to_frame()
    kind = pl.col("value").str.replace_all(r"\d", "9").str.replace_all(r"\p{L}", "a")
    some = plain.group_by(kind.alias("kind"), maintain_order=True).head(EXAMPLES)["value"].to_list()
    return [form for form, shape in _shapes().items() if any(map(shape.match, some))]


@cache
def _shapes() -> dict[str, re.Pattern[str]]:
    """Return the shape of each format as a Python pattern, compiled once."""
    return {form: re.compile(shape_of(form).replace(r"\p{L}", r"[^\W\d_]")) for form in FORMATS}


def find_number_format(name: str, numbers: pl.Series) -> tuple[str, bool]:
    """Return the format in which a column of numbers holds dates, or "", and whether it is certain.

    Certain are digits such as 20240131 that are all dates, and counts since 1970 that are round or
    called like a time.
    """
    known = numbers.drop_nulls()
    called = plain_name(name)
    if known.n_unique() < MOMENTS or NAMES_ROWS.search(called) or not (known >= YEARS[0]).all():
        return "", False
    texts = as_digits(known.gather_every(max(1, len(known) // LOOKED_AT)))
    for form, length in DIGITS.items():
        fits = (
            texts.str.len_chars().eq(length).all()
            and texts.str.slice(0, 4).cast(pl.Int64).is_between(*YEARS).all()
        )
        if fits and _share(Dialect.parse(texts, form)) >= SURELY:
            return form, True
    for form in EPOCHS:
        times = Dialect.parse(texts, form)
        since, days = SPAN
        until = datetime.now(UTC).timestamp() + days * 86_400
        if _share(times) == 1 and times.dt.epoch("s").is_between(since.timestamp(), until).all():
            round_ones = (
                form != EPOCHS[0]
                and _share(texts.filter(texts.str.ends_with("000")), len(texts)) >= SURELY
            )
            return form, bool(TIMELY.search(called) or DONE.search(called)) or round_ones
    if YEARLY.search(called) and texts.str.len_chars().eq(4).all() and (known <= YEARS[1]).all():
        return "%Y", False
    return "", False


def as_digits(numbers: pl.Series) -> pl.Series:
    """Return numbers as text, whole ones without a point."""
    if numbers.dtype.is_integer():
        return numbers.cast(pl.String)
    whole = pl.when((numbers == numbers.round()) & (numbers.abs() < 2**63)).then(
        numbers.cast(pl.Int64, strict=False).cast(pl.String)
    )
    return pl.select(whole.otherwise(numbers.cast(pl.String))).to_series().alias(numbers.name)


def looks_like_time(text: pl.Series) -> str:
    """Return a value of a column that looks like a time in an unknown format; else ""."""
    known = text.drop_nulls().head(LOOKED_AT)
    if known.n_unique() < MOMENTS or NAMES_ROWS.search(plain_name(text.name)):
        return ""
    fits = known.str.len_chars().le(LONGEST) & known.str.contains("|".join(LOOKS))
    return str(known.filter(fits)[0]) if _share(known.filter(fits), len(known)) >= SURELY else ""


def in_words(form: str) -> str:
    """Return a format as people write it."""
    if form in EPOCHS:
        return f"{EPOCH_WORDS[form]} since 1970"
    return re.sub(r"%(\.?\w)", lambda found: WORDS[found[0]], form)


def _share(found: pl.Series, of: int = 0) -> float:
    """Return the share of values that are there."""
    return (len(found) - found.null_count()) / (of or len(found) or 1)


def _turned(form: str) -> str:
    """Return the format with day and month the other way round."""
    return form.translate(str.maketrans("dm", "md")) if re.search(r"%[dm][^%]%[dm]", form) else form


def _warn_ambiguous(
    name: str, best: str, other: str, fits: pl.Series, turned: pl.Series, values: pl.Series
) -> list[ColumnWarning]:
    both = fits & turned
    example = values.filter(both)[0] if both.any() else ""
    if fits.sum() == both.sum():
        says = (
            f"holds dates such as {example!r}, day first or month first: taken for {in_words(best)}"
        )
        return [ColumnWarning(name, "ambiguous dates", says)]
    if turned.sum() > both.sum() and example:
        says = (
            f"holds dates written {in_words(best)} and {in_words(other)}: {example!r}, which fits "
            "both, is taken for the first"
        )
        return [ColumnWarning(name, "ambiguous dates", says)]
    return []
