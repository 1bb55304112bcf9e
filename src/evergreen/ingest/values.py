"""Values: columns as they were delivered, in the types that dataset.py declares."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from evergreen.ingest.dialect import NUMBER, read_iso

# Texts that mean "no value" in a column of numbers or dates; in a column of text "NA" is a name
# like any other
NULLS = [
    "",
    "-",
    "?",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "<NA>",
    "NaN",
    "nan",
    "-nan",
    "NaT",
    "None",
    "null",
    "NULL",
]
TRUTHS = dict.fromkeys(("true", "t", "yes", "y", "1", "1.0"), True) | dict.fromkeys(
    ("false", "f", "no", "n", "0", "0.0"), False
)


def typed(frame: pl.DataFrame, columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Return `frame` with each declared column in its declared type where every value allows it.

    A column with a value that does not fit stays as it was: nothing is lost, and validation names
    the rows.
    """
    changes = []
    for name in frame.columns:
        if name in columns and frame.schema[name] != columns[name]:
            cast = parse(frame[name], columns[name])
            if cast.null_count() == frame[name].null_count():
                changes.append(cast)
    return frame.with_columns(changes)


def parse(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return `column` as `dtype`, null where a value does not fit: nothing is rounded or cut."""
    try:
        parsed = (
            _parse_text(column, dtype)
            if column.dtype == pl.String()
            else _parse_value(column, dtype)
        )
        if parsed.dtype == dtype:
            return parsed
        raise TypeError
    except (pl.exceptions.PolarsError, TypeError):
        # No value of such a column can become such a value
        return pl.Series(column.name, [None] * len(column), dtype=dtype)


def _parse_text(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if dtype == pl.String():
        return column
    column = column.str.strip_chars()
    if dtype == pl.Boolean():
        return column.str.to_lowercase().replace_strict(
            TRUTHS, default=None, return_dtype=pl.Boolean
        )
    if dtype == pl.Time():
        return column.str.to_time(strict=False)
    if dtype.is_integer():
        return _parse_whole(column, dtype)
    if not dtype.is_temporal():
        return column.cast(dtype, strict=False)
    moments = read_iso(column)
    return _unchanged(moments, moments.cast(dtype, strict=False))


def _parse_whole(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return whole numbers, also where they are written as others are: 23.0, 1e3."""
    bare = column.str.replace(r"\.0*$", "")
    exact = bare.cast(dtype, strict=False)
    if exact.null_count() == column.null_count():
        return exact
    number = pl.select(
        pl.when(column.str.contains(f"^(?:{NUMBER})$")).then(column.cast(pl.Float64, strict=False))
    )
    whole = number.to_series().alias(column.name)
    # Larger ones may have been rounded
    small = pl.select(pl.when(whole.abs() < 2**53).then(whole)).to_series()
    return pl.select(
        pl.coalesce(exact, _unchanged(small, small.cast(dtype, strict=False)))
    ).to_series()


def _parse_value(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if (
        column.dtype.is_temporal() != dtype.is_temporal()
        and dtype != pl.String()
        and column.dtype != pl.Null()
    ):
        raise TypeError  # a number is no date
    cast = column.cast(dtype, strict=False)
    return cast if dtype.is_float() or dtype == pl.String() else _unchanged(column, cast)


def _unchanged(before: pl.Series, after: pl.Series) -> pl.Series:
    """Return `after`, null where it does not lead back to `before`."""
    back = after.cast(before.dtype, strict=False)
    return pl.select(pl.when(back == before).then(after)).to_series().alias(after.name)
