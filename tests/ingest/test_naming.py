"""Naming: batches stand in the order in which people count."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.ingest.naming import natural

IN_ORDER = {
    "numbers": ["orders-1", "orders-2", "orders-9", "orders-10", "orders-11", "orders-100"],
    "months": ["2023-12", "2024-1", "2024-2", "2024-10", "2024-11"],
    "padded months": ["2013-01", "2013-02", "2013-12", "2014-01"],
    "days": ["2024-1-9", "2024-1-10", "2024-2-1"],
    "compact days": ["20231231", "20240101", "20240110"],
    "weeks": ["2024-W2", "2024-W9", "2024-W10"],
    "versions": ["v1.9", "v1.10", "v2.0", "v10.0"],
    "bare numbers": ["1", "2", "10"],
    "no number": ["apples", "pears"],
    "a prefix": ["2013", "2013-01", "2013-02"],
    "padded or not": ["01", "1", "02", "2"],
    "number first or text first": ["10-orders", "orders-2"],
}


@pytest.mark.parametrize("names", IN_ORDER.values(), ids=IN_ORDER)
def test_names_are_in_the_order_people_count(names: list[str]) -> None:
    assert sorted(sorted(names), key=natural) == names


@pytest.mark.slow
@given(st.lists(st.text("a1.-_0", min_size=1, max_size=6), unique=True, max_size=8))
def test_any_names_can_be_sorted_and_none_equals_another(names: list[str]) -> None:
    places = [natural(name) for name in sorted(names, key=natural)]
    assert all(before < after for before, after in pairwise(places))
