"""Columns: what a column of a table is: numbers, dates, true or false, or text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import polars as pl

from evergreen.adopt.dates import (
    as_digits,
    find_dates,
    find_number_format,
    in_words,
)
from evergreen.adopt.warning import ColumnWarning
from evergreen.ingest.dialect import Dialect
from evergreen.ingest.values import parse
from evergreen.params import EPOCHS

ENOUGH = 0.8  # share of a column's values that make it a column of numbers, or of dates
SOME = 0.2  # share of numbers in a column of text that is worth a word
LOOKED_AT = 20_000  # rows, to find how numbers are written
LARGEST = 1e38  # XGBoost counts in 32 bits
DIALECTS = (
    Dialect(),
    Dialect(","),
    Dialect(".", ","),
    Dialect(",", "."),
    Dialect(",", " "),
    Dialect(".", " "),
    Dialect(".", "'"),
    Dialect(",", "'"),
)
NUMBER_LIKE = r"^[+-]?[\d.,][\d.,' \u{a0}\u{202f}\u{2009}eE+-]*$"
SIGNS = {",": ",", ".": r"\.", " ": r"[ \u{a0}\u{202f}\u{2009}]", "'": "'"}
UNITS = r"[%$€£¥]|\b(USD|EUR|GBP|kg|km|cm|mm)\b"
MOMENT = pl.Datetime("us")


@dataclass(frozen=True)
class Column:
    """A column: its type, its values in that type, and the rows whose value does not fit it."""

    name: str
    dtype: pl.DataType
    values: pl.Series = field(repr=False)
    broken: pl.Series = field(repr=False)  # true where there is a value that does not fit
    nested: bool = False  # lists and the like: nothing can be made of them

    @cached_property
    def known(self) -> pl.Series:
        """The values that are there."""
        return self.values.drop_nulls()

    @property
    def missing(self) -> float:
        """The share of rows without a value."""
        return self.values.null_count() / max(1, len(self.values))

    @cached_property
    def levels(self) -> int:
        """How many different values there are."""
        return self.known.n_unique()

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers."""
        return self.dtype.is_numeric()


@dataclass(frozen=True)
class Inferred:
    """The columns of a table by name, the dialect they are written in, and warnings.

    `maybe`: what looks like a time and is not certain to be one -> how to say that it is.
    """

    columns: Mapping[str, Column]
    dialect: Dialect
    warnings: tuple[ColumnWarning, ...]
    maybe: Mapping[str, str] = field(default_factory=dict)


Found = tuple[
    Column, list[str], list[ColumnWarning]
]  # a column, its formats of dates, what is doubtful


def find_dialect(texts: list[pl.Series]) -> tuple[Dialect, list[ColumnWarning]]:
    """Return the dialect by which most columns are numbers; of equals, the more common."""
    texts = [
        text
        for text in texts
        if text.str.contains(NUMBER_LIKE).sum() >= ENOUGH * (len(text) - text.null_count())
    ]
    used = {sign for sign in SIGNS if any(text.str.contains(SIGNS[sign]).any() for text in texts)}
    scores = {}
    for dialect in (
        dialect
        for dialect in DIALECTS
        if {dialect.decimal, dialect.thousands} <= {".", None, *used}
    ):
        shares = [
            share for text in texts if (share := _share(_numbers(text, dialect), text)) >= ENOUGH
        ]
        scores[dialect] = (len(shares), round(sum(shares), 6))
    best = max(scores.values())
    equal = [dialect for dialect, score in scores.items() if score == best]
    if Dialect() not in equal and Dialect(",") in equal and Dialect(".", ",") in equal:
        says = (
            "numbers such as '1,234' may be 1234 or 1.234: taken for 1234, with a comma between "
            "thousands"
        )
        return Dialect(".", ","), [ColumnWarning("", "numbers", says)]
    chosen, warnings = equal[0], []
    if chosen.decimal != ".":
        warnings.append(
            ColumnWarning(
                "", "numbers", f"numbers are written with {chosen.decimal!r} before decimals"
            )
        )
    if chosen.thousands:
        warnings.append(
            ColumnWarning(
                "", "numbers", f"numbers are written with {chosen.thousands!r} between thousands"
            )
        )
    return chosen, warnings


