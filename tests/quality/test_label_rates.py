"""Label rates: a level labelled otherwise than ever and inverted labels are named, no seasons."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from evergreen.features.split import LABEL
from evergreen.params import Drift
from evergreen.quality.batch_anomalies import find_anomalies
from evergreen.quality.label_rates import find_label_rates
from evergreen.statistics.sketch import Sketch, sketch

ROWS, BATCHES = 1500, 5
PLACES = ("ash", "bay", "cove", "dale")
CLASSES = ("low", "middle", "high")
TASKS = ("binary", "multiclass", "regression")
Frame = Callable[[pl.DataFrame], pl.DataFrame]


def batch(at: int, task: str = "binary", rows: int = ROWS, season: float = 0.0) -> pl.DataFrame:
    """The label goes with humidity and the place, and is higher by `season`."""
    draw = np.random.default_rng([at, rows])
    humid, place = draw.normal(60, 15, rows), draw.choice(4, rows, p=[0.5, 0.3, 0.15, 0.05])
    score = (humid - 60) / 15 + place + 1.5 * draw.normal(size=rows) + season
    label = {
        "binary": np.where(score > 2.5, "yes", "no"),
        "multiclass": np.array(CLASSES)[np.digitize(score, [0.3, 1.7])],
        "regression": score,
    }[task]
    return pl.DataFrame({"humid": humid, "place": np.array(PLACES)[place], LABEL: label})


def look(change: Frame, task: str = "binary", days: pl.Series | None = None) -> str:
    past: list[Sketch] = [sketch(batch(at, task), days) for at in range(BATCHES)]
    return find_label_rates(sketch(change(batch(BATCHES, task)), days), past, 0.95)


def where(condition: pl.Expr, value: str | float) -> Frame:
    return lambda frame: frame.with_columns(
        pl.when(condition).then(pl.lit(value)).otherwise(LABEL).alias(LABEL)
    )


BAY = pl.col("place") == "bay"
SIXTY = pl.int_range(pl.len()) % 5 < 3
POISON: dict[str, tuple[str, Frame, str]] = {
    "a level is all yes": (
        "binary",
        where(BAY, "yes"),
        "label is 'yes' in 100% of the rows with place 'bay', and was in ",
    ),
    "60% of it": ("binary", where(BAY & SIXTY, "yes"), "label is 'yes' in "),
    "never yes": (
        "binary",
        where(pl.col("place") == "dale", "no"),
        "label is 'no' in 100% of the rows with place 'dale'",
    ),
    "a class": (
        "multiclass",
        where(BAY, "low"),
        "label is 'low' in 100% of the rows with place 'bay'",
    ),
    "a number": ("regression", where(BAY, 9.0), "label is over "),
    "turned": (
        "binary",
        lambda rows: rows.with_columns(pl.col(LABEL).replace({"yes": "no", "no": "yes"})),
        "label 'no' goes against the features (correlation -",
    ),
    "classes turned": (
        "multiclass",
        lambda rows: rows.with_columns(pl.col(LABEL).replace({"low": "high", "high": "low"})),
        "label 'high' goes against the features (correlation -",
    ),
    "a number turned": (
        "regression",
        lambda rows: rows.with_columns(-pl.col(LABEL) + 1.0),
        "label goes against the features",
    ),
}


@pytest.mark.parametrize("case", POISON)
def test_poison_is_named(case: str) -> None:
    task, change, says = POISON[case]
    assert look(change, task).startswith(says)


def test_turned_labels_hold_a_batch_where_each_is_as_frequent_as_the_other() -> None:
    """No other rule can see it: there are as many of each as ever, of no level more."""

    def balanced(at: int, high: str, low: str) -> Sketch:
        draw = np.random.default_rng(at)
        x = draw.normal(size=ROWS)
        is_high = x + draw.normal(size=ROWS) > 0
        return sketch(pl.DataFrame({"x": x, LABEL: np.where(is_high, high, low)}), None)

    past = [balanced(at, "yes", "no") for at in range(BATCHES)]
    found = find_anomalies(balanced(BATCHES, "no", "yes"), past, Drift())
    assert {*found} == {LABEL}
    assert found[LABEL].startswith("label 'no' goes against the features (correlation -")
    assert find_anomalies(balanced(BATCHES, "yes", "no"), past, Drift()) == {}


DAYS = pl.Series(np.arange(ROWS) * 30 // ROWS)
HONEST: dict[str, Frame] = {
    "the same": lambda rows: rows,
    "a tenth of a level": where(BAY & (pl.int_range(pl.len()) % 10 == 0), "yes"),
    "more of a level": lambda rows: pl.concat([rows, rows.filter(BAY), rows.filter(BAY)]),
    "only one level": lambda rows: rows.filter(BAY),
    "a small level": lambda rows: where(BAY, "yes")(
        pl.concat([rows.filter(~BAY), rows.filter(BAY).head(19)])
    ),
    "a level that nobody knows": lambda rows: rows.with_columns(
        place=pl.when(BAY).then(pl.lit("new")).otherwise("place")
    ),
    "no label": lambda rows: rows.drop(LABEL),
    "no column": lambda rows: rows.select(LABEL),
    "a season": lambda _: batch(BATCHES, season=1.5),
    "another season": lambda _: batch(BATCHES, season=-1.5),
}


@pytest.mark.parametrize("case", HONEST)
def test_what_is_honest_is_not(case: str) -> None:
    assert look(HONEST[case]) == ""


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_honest_batches_are_not_named(task: str) -> None:
    whole = [sketch(batch(at, task, 300 + 50 * at), None) for at in range(24)]
    assert not [
        at for at in range(3, 24) if find_label_rates(whole[at], whole[max(0, at - 12) : at], 0.95)
    ]


@pytest.mark.slow
def test_rows_of_a_day_are_worth_less() -> None:
    """One bad day is no bad month."""
    few = BAY & (pl.int_range(pl.len()) < 6 * ROWS // 10)
    assert look(where(few, "yes"))
    assert look(where(BAY, "yes"), days=DAYS)
    # So that the level has two days of thirty, and is bad on one of them
    frame = batch(BATCHES).sort(BAY)
    first = pl.col("place").cum_count().over("place") <= 150
    assert look(lambda _: where(BAY & first, "yes")(frame), days=DAYS) == ""


def test_a_level_may_be_called_what_it_ever_was() -> None:
    """A person vouched for such a batch: the next one is not asked about."""
    poisoned = [where(BAY, "yes")(batch(at)) for at in (5, 6)]
    past = [sketch(batch(at), None) for at in range(BATCHES)]
    first, second = (sketch(frame, None) for frame in poisoned)
    assert find_label_rates(second, past, 0.95)
    assert find_label_rates(second, [*past, first], 0.95) == ""
