"""Relations: a column that goes with the others as it never did is named, one that moves with them is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from evergreen.data.relations import find_odd
from evergreen.data.sketch import Sketch, sketch
from evergreen.data.split import LABEL
from evergreen.params import Drift

ROWS, BATCHES = 1500, 5
MEANS = (2.0, 9.0, 17.0, 24.0, 19.0, 11.0)  # of air, in degrees Celsius, by batch
PLACES = ("ash", "bay", "cove")
CLASSES = ("low", "middle", "high")
Frame = Callable[[pl.DataFrame], pl.DataFrame]


def batch(at: int, task: str = "binary", rows: int = ROWS) -> pl.DataFrame:
    """Air and water move with the seasons and go with one another; the label goes with humidity and the place."""
    draw = np.random.default_rng([at, rows])
    air = MEANS[at % len(MEANS)] + 6 * draw.normal(size=rows)
    humid = draw.normal(60, 15, rows)
    place = draw.integers(0, 3, rows)
    score = (humid - 60) / 15 + place + 1.5 * draw.normal(size=rows)
    label = {
        "binary": np.where(score > 2.5, "yes", "no"),
        "multiclass": np.array(CLASSES)[np.digitize(score, [0.3, 1.7])],
        "regression": score,
    }[task]
    return pl.DataFrame(
        {
            "air": air,
            "water": 0.8 * air + 3 + 1.5 * draw.normal(size=rows),
            "humid": humid,
            "alone": draw.normal(size=rows),
            "place": np.array(PLACES)[place],
            LABEL: label,
        }
    )


def of(frame: pl.DataFrame, days: pl.Series | None = None) -> Sketch:
    return sketch(frame, days)


def past(task: str = "binary") -> list[Sketch]:
    return [of(batch(at, task)) for at in range(BATCHES)]


def look(change: Frame, task: str = "binary", params: Drift | None = None) -> dict[str, str]:
    return find_odd(of(change(batch(BATCHES, task))), past(task), params or Drift())


def same(frame: pl.DataFrame) -> pl.DataFrame:
    return frame


def turned(frame: pl.DataFrame) -> pl.DataFrame:
    if frame[LABEL].dtype.is_float():
        return frame.with_columns(-pl.col(LABEL) + 2 * pl.col(LABEL).mean())
    names = ("yes", "no") if "yes" in frame[LABEL] else ("low", "middle", "high")
    return frame.with_columns(pl.col(LABEL).replace_strict(dict(zip(names, names[::-1], strict=True))))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_an_ordinary_batch_is_not_odd(task: str) -> None:
    assert look(same, task) == {}


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_labels_that_are_turned_round_are(task: str) -> None:
    found = look(turned, task)
    assert list(found) == [LABEL]
    assert "goes against the features (correlation -0." in found[LABEL]
    assert "went with them in each of 5 earlier batches (0." in found[LABEL]


@pytest.mark.parametrize("column", ["air", "water"])
def test_one_unit_that_changed_is_named_alone(column: str) -> None:
    """Fahrenheit in a cold month; in the other direction a warm month would be a cold one."""
    found = look(lambda frame: frame.with_columns(pl.col(column) * 1.8 + 32))
    assert list(found) == [column]
    assert found[column].startswith(f"{column} less what the other columns tell of it")


def test_two_are_both_named() -> None:
    assert set(look(lambda frame: turned(frame).with_columns(pl.col("air") * 1.8 + 32))) == {"air", LABEL}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda frame: frame.with_columns(pl.col("air") + 20, pl.col("water") + 16), id="a hot month"),
        pytest.param(lambda frame: frame.with_columns(pl.col("alone") * 3), id="no relation to break"),
        pytest.param(lambda frame: frame.with_columns(pl.lit(None, pl.Float64).alias("water")), id="missing"),
        pytest.param(lambda frame: frame.with_columns(pl.lit(np.inf).alias("alone")), id="infinite"),
        pytest.param(lambda frame: frame.filter(pl.col("place") == "ash"), id="one place"),
        pytest.param(lambda frame: frame[:150], id="too few rows"),
        pytest.param(lambda frame: frame.with_columns(pl.lit("no").alias(LABEL)), id="one class"),
    ],
)
def test_what_breaks_no_relation_is_not_odd(change: Frame) -> None:
    assert look(change) == {}


def test_columns_that_say_the_same_may_differ_by_a_little() -> None:
    """Rounded once and not the next time: thousandths of a deviation, however regular, matter to no model."""

    def twin(frame: pl.DataFrame, digits: int) -> Sketch:
        return of(frame.with_columns(pl.col("air").round(digits).alias("twin")))

    earlier = [twin(batch(at), 6) for at in range(BATCHES)]
    assert find_odd(twin(batch(BATCHES), 1), earlier, Drift()) == {}
    assert list(find_odd(of(batch(BATCHES).with_columns(pl.col("humid").alias("twin"))), earlier, Drift())) == ["twin"]


def test_labels_that_nothing_tells_are_never_turned() -> None:
    """Chance goes against chance in every second batch."""
    mixed = [of(batch(at).with_columns(pl.col(LABEL).shuffle(seed=at))) for at in range(30)]
    assert [find_odd(mixed[at], mixed[at - 5 : at], Drift()) for at in range(5, 30)] == [{}] * 25


def test_a_weaker_relation_is_not_a_turned_one() -> None:
    assert look(lambda frame: frame.with_columns(pl.col(LABEL).shuffle(seed=1))) == {}


def test_rows_of_a_day_are_no_independent_witnesses() -> None:
    """Water is off by a new amount each day, much more than before: twelve days say less than 1,500 rows."""
    days = pl.Series([date(2013, 1, 1) + timedelta(days=at * 12 // ROWS) for at in range(ROWS)])
    off = np.random.default_rng(3).normal(0, 9, 12)[np.arange(ROWS) * 12 // ROWS]
    earlier = [of(batch(at), days) for at in range(BATCHES)]
    rows = batch(BATCHES).with_columns(pl.col("water") + off)
    assert "water" in find_odd(of(rows), past(), Drift())
    assert find_odd(of(rows, days), earlier, Drift()) == {}


@pytest.mark.parametrize("params", [Drift(hold=None), Drift(hold=20.0)], ids=["off", "generous"])
def test_it_can_be_switched_off(params: Drift) -> None:
    assert look(lambda frame: frame.with_columns(pl.col("air") * 1.8 + 32), params=params) == {}


def test_columns_can_be_left_out() -> None:
    new = of(batch(BATCHES).with_columns(pl.col("air") * 1.8 + 32))
    assert find_odd(new, past(), Drift(), without=["air"]) == {}


@pytest.mark.parametrize("count", [3, 4, 6])
@pytest.mark.parametrize("apart", [0.3, 1.0, 3.0])
def test_classes_that_change_places_are_turned_round(count: int, apart: float) -> None:
    def classes(seed: int, moved: int = 0) -> Sketch:
        draw = np.random.default_rng(seed)
        label = draw.integers(0, count, 4000)
        x = apart * np.random.default_rng(count).normal(size=(count, 6))[label] + draw.normal(size=(4000, 6))
        names = np.array([f"c{one}" for one in range(count)])[(label + moved) % count]
        return of(pl.DataFrame({f"x{at}": x[:, at] for at in range(6)} | {LABEL: names}))

    before = [classes(seed) for seed in range(4)]
    assert find_odd(classes(5), before, Drift()) == {}
    assert list(find_odd(classes(5, moved=1), before, Drift())) == [LABEL]


def test_an_earlier_batch_of_few_rows_says_nothing_and_hides_nothing() -> None:
    few = of(batch(9, rows=150))
    found = find_odd(of(batch(BATCHES).with_columns(air=-pl.col("air"))), [*past(), few], Drift())
    assert list(found) == ["air"]
    assert find_odd(of(batch(BATCHES).with_columns(air=-pl.col("air"))), [past()[0], few], Drift()) == {}
