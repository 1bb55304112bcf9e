"""Infer: what a column is, by its values; what does not fit is broken, and nothing is made up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from evergreen.adopt.infer import MOMENT, infer
from evergreen.adopt.read import Table
from evergreen.errors import InputError
from evergreen.ingest.dialect import Dialect

Make = Callable[..., Table]
TEXT, WHOLE, NUMBER, TRUTH = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()
DAY = datetime.fromisoformat("2024-01-05")

# values of a column of text -> type, first value read, broken values, kinds of doubts
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
    one = found.columns["x"]
    assert (one.dtype, one.values[0], int(one.broken.sum())) == (dtype, first, broken)
    assert [doubt.kind for doubt in found.doubts] == kinds
    assert one.values.null_count() >= broken


@pytest.mark.parametrize(
    ("values", "dialect", "read", "says"),
    [
        (["1,5", "22,25", "1000"], Dialect(","), [1.5, 22.25, 1000], ["',' before decimals"]),
        (
            ["1.234,5", "2"],
            Dialect(",", "."),
            [1234.5, 2],
            ["',' before decimals", "'.' between thousands"],
        ),
        (["1,234.5", "2"], Dialect(".", ","), [1234.5, 2], ["',' between thousands"]),
        (
            ["1 234,5", "2"],
            Dialect(",", " "),
            [1234.5, 2],
            ["',' before decimals", "' ' between thousands"],
        ),
        (["1'234.5", "2"], Dialect(".", "'"), [1234.5, 2], ["between thousands"]),
        (
            ["1,234", "5,678"],
            Dialect(".", ","),
            [1234, 5678],
            ["may be 1234 or 1.234: taken for 1234"],
        ),
        (["1.234", "5.678"], Dialect(), [1.234, 5.678], []),
    ],
)
def test_the_dialect_is_the_one_that_most_columns_are_numbers_in(
    values: list[str], dialect: Dialect, read: list[float], says: list[str], make_table: Make
) -> None:
    found = infer(make_table({"x": values, "n": ["1", "2", "3"][: len(values)]}))
    assert found.dialect == dialect
    assert found.columns["x"].values.to_list() == read
    assert len(found.doubts) == len(says)
    for part, doubt in zip(says, found.doubts, strict=True):
        assert part in doubt.says


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
    one = infer(make_table({"x": values}, "parquet")).columns["x"]
    assert (one.dtype, one.values.to_list(), one.nested) == (
        dtype,
        [first, None],
        case in ("lists", "times"),
    )


def test_a_database_keeps_its_texts_and_numbers(make_table: Make) -> None:
    """They are cut into batches by the database itself, which knows none of these formats."""
    columns = {
        "day": ["05.01.2024"] * 9,
        "created_at": [1_704_067_200 + at * 3600 for at in range(9)],
    }
    found = infer(make_table(columns, "sql"))
    assert [one.dtype for one in found.columns.values()] == [TEXT, WHOLE]
    assert (
        "may be seconds since 1970: make a timestamp of it in a view" in found.maybe["created_at"]
    )


COUNTED = [1_704_067_200 + at * 3_607 for at in range(50)]
# Column -> its type, and what is said
SUPPOSED: dict[str, tuple[str, list[Any], dict[str, Any], str, str]] = {
    "counts": ("created_at", COUNTED, {}, "date", ""),
    "counts called otherwise": (
        "x",
        COUNTED,
        {},
        "number",
        "may be seconds since 1970: --time 'x' takes it so",
    ),
    "and named": ("x", COUNTED, {"time": "x"}, "date", ""),
    "years": (
        "year",
        [1990 + at % 9 for at in range(50)],
        {},
        "number",
        "may be YYYY: --time 'year' takes it so",
    ),
    "years, named": ("year", [1990 + at % 9 for at in range(50)], {"time": "year"}, "date", ""),
    "weeks": ("week", [at * 7 % 50 for at in range(50)], {}, "number", "may say when"),
    "in order": (
        "x",
        [at // 2 for at in range(50)],
        {},
        "number",
        "never falls from one row to the next",
    ),
    "spreadsheet": (
        "x",
        [45_292 + at for at in range(50)],
        {},
        "number",
        "days as a spreadsheet counts them",
    ),
    "no order": ("x", [at * 7 % 50 for at in range(50)], {}, "number", ""),
    "a key": ("order_id", [*range(50)], {}, "number", ""),
    "a way unknown": (
        "x",
        [f"{1 + at % 28}. März 2024" for at in range(50)],
        {},
        "text",
        "such as '1. März 2024'",
    ),
    "given": (
        "x",
        [f"{1 + at % 28}|03|2024" for at in range(50)],
        {"formats": ("%d|%m|%Y",)},
        "date",
        "",
    ),
}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("case", SUPPOSED)
def test_what_may_be_a_time_is_read_or_named(case: str, kind: str, make_table: Make) -> None:
    name, values, how, dtype, says = SUPPOSED[case]
    found = infer(
        make_table({name: values if kind == "parquet" else [str(one) for one in values]}, kind),
        **how,
    )
    assert found.columns[name].dtype == {"date": MOMENT, "number": WHOLE, "text": TEXT}[dtype]
    assert not found.columns[name].broken.any()
    assert bool(found.dialect.dates) == (dtype == "date")
    assert says in found.maybe[name] if says else not found.maybe


def test_formats_of_all_columns_are_gathered(make_table: Make) -> None:
    found = infer(
        make_table({"a": ["25.01.2024", "26.01.2024"], "b": ["2024/01/25", "2024-01-26"]})
    )
    assert found.dialect.dates == ("%d.%m.%Y", "%Y/%m/%d")


def test_columns_with_day_and_month_the_other_way_round_are_refused(make_table: Make) -> None:
    table = make_table({"a": ["25/01/2024", "05/01/2024"], "b": ["01/25/2024", "01/05/2024"]})
    with pytest.raises(InputError, match="column 'b' has day and month the other way round"):
        infer(table)
