"""Cells: what a database's driver returns, as columns; its own kinds of values become text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from evergreen.errors import InputError

KINDS = (  # values of one kind fit into one column
    (bool, int, float, Decimal),
    (str,),
    (bytes, memoryview, bytearray),
    (date,),
    (time,),
    (timedelta,),
)
SCALARS = (bool, int, float, str, bytes, date, time, timedelta)  # a datetime is a date
DIGITS = 38  # of a decimal number in polars, at most


def to_frame(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pl.DataFrame:
    """Return the rows of a query's result, shape (rows, names).

    Raises InputError where two columns share a name, or one mixes kinds of values that no column
    can hold.
    """
    if twice := [name for at, name in enumerate(names) if name in names[:at]]:
        raise InputError(f"the query returns two columns called {twice[0]!r}: rename one with AS")
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return pl.DataFrame(
        [_column(name, list(values)) for name, values in zip(names, columns, strict=True)]
    )


def _column(name: str, values: list[Any]) -> pl.Series:
    kinds = {type(value) for value in values} - {type(None)}
    if len({at for at, types in enumerate(KINDS) for kind in kinds if issubclass(kind, types)}) > 1:
        values = [None if value is None else _as_text(name, value) for value in values]
    elif Decimal in kinds:
        values = _decimals(values)
    elif not all(issubclass(kind, SCALARS) for kind in kinds):
        values = [_plain(value) for value in values]
    try:
        column = pl.Series(name, values, strict=False)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError, RuntimeError):
        # What the error says may quote a value
        raise InputError(f"column {name!r} mixes kinds of values: cast it in the query") from None
    if column.dtype == pl.Object or column.null_count() > sum(value is None for value in values):
        raise InputError(
            f"column {name!r} mixes kinds of values that no column can hold: cast it in the query"
        )
    return column


def _as_text(name: str, value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise InputError(f"column {name!r} mixes bytes with other values: cast it in the query")
    return str(value)


def _decimals(values: list[Any]) -> list[Any]:
    """Return decimal numbers as polars can hold them: as they are, else as floats, else as text.

    Floats where some are NaN or infinite, text where they have too many digits.
    """
    numbers = [value for value in values if isinstance(value, Decimal)]
    finite = [value for value in numbers if value.is_finite()]
    after = max((-int(value.as_tuple().exponent) for value in finite), default=0)
    before = max((value.adjusted() + 1 for value in finite), default=0)
    if max(after, 0) + max(before, 0) > DIGITS:
        return [None if value is None else str(value) for value in values]
    if len(finite) < len(numbers) or len(numbers) < sum(value is not None for value in values):
        return [float(value) if isinstance(value, Decimal) else value for value in values]
    return values


def _plain(value: Any) -> Any:
    """Return a value as Python's own kinds; what is none of them, a UUID or an address, as text."""
    if value is None or isinstance(value, SCALARS):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [_plain(item) for item in items]
    return str(value)
