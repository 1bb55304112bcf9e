"""Names: what sounds like a key or a time, and what does not."""

from __future__ import annotations

import pytest

from evergreen.adopt.names import NAMES_ROWS, TIMELY, YEARLY, plain_name


@pytest.mark.parametrize(
    ("name", "plain"),
    [("customerID", "customer_id"), ("CreatedAt", "created_at"), (" Day ", "day"), ("x9", "x9")],
)
def test_names_are_made_plain(name: str, plain: str) -> None:
    assert plain_name(name) == plain


@pytest.mark.parametrize(
    ("name", "row", "time", "year"),
    [
        ("order_id", True, False, False),
        ("createdAt", False, True, False),
        ("WeekofPurchase", False, True, False),
        ("pickup_datetime", False, True, False),
        ("Year", False, True, True),
        ("model_year", False, True, True),
        ("ts", False, True, False),
        ("rents", False, False, False),
        ("location", False, False, False),
        ("stage", False, False, False),
        ("at_home", False, False, False),
        ("paid", False, False, False),
    ],
)
def test_what_a_name_says(name: str, row: bool, time: bool, year: bool) -> None:
    called = plain_name(name)
    found = tuple(bool(pattern.search(called)) for pattern in (NAMES_ROWS, TIMELY, YEARLY))
    assert found == (row, time, year)
