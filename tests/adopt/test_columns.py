"""Columns: text is what most of it is, and typed columns become one of five types."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from evergreen.adopt.columns import MOMENT
from evergreen.adopt.infer import infer
from evergreen.adopt.read import Table

Make = Callable[..., Table]
TEXT, WHOLE, NUMBER, TRUTH = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()


DAY = datetime.fromisoformat("2024-01-05")
# values of a column of text -> type, first value read, broken values, kinds of warnings
TEXTS: dict[str, tuple[list[str | None], pl.DataType, object, int, list[str]]] = {
    "whole": (["1", "-2", None], WHOLE, 1, 0, []),
    "numbers": (["1.5", "2", "3e1"], NUMBER, 1.5, 0, []),
    "nothing said": (["1", "NA", "?", "-", "N/A", "null", " "], WHOLE, 1, 0, []),
    "NA in text": (["NA", "a", "b"], TEXT, "NA", 0, []),
    "one broken": (["1", "2", "3", "4", "x"], WHOLE, 1, 1, ["mixed types"]),
    "too many broken": (["1", "2", "3", "x", "y"], TEXT, "1", 0, ["mixed types"]),
    "infinite": (["1.5", "2", "3", "4", "inf"], NUMBER, 1.5, 1, ["mixed types"]),
    "beyond 32 bits": (["1.5", "2", "3", "4", "1e300"], NUMBER, 1.5, 1, ["mixed types"]),
    "huge": ([str(10**22 + at) for at in range(5)], TEXT, str(10**22), 0, ["huge numbers"]),
    "zero in front": (["01234", "12345"], TEXT, "01234", 0, ["codes"]),
    "below one": (["0.5", "0"], NUMBER, 0.5, 0, []),
    "true and false": (["True", "false", None], TRUTH, True, 0, []),
    "yes and no": (["yes", "no"], TEXT, "yes", 0, []),
    "dates": (["2024-01-05", "2024-01-06 08:30"], MOMENT, DAY, 0, []),
    "dates as text": (["05.01.2024", "16.01.2024"], MOMENT, DAY, 0, ["dates as text"]),
    "broken date": (["2024-01-05"] * 9 + ["2024-02-31"], MOMENT, DAY, 1, ["mixed types"]),
    "words with dates": (["2024-01-05", "soon", "later"], TEXT, "2024-01-05", 0, []),
    "percent": (["12%", "13.5%"], TEXT, "12%", 0, ["numbers as text"]),
    "money": (["$1,200.50", "$3"], TEXT, "$1,200.50", 0, ["numbers as text"]),
    "empty": ([None, "", "NA"], TEXT, None, 0, []),
}


@pytest.mark.parametrize("case", TEXTS)
def test_text_is_what_most_of_it_is(case: str, make_table: Make) -> None:
    values, dtype, first, broken, kinds = TEXTS[case]
    found = infer(make_table({"x": values}))
    column = found.columns["x"]
    assert (column.dtype, column.values[0], int(column.broken.sum())) == (dtype, first, broken)
    assert [warning.kind for warning in found.warnings] == kinds
    assert column.values.null_count() >= broken


TYPED: dict[str, tuple[list[Any], pl.DataType, object]] = {
    "small whole": ([1, None], WHOLE, 1),
    "numbers": ([1.5, float("nan")], NUMBER, 1.5),
    "decimal": ([Decimal("1.5"), None], NUMBER, 1.5),
    "truth": ([True, None], TRUTH, True),
    "date": ([date(2024, 1, 5), None], MOMENT, DAY),
    "moment": ([DAY, None], MOMENT, DAY),
    "text": (["a", None], TEXT, "a"),
    "dates as text": (["2024-01-05", None], MOMENT, DAY),
    "foreign dates": (["05.01.2024", None], MOMENT, DAY),
    "lists": ([[1], None], TEXT, None),
    "times": ([time(8, 30), None], TEXT, None),
}


@pytest.mark.parametrize("case", TYPED)
def test_typed_columns_become_one_of_five_types(case: str, make_table: Make) -> None:
    values, dtype, first = TYPED[case]
    column = infer(make_table({"x": values}, "parquet")).columns["x"]
    assert (column.dtype, column.values.to_list(), column.nested) == (
        dtype,
        [first, None],
        case in ("lists", "times"),
    )
