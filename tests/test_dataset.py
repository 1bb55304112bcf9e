"""Dataset: what cannot be is told where it is declared, with what may have been meant."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import polars as pl
import pytest

from evergreen import Dataset
from evergreen.dataset import ORDER
from evergreen.errors import InputError

COLUMNS = {
    "flight": pl.Int32(),
    "week": pl.Int64(),
    "day": pl.Date(),
    "carrier": pl.String(),
    "delay": pl.Int32(),
    "late": pl.Boolean(),
}
DATASET = Dataset(
    columns=COLUMNS,
    key=("flight",),
    time="day",
    label=pl.col("late"),
    known_later=("late", "delay"),
    features={"carrier": pl.col("carrier")},
)


def test_what_is_not_given_is_empty_and_nothing_can_be_changed() -> None:
    bare = Dataset(columns=COLUMNS, label=pl.col("late"), features={})
    assert (bare.key, bare.time, bare.known_later) == ((), "", ())
    assert (bare.left_out, bare.slices, bare.groups) == ({}, {}, {})
    with pytest.raises(FrozenInstanceError):
        bare.time = "day"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("time", "column", "dates"),
    [("", False, False), (ORDER, False, False), ("week", True, False), ("day", True, True)],
)
def test_what_says_when(time: str, column: bool, dates: bool) -> None:
    declared = replace(DATASET, time=time)
    assert (declared.has_time_column, declared.has_dates) == (column, dates)


def test_what_is_known_in_time_is_in_the_order_of_columns() -> None:
    assert DATASET.known_in_time == ("flight", "week", "day", "carrier")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key": "flight"}, ("key must be a tuple", "('flight',)")),
        ({"key": ("flihgt",)}, ("key names 'flihgt'", "did you mean 'flight'?")),
        ({"known_later": ("late", "nothing")},
         ("known_later names 'nothing'", "columns holds flight, week")),
        ({"time": "dya"}, ("time names 'dya'", "did you mean 'day'?")),
        ({"time": "carrier"}, ("time is 'carrier'", "neither a time nor a number")),
        ({"time": "late"}, ("time is 'late'", "neither a time nor a number")),
        ({"columns": {}, "key": (), "time": "", "known_later": ("late",)}, ("columns holds none",)),
        *(({"features": {name: pl.col("carrier")}},
           (f"no feature can be called {name!r}", "rename it"))
          for name in ("group_size", "key_accounts", "slice_of", "label", "event_time")),
        *(({"features": {"speed": leak}},
           ("feature 'speed' reads", "known only later", "take the feature out"))
          for leak in (pl.col("delay"), pl.col("flight") / pl.col("delay"),
                       pl.col("delay").mean().over("carrier"))),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(changes: dict[str, Any], said: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        replace(DATASET, **changes)
    told = str(caught.value)
    assert [part for part in ("dataset.py: ", *said) if part not in told] == [], told
    assert "\n" not in told