def of_text(
    text: pl.Series,
    dialect: Dialect,
    time: str | None = None,
    formats: Sequence[str] = (),
    *,
    foreign: bool = True,
) -> Found:
    """Return what a column of text is; not `foreign`: dates count in ISO 8601 only."""
    name, known = text.name, text.drop_nulls()
    as_text = Column(name, pl.String(), text, _none(text))
    if known.is_empty():
        return as_text, [], []
    if set(known.head(1000).str.to_lowercase()) <= {"true", "false"}:
        truth = parse(text, pl.Boolean())
        if truth.null_count() == text.null_count():
            return Column(name, pl.Boolean(), truth, _none(text)), [], []
    numbers = _numbers(text, dialect)
    if (share := _share(numbers, text)) >= ENOUGH:
        padded = known.filter(known.str.contains(r"^0\d"))
        if len(padded) > 0.01 * len(known):
            return (
                as_text,
                [],
                [
                    ColumnWarning(
                        name,
                        "codes",
                        f"holds numbers with a zero in front ({padded[0]!r}): taken for text",
                    )
                ],
            )
        number = _number(text, numbers, dialect)
        return _counted(number, text, time, formats) if foreign else number
    found, warnings = _find_formats(text, formats) if foreign else ([], [])
    times = parse(Dialect(dates=tuple(found)).read_times(text), MOMENT)
    if _share(times, text) >= ENOUGH:
        if found:
            warnings.append(
                ColumnWarning(
                    name,
                    "dates as text",
                    f"holds dates written {' and '.join(map(in_words, found))}",
                )
            )
        return Column(name, MOMENT, times, times.is_null() & text.is_not_null()), found, warnings
    if share > SOME:
        says = (
            f"mixes numbers ({share:.0%}) with text such as {_first(text, numbers.is_null())!r}: "
            "taken for text"
        )
        return as_text, [], [ColumnWarning(name, "mixed types", says)]
    return as_text, [], _look_closer(text)


def _find_formats(text: pl.Series, given: Sequence[str]) -> tuple[list[str], list[ColumnWarning]]:
    """Return the formats in which a column holds dates; those `given` by a person come first."""
    fitting = [form for form in given if _share(Dialect.parse(text, form), text) >= ENOUGH]
    return (fitting, []) if fitting else find_dates(text)


def _counted(found: Found, text: pl.Series, time: str | None, formats: Sequence[str]) -> Found:
    """Return a column of numbers as dates where they surely are, or where a person says so."""
    number, _, warnings = found
    if number.dtype == pl.String():
        return found
    fitting = [form for form in formats if _share(Dialect.parse(text, form), text) >= ENOUGH]
    form, certain = (
        (fitting[0], True) if fitting else find_number_format(number.name, number.values)
    )
    if not form or not (certain or number.name == time):
        return found
    times = Dialect.parse(as_digits(number.values), form)
    says = (
        f"holds {'counts of ' if form in EPOCHS else 'dates written '}{in_words(form)}: read as "
        "dates"
    )
    column = Column(
        number.name, MOMENT, times.alias(number.name), times.is_null() & text.is_not_null()
    )
    return column, [form], [*warnings, ColumnWarning(number.name, "dates as numbers", says)]


