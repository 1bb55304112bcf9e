"""Held batches: one batch unlike all others trains nothing; two alike are a changed world."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from evergreen.errors import InputError
from evergreen.ingest.manifest import Manifest
from evergreen.params import Drift
from evergreen.quality import held_batches
from evergreen.quality.held_batches import (
    BEFORE,
    HELD,
    SKETCH,
    check_left,
    describe_held,
    find_held,
    read_held,
)
from evergreen.statistics.sketch import sketch

ROWS = 1500


@cache
def batch(
    at: int,
    scale: float = 1.0,
    fixed: bool = False,
    flipped: bool = False,
    few: float | None = None,
) -> pl.DataFrame:
    draw = np.random.default_rng(at)
    label, distance = draw.random(ROWS) < 0.2, draw.normal(100, 20, ROWS) * scale
    if few is not None:
        distance[::20] = few
    return pl.DataFrame(
        {
            "distance": distance,
            "place": np.where(fixed, "ash", draw.choice(["ash", "bay", "cove"], ROWS)),
            "label": np.where(label ^ flipped, "yes", "no"),
        }
    )


ODD: dict[str, dict[str, Any]] = {
    "distance": {"scale": 1.609},
    "place": {"fixed": True},
    "label": {"flipped": True},
}
DAYS = pl.Series(np.arange(ROWS) * 30 // ROWS)


@pytest.fixture
def done(tmp_path: Path) -> Manifest:
    return Manifest(tmp_path / "features")


def fill(done: Manifest, batches: list[pl.DataFrame], days: pl.Series | None = None) -> list[str]:
    names = [f"{at:02}" for at in range(len(batches))]
    for at, (name, rows) in enumerate(zip(names, batches, strict=True)):
        moment = str(date(2013, 1, 1) + timedelta(days=30 * at))
        sketch(rows, days).write(done.file(name, SKETCH))
        done.record(
            name, done.file(name, SKETCH), rows=rows.height, start=moment, middle=moment, end=moment
        )
    return names


@pytest.mark.slow
@pytest.mark.parametrize("column", ODD)
def test_a_poisoned_batch_is_held_by_its_column_and_those_after_it_are_not(
    done: Manifest, column: str
) -> None:
    names = fill(done, [*map(batch, range(4)), batch(4, **ODD[column]), batch(5), batch(6)])
    held = find_held(done, names, Drift())
    assert list(held) == ["04"]
    assert list(held["04"]) == [column]
    assert held["04"][column].startswith(column)
    assert read_held(done) == held


@pytest.mark.slow
def test_ordinary_batches_are_not_held(done: Manifest) -> None:
    assert find_held(done, fill(done, [*map(batch, range(10))]), Drift()) == {}


@pytest.mark.slow
@pytest.mark.parametrize("column", ["distance", "place"])
def test_two_in_a_row_that_are_odd_alike_are_a_change(done: Manifest, column: str) -> None:
    odd = ODD[column]
    names = fill(done, [*map(batch, range(4)), batch(4, **odd), batch(5, **odd), batch(6, **odd)])
    assert list(find_held(done, names[:5], Drift())) == ["04"]
    assert find_held(done, names[:6], Drift()) == {}
    assert find_held(done, names, Drift()) == {}


@pytest.mark.slow
def test_labels_wait_for_a_person_who_vouches_once(done: Manifest) -> None:
    """Else two poisoned months would vouch for one another."""
    names = fill(done, [*map(batch, range(4)), *(batch(at, flipped=True) for at in range(4, 8))])
    assert list(find_held(done, names, Drift())) == ["04", "05", "06", "07"]
    assert list(find_held(done, names, Drift(accepted=("05",)))) == ["04"]


@pytest.mark.slow
def test_more_rows_are_never_held_than_count(done: Manifest) -> None:
    names = fill(done, [*map(batch, range(4)), *(batch(at, flipped=True) for at in range(4, 12))])
    assert list(find_held(done, names, Drift())) == ["04", "05", "06", "07"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("last", "held"), [("2013-05-01", ["04"]), ("2013-05-04", []), ("2013-05-08", ["04"])]
)
def test_a_few_days_are_like_no_others(done: Manifest, last: str, held: list[str]) -> None:
    """Where no column says when, all rows have one time."""
    names = fill(done, [*map(batch, range(4)), batch(4, scale=1.6), batch(5)])
    done.entries["04"] |= {"start": "2013-05-01", "end": last}
    assert list(find_held(done, names, Drift())) == held


def table(first: int, last: int) -> pl.DataFrame:
    """Two rows for each of these days, as a number."""
    days, draw = np.repeat(np.arange(first, last + 1), 2), np.random.default_rng(first)
    x, z = draw.normal(size=len(days)), draw.random(len(days))
    return pl.DataFrame({"day": days.astype(float), "x": x, "z": z, "label": 3 * x + z})


@pytest.mark.slow
@pytest.mark.parametrize(
    "week", [15, 60, *(pytest.param(rows, marks=pytest.mark.long) for rows in (40, 150))]
)
@pytest.mark.parametrize("history", [100, 300, 1500])
def test_a_history_before_small_batches_is_never_held(
    done: Manifest, history: int, week: int
) -> None:
    """Its days are far from those of later batches, and theirs from one another."""
    later = [table(history + 1 + at * week, history + (at + 1) * week) for at in range(14)]
    names = fill(done, [table(1, history), *later])
    for count in range(1, len(names) + 1):
        assert find_held(done, names[:count], Drift()) == {}


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_first_three_are_not_held_for_being_first(done: Manifest, place: int) -> None:
    good = [*map(batch, range(6))]
    names = fill(done, [*good[:place], batch(7, scale=1.6), *good[place:]])
    assert find_held(done, names, Drift()) == {}


@pytest.mark.slow
def test_two_in_a_row_that_are_odd_otherwise_are_both_held(done: Manifest) -> None:
    names = fill(done, [*map(batch, range(4)), batch(4, scale=1.609), batch(5, flipped=True)])
    assert list(find_held(done, names, Drift())) == ["04", "05"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "params", [Drift(accepted=("04",)), Drift(hold=None)], ids=["accepted", "off"]
)
def test_a_person_can_let_it_in(done: Manifest, params: Drift) -> None:
    names = fill(done, [*map(batch, range(4)), batch(4, scale=1.609), batch(5)])
    assert find_held(done, names, params) == {}


def test_the_first_batches_have_nothing_to_be_unlike(done: Manifest) -> None:
    assert find_held(done, fill(done, [batch(0), batch(1), batch(2, scale=1.609)]), Drift()) == {}


@pytest.mark.slow
def test_a_new_batch_costs_itself(done: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    names = fill(done, [*map(batch, range(BEFORE + 6))])
    find_held(done, names[:-1], Drift())
    looked, real = [], held_batches.find_anomalies
    monkeypatch.setattr(
        held_batches, "find_anomalies", lambda *args: looked.append(args) or real(*args)
    )
    find_held(done, names, Drift())
    ((_, earlier, _),) = looked
    assert len(earlier) == BEFORE
    find_held(done, names, Drift())
    assert len(looked) == 1


@pytest.mark.slow
@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_damaged_memory_is_made_anew(done: Manifest, content: str) -> None:
    names = fill(done, [*map(batch, range(4)), batch(4, scale=1.609)])
    first = find_held(done, names, Drift())
    whole = (done.folder / HELD).read_bytes()
    (done.folder / HELD).write_text(content)
    assert find_held(done, names, Drift()) == first
    assert (done.folder / HELD).read_bytes() == whole
    assert json.loads(whole)["04"]["held"] == first["04"]


@pytest.mark.slow
def test_what_is_odd_besides_is_held_though_the_world_has_changed(done: Manifest) -> None:
    """Else inverted labels would come in beside a new sensor."""
    new = {"scale": 1.609}
    names = fill(
        done,
        [*map(batch, range(4)), batch(4, **new), batch(5, **new, flipped=True), batch(6, **new)],
    )
    held = find_held(done, names, Drift())
    assert {name: list(why) for name, why in held.items()} == {"05": ["label"]}
    assert read_held(done) == held


@pytest.mark.slow
def test_a_part_of_what_was_odd_vouches_for_none_of_it(done: Manifest) -> None:
    names = fill(
        done, [*map(batch, range(4)), batch(4, scale=1.609, flipped=True), batch(5, scale=1.609)]
    )
    assert list(find_held(done, names, Drift())) == ["04", "05"]


OTHERWISE: dict[str, tuple[dict[str, Any], Any]] = {
    "in another unit": ({"scale": 1.6}, {"scale": 0.001}),
    "constant": ({"scale": 1.6}, pl.lit(500.0).alias("distance")),
    "missing": ({"scale": 1.6}, pl.lit(None, pl.Float64).alias("distance")),
    "one label": ({"flipped": True}, pl.lit("yes").alias("label")),
    "absurd on the other side": (
        {"few": -9999.0},
        pl.when(pl.int_range(pl.len()) % 20 == 0).then(1e6).otherwise("distance").alias("distance"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("other", OTHERWISE)
def test_who_is_odd_otherwise_in_the_same_column_vouches_for_nobody(
    done: Manifest, other: str
) -> None:
    first, second = OTHERWISE[other]
    last = batch(5, **second) if isinstance(second, dict) else batch(5).with_columns(second)
    names = fill(done, [*map(batch, range(4)), batch(4, **first), last])
    assert list(find_held(done, names, Drift())) == ["04", "05"]


@pytest.mark.slow
def test_the_same_rows_once_more_vouch_for_nobody(done: Manifest) -> None:
    names = fill(done, [*map(batch, range(4)), batch(4, scale=1.6), batch(4, scale=1.6)])
    assert list(find_held(done, names, Drift())) == ["04", "05"]


@pytest.mark.slow
def test_a_new_unit_of_a_column_with_seasons_is_a_change(done: Manifest) -> None:
    """Neighbours in time are as far apart as seasons are, in any unit."""

    def season(at: int, celsius: bool = False) -> pl.DataFrame:
        draw = np.random.default_rng(at)
        warm = 55 - 25 * np.cos(at / 12 * 2 * np.pi) + 7 * draw.normal(size=30)[DAYS.to_numpy()]
        temp = np.round(warm + 4 * draw.normal(size=ROWS))
        return pl.DataFrame(
            {"temp": (temp - 32) / 1.8 if celsius else temp, "label": batch(at)["label"]}
        )

    frames = [season(at, celsius=at >= 14) for at in range(17)]
    names = fill(done, frames, DAYS)
    assert list(find_held(done, names[:15], Drift())) == ["14"]
    assert find_held(done, names[:16], Drift()) == {}
    assert find_held(done, names, Drift()) == {}


@pytest.mark.slow
def test_a_row_of_an_odd_time_stops_nobody_from_vouching(done: Manifest) -> None:
    names = fill(done, [*map(batch, range(4)), batch(4, scale=1.609), batch(5, scale=1.609)])
    done.entries["04"]["end"] = "2099-01-01"
    assert find_held(done, names, Drift()) == {}


@pytest.mark.slow
def test_small_batches_blind_nobody(done: Manifest) -> None:
    small = [batch(20 + at).head(20) for at in range(12)]
    names = fill(done, [*map(batch, range(4)), *small, batch(16, flipped=True), batch(17)])
    assert list(find_held(done, names, Drift())) == ["16"]


@pytest.mark.slow
def test_a_stray_value_does_not_make_it_a_usual_one(done: Manifest) -> None:
    stray = batch(3).clone()
    stray[5, "distance"] = -9999.0
    names = fill(done, [*map(batch, range(3)), stray, batch(4, few=-9999.0), batch(5)])
    assert list(find_held(done, names, Drift())) == ["04"]


@pytest.mark.slow
def test_prices_that_hardly_ever_come_again_can_change_for_good(done: Manifest) -> None:
    """Of 1,500 among 40,000 prices few are those of the month before, in any currency."""

    def prices(at: int, rate: float = 1.0) -> pl.DataFrame:
        price = np.round(np.random.default_rng(at).integers(1, 40_000, ROWS) / 100, 2) * rate
        return batch(at).with_columns(pl.Series("distance", price)).head(900)

    names = fill(done, [prices(at, 3.7 if at > 5 else 1.0) for at in range(8)])
    assert list(find_held(done, names[:7], Drift())) == ["06"]
    assert find_held(done, names, Drift()) == {}


@pytest.mark.slow
def test_who_vouched_for_whom_is_not_asked_again(
    done: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a run would cost what history holds of changes."""
    names = fill(
        done, [*map(batch, range(4)), batch(4, scale=1.6), batch(5, scale=1.6), batch(6, scale=1.6)]
    )
    assert find_held(done, names[:6], Drift()) == {}
    looked, real = [], held_batches.is_same_anomaly
    monkeypatch.setattr(
        held_batches, "is_same_anomaly", lambda *args: looked.append(args) or real(*args)
    )
    for count in (6, 7, 7):
        assert find_held(done, names[:count], Drift()) == {}
    assert looked == []


