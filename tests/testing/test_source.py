"""check_source: lets the example pass, and stops each way to be wrong."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from evergreen.testing import check_source
from late_flights import flights
from late_flights.dataset import dataset

FRAME = pl.DataFrame({"a": [1, 2]})
COUNT = count()


def test_the_example_passes() -> None:
    check_source(flights, dataset)


def source(**other: Any) -> Any:
    usual = {
        "batches": lambda: ["2024-1", "2024-10"], "origin": lambda: "v1",
        "read": lambda name: FRAME,
    }  # fmt: skip
    return SimpleNamespace(**usual | other)


def test_a_small_one_passes() -> None:
    check_source(source())


BROKEN = {
    "no origin": ({"origin": None}, r"does not define origin\(\)"),
    "nothing": ({"batches": list}, "names none"),
    "no text": ({"batches": lambda: [2024]}, "which is no text"),
    "no folder": ({"batches": lambda: ["a/b"]}, "which is to be a folder"),
    "twice": ({"batches": lambda: ["a", "a"]}, "names one twice"),
    "others": ({"batches": lambda: [f"b{next(COUNT)}"]}, "names others when asked again"),
    "origin is no text": ({"origin": lambda: 3}, "must be a text"),
    "origin is empty": ({"origin": lambda: ""}, "is empty"),
    "origin changes": ({"origin": lambda: f"{next(COUNT)}"}, "would read everything anew"),
    "no frame": ({"read": lambda name: [1]}, "must return a polars frame"),
    "no rows": ({"read": lambda name: FRAME.clear()}, "has no rows"),
    "other rows": (
        {"read": lambda name: FRAME.with_columns(a=pl.lit(next(COUNT)))},
        "gives other rows when asked again",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_one_is_stopped(case: str) -> None:
    other, told = BROKEN[case]
    with pytest.raises(AssertionError, match=told):
        check_source(source(**other))


def test_a_batch_without_a_declared_column_is_stopped() -> None:
    with pytest.raises(AssertionError, match=r"lacks scheduled_departure, .*dataset\.py declares"):
        check_source(source(), dataset)
