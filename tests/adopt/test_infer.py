"""Infer: what a column is, by its values; what does not fit is broken, and nothing is made up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from evergreen.adopt.columns import MOMENT
from evergreen.adopt.infer import infer
from evergreen.adopt.read import Table
from evergreen.errors import InputError
from evergreen.ingest.dialect import Dialect

Make = Callable[..., Table]
TEXT, WHOLE, NUMBER, TRUTH = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()


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
    assert len(found.warnings) == len(says)
    for part, warning in zip(says, found.warnings, strict=True):
        assert part in warning.says


def test_a_database_keeps_its_texts_and_numbers(make_table: Make) -> None:
    """They are cut into batches by the database itself, which knows none of these formats."""
    columns = {
        "day": ["05.01.2024"] * 9,
        "created_at": [1_704_067_200 + at * 3600 for at in range(9)],
    }
    found = infer(make_table(columns, "sql"))
    assert [column.dtype for column in found.columns.values()] == [TEXT, WHOLE]
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
        make_table({name: values if kind == "parquet" else [str(value) for value in values]}, kind),
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
    with pytest.raises(InputError, match="column 'b' has day and month in the opposite order"):
        infer(table)