@pytest.mark.slow
def test_what_is_held_is_told_with_its_rows_and_what_to_do(done: Manifest) -> None:
    names = fill(done, [*map(batch, range(4)), batch(4, scale=1.6), batch(5)])
    assert describe_held(done) == []
    find_held(done, names, Drift())
    (told,) = describe_held(done)
    assert told.startswith("04 (1,500 of 9,000 rows): distance has median ")
    assert told.endswith("if it is right, add '04' to drift.accepted in params.yaml")
    del done.entries["04"]
    assert describe_held(done) == []


# Batches that are used, of 0 to 5, and why not
LEFT: dict[str, tuple[list[int], float | None, str]] = {
    "all": ([0, 1, 2, 3, 4, 5], 0.5, ""),
    "half": ([3, 4, 5], 0.5, ""),
    "a third": (
        [4, 5],
        0.5,
        "Missing: 00, 01, 02, 03: no longer among the newest split.train_batches",
    ),
    "all is asked for": (
        [1, 2, 3, 4, 5],
        1.0,
        "only 7,500 rows are left to learn from, and the champion has learnt from 9,000",
    ),
    "one is held": (
        [0, 1, 2, 3, 5],
        1.0,
        "Missing: 04: held back (`evergreen status` says why): add what is right to drift.accepted",
    ),
    "nobody asks": ([5], None, ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", LEFT)
def test_nothing_is_trained_where_little_is_left(done: Manifest, case: str) -> None:
    used, least, says = LEFT[case]
    names = fill(done, [*map(batch, range(4)), batch(4, scale=1.6), batch(5)])
    if 4 not in used and case != "all is asked for":
        find_held(done, names, Drift())
    if not says:
        check_left(done, [names[at] for at in used], [*names, "gone"], least)
        return
    with pytest.raises(InputError, match=re.escape(says)):
        check_left(done, [names[at] for at in used], [*names, "gone"], least)