def _number(text: pl.Series, numbers: pl.Series, dialect: Dialect) -> Found:
    name, plain = text.name, dialect.read_numbers(text)
    broken = numbers.is_null() & text.is_not_null()
    if not plain.filter(~broken).drop_nulls().str.contains(r"^[+-]?\d+$").all():
        return Column(name, pl.Float64(), numbers, broken), [], []
    integers = parse(plain, pl.Int64())
    if (integers.is_null() & numbers.is_not_null()).any():
        says = (
            "holds whole numbers beyond 64 bits: taken for text, since rounding would make "
            "different ones equal"
        )
        return (
            Column(name, pl.String(), text, _none(text)),
            [],
            [ColumnWarning(name, "huge numbers", says)],
        )
    return Column(name, pl.Int64(), integers, broken), [], []


def _look_closer(text: pl.Series) -> list[ColumnWarning]:
    """Return a warning where a column of text would be numbers, were they written otherwise."""
    known = text.drop_nulls().head(1000)
    if not known.str.contains(UNITS).any():
        return []
    bare = known.str.replace_all(UNITS, "").str.strip_chars()
    if max(_share(_numbers(bare, dialect), bare) for dialect in DIALECTS) < ENOUGH:
        return []
    says = (
        f"would be numbers, were they not written as {known[0]!r}: taken for text; write plain "
        "numbers in the source"
    )
    return [ColumnWarning(text.name, "numbers as text", says)]


def _numbers(text: pl.Series, dialect: Dialect) -> pl.Series:
    """Return the finite numbers in `text`, of a size that XGBoost can count with."""
    numbers = parse(dialect.read_numbers(text), pl.Float64())
    return pl.select(pl.when(numbers.abs() < LARGEST).then(numbers)).to_series().alias(text.name)


def of_type(
    column: pl.Series, kind: str, time: str | None = None, formats: Sequence[str] = ()
) -> Found:
    """Return a column that came with a type, in one of the types that are declared."""
    found = _of_plain_type(column, kind, formats)
    if kind == "sql" or not found[0].is_number:
        return found
    return _counted(found, as_digits(found[0].values), time, formats)


def _of_plain_type(column: pl.Series, kind: str, formats: Sequence[str]) -> Found:
    dtype, nothing = column.dtype, _none(column)
    if dtype in (pl.Categorical, pl.Enum):
        column, dtype = column.cast(pl.String), pl.String()
    if dtype == pl.String():
        parsed, found, warnings = of_text(
            column, Dialect(), None, formats, foreign=kind == "parquet"
        )
        return (
            replace(parsed, values=column) if parsed.dtype == pl.String() else parsed,
            found,
            warnings,
        )
    if dtype == pl.Boolean():
        return Column(column.name, pl.Boolean(), column, nothing), [], []
    if dtype == pl.Date() or isinstance(dtype, pl.Datetime):
        times = parse(column, MOMENT)
        return Column(column.name, MOMENT, times, times.is_null() & column.is_not_null()), [], []
    if (
        dtype.is_integer()
        and (whole := parse(column, pl.Int64())).null_count() == column.null_count()
    ):
        return Column(column.name, pl.Int64(), whole, nothing), [], []
    if dtype.is_numeric():
        numbers = column.cast(pl.Float64).fill_nan(None)
        broken = numbers.is_not_null() & (numbers.abs() >= LARGEST)
        kept = pl.select(pl.when(~broken).then(numbers)).to_series().alias(column.name)
        return Column(column.name, pl.Float64(), kept, broken.fill_null(value=False)), [], []
    empty = pl.Series(column.name, [None] * len(column), pl.String)
    return (
        Column(column.name, pl.String(), empty, nothing, nested=column.null_count() < len(column)),
        [],
        [],
    )


def _none(column: pl.Series) -> pl.Series:
    return pl.repeat(False, len(column), dtype=pl.Boolean, eager=True)


def _share(parsed: pl.Series, text: pl.Series) -> float:
    there = len(text) - text.null_count()
    return (len(parsed) - parsed.null_count()) / there if there else 0.0


def _first(text: pl.Series, chosen: pl.Series) -> str:
    return str(text.filter(chosen & text.is_not_null())[0])
