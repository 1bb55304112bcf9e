"""Dataset: what cannot be is told where it is declared, with what may have been meant."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import polars as pl
import pytest
from conftest import refusal

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


MAIL = {"carrier": "hash"}  # declared text, and a feature as it is


def test_what_is_personal_is_kept_as_text_or_not_at_all() -> None:
    declared = replace(DATASET, personal={"flight": "hash", "week": "drop", "note": "drop"})
    assert declared.columns == {
        name: pl.String() if name == "flight" else dtype
        for name, dtype in COLUMNS.items()
        if name != "week"
    }
    assert declared.delivered == COLUMNS
    assert declared.hashed == ("flight",)
    assert declared.known_in_time == ("flight", "day", "carrier")
    assert (DATASET.columns, DATASET.delivered, DATASET.hashed) == (COLUMNS, COLUMNS, ())


@pytest.mark.parametrize(
    "reads",
    [
        {"features": {"by": pl.col("carrier")}},
        {"features": {"by": pl.col("carrier").is_null()}},
        {"features": {"by": pl.when(pl.col("carrier").is_not_null()).then(pl.col("week"))}},
        {"slices": {"by": pl.col("carrier")}, "groups": {"by": pl.col("carrier")}},
        {"left_out": {"nobody": pl.col("carrier").is_null() | (pl.col("week") > 3)}},
        {"label": pl.col("carrier").is_not_null()},
    ],
)
def test_a_hash_is_read_as_it_is_or_asked_whether_it_is_there(reads: dict[str, Any]) -> None:
    assert replace(DATASET, personal=MAIL, **reads).columns["carrier"] == pl.String()


COMPUTES = ("computes with 'carrier', of which only a hash is kept", "is_null")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"personal": {"carier": "hash"}}, ("personal names 'carier'", "did you mean 'carrier'?")),
        ({"personal": {"crarier": "drop"}}, ("names 'crarier'", "did you mean 'carrier'?")),
        ({"personal": {"email": "hash"}}, ("personal names 'email'", "columns holds flight")),
        ({"personal": {"carrier": "hsah"}}, ("'carrier' cannot be 'hsah'", "did you mean 'hash'?")),
        ({"personal": {"carrier": True}}, ("'carrier' cannot be True", "write 'hash' or 'drop'")),
        ({"personal": ("carrier",)}, ("personal must be a mapping", '{"email": "hash"}')),
        ({"personal": {"day": "hash"}}, ("'day' is personal and time", "round it")),
        ({"personal": {"day": "drop"}}, ("'day' is personal and time", "round it")),
        ({"personal": {"flight": "drop"}}, ("drops 'flight', which key names", "write 'hash'")),
        ({"personal": {"delay": "drop"}}, ("drops 'delay', which known_later names",)),
        ({"personal": {"late": "hash"}}, ("label computes with 'late'", "is_null")),
        ({"personal": {"carrier": "drop"}}, ("features['carrier'] reads 'carrier'", "drops")),
        *(({"personal": MAIL, **reads}, COMPUTES)
          for reads in ({"features": {"a": pl.col("carrier").str.len_chars()}},
                        {"features": {"a": pl.col("carrier") == "AA"}},
                        {"features": {"a": pl.col("week").mean().over("carrier")}},
                        {"slices": {"a": pl.struct("carrier", "week").hash()}},
                        {"groups": {"a": pl.coalesce("carrier", pl.lit("nobody"))}},
                        {"left_out": {"a": pl.col("carrier") == "AA"}},
                        {"label": pl.col("carrier")})),
    ],
)  # fmt: skip
def test_what_cannot_be_personal_is_named(changes: dict[str, Any], said: tuple[str, ...]) -> None:
    told = refusal(lambda: replace(DATASET, **changes), "dataset.py: ", *said)
    assert "\n" not in told
