"""Checks: what keeps a column from being a feature, and its honest neighbour that passes."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from evergreen.adopt.checks import check_column, plain_name
from evergreen.adopt.columns import MOMENT, Column

ROWS = 200
EACH = [str(at) for at in range(ROWS)]
DAYS = [f"2024-{1 + at % 12:02}-05" for at in range(ROWS)]

# name, values -> kinds of warnings, those that keep it out in capitals
SEEN: dict[str, tuple[str, list[Any], list[str]]] = {
    "number": ("height", [at * 0.5 for at in range(ROWS)], []),
    "category": ("place", ["a", "b"] * 100, []),
    "empty": ("x", [None] * ROWS, ["EMPTY", "NEARLY EMPTY"][:1]),
    "constant": ("x", [3] * ROWS, ["CONSTANT"]),
    "marked or not": ("x", [1, None] * 100, ["constant"]),
    "nearly empty": ("x", [1, 2, *[None] * 198], ["NEARLY EMPTY"]),
    "row numbers": ("x", list(range(ROWS)), ["ID"]),
    "named ID": ("order_id", [at * 7 % 1009 for at in range(ROWS)], ["ID"]),
    "named ID again and again": ("storeId", [at % 40 for at in range(ROWS)], ["ID"]),
    "a few of an ID": ("store_id", [at % 5 for at in range(ROWS)], []),
    "different numbers": ("area", [at * 7 % 1009 for at in range(ROWS)], []),
    "number of rooms": ("number", [at % 30 for at in range(ROWS)], []),
    "texts that name rows": ("x", [f"C{at}" for at in EACH], ["ID"]),
    "free text": ("comment", [f"called about {at}" for at in EACH], ["FREE TEXT"]),
    "many levels": ("town", [f"t{at % 60}" for at in range(ROWS)], ["many levels"]),
    "e-mail": ("contact", [f"{at}@mail.org" for at in EACH], ["PERSONAL DATA"]),
    "phone": ("contact", [f"+49 30 12345{at}" for at in range(ROWS)], ["PERSONAL DATA"]),
    "phone by name": ("phone", [49301234000 + at for at in range(ROWS)], ["PERSONAL DATA"]),
    "IP addresses": ("host", [f"192.168.100.{at % 40}" for at in range(ROWS)], []),
    "names": ("LastName", [f"Smith {at}" for at in EACH], ["PERSONAL DATA"]),
    "product names": ("product_name", [f"p{at % 30}" for at in range(ROWS)], []),
    "few names": ("name", ["left", "right"] * 100, []),
    "groups": ("Sex", ["m", "f"] * 100, ["groups of people"]),
    "prices are no age": ("package", [at % 7 for at in range(ROWS)], []),
    "infinite range": ("x", [1e38 * at for at in (0, 1)] * 100, []),
}


def column(name: str, values: list[Any], dtype: pl.DataType | None = None) -> Column:
    made = pl.Series(name, values, dtype or (pl.String if values == [None] * len(values) else None))
    return Column(name, made.dtype, made, pl.Series([False] * len(values)))


def kinds(*found: Any) -> list[str]:
    return [warning.kind.upper() if warning.out else warning.kind for warning in found]


@pytest.mark.parametrize("case", SEEN)
def test_what_is_doubtful_is_told(case: str) -> None:
    name, values, expected = SEEN[case]
    found = check_column(column(name, values), is_key=False, time=None)
    assert kinds(*found) == ([warning if warning != "ID" else "ID" for warning in expected])
    assert all(warning.column == name for warning in found)


def test_a_key_names_rows_on_purpose() -> None:
    assert check_column(column("x", EACH), is_key=True, time=None) == []


def dates(name: str, shift: int) -> Column:
    days = pl.Series(name, DAYS).str.to_datetime(time_unit="us").dt.offset_by(f"{shift}d")
    return column(name, days.to_list(), MOMENT)


def test_dates_count_from_the_time_unless_they_come_after_it() -> None:
    time = dates("day", 0)
    assert kinds(*check_column(dates("signup", -30), is_key=False, time=time)) == []
    assert kinds(*check_column(dates("cancelled", 30), is_key=False, time=time)) == ["KNOWN LATER"]
    assert kinds(*check_column(dates("signup", -30), is_key=False, time=None)) == ["DATE"]
    assert kinds(*check_column(dates("birth_date", -9000), is_key=False, time=time)) == [
        "PERSONAL DATA"
    ]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("customerID", "customer_id"),
        ("FirstName", "first_name"),
        (" E-mail ", "e-mail"),
        ("a", "a"),
    ],
)
def test_names_are_compared_in_one_style(name: str, plain: str) -> None:
    assert plain_name(name) == plain
