"""Suspects: faults are named by their column, seasons are not."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from evergreen.features.featurize import featurize
from evergreen.features.split import LABEL, TIME
from evergreen.params import Drift
from evergreen.quality.batch_anomalies import find_anomalies
from evergreen.statistics.sketch import Sketch, sketch
from late_flights import flights
from late_flights.dataset import dataset

ROWS = 10_000
DRAW = np.random.default_rng(0)
RAIN = np.where(DRAW.random(ROWS) < 0.9, 0.0, DRAW.gamma(0.5, size=ROWS))
ONES, LEVELS = np.ones(ROWS), np.array(["a", "b", "c"])[DRAW.integers(0, 3, ROWS)]


def of(values: Any) -> Sketch:
    return sketch(pl.DataFrame({"x": values}), None)


@cache
def features(name: str) -> pl.DataFrame:
    return featurize(dataset, flights.read(name), "binary")[0]


def real(frame: pl.DataFrame) -> Sketch:
    return sketch(frame.select(LABEL, *dataset.features), frame[TIME])


@cache
def months() -> list[Sketch]:
    return [real(features(name)) for name in flights.batches()]


@pytest.mark.slow
@pytest.mark.parametrize("at", range(12))
def test_no_real_month_is_suspected(at: int) -> None:
    """Seasons are no fault: each month against those before it, all rows."""
    assert find_anomalies(months()[at], months()[:at], Drift()) == {}


FLIPPED = (
    pl.when(pl.col(LABEL) == "true").then(pl.lit("false")).otherwise(pl.lit("true")).alias(LABEL)
)
FAULTS: dict[str, tuple[pl.Expr, str]] = {
    "kilometres": (pl.col("distance") * 1.609344, "distance has median 1333, 888 before"),
    "constant": (
        pl.lit(500.0).alias("distance"),
        "distance is 500.0 in every row that has it, and varied in each",
    ),
    "one level": (pl.lit("UA").alias("carrier"), "carrier is UA in every row"),
    "lost": (pl.lit(None, pl.Float32).alias("temp"), "temp is missing in every row"),
    "half lost": (
        pl.when(pl.col("departure_minute") < 800).then("distance"),
        "distance is missing in 52.9% of",
    ),
    "flipped": (FLIPPED, "label is 'false' in 22.0% of the rows, 75.8% before"),
    "hours": (pl.col("departure_minute") / 60, "departure_minute has median"),
    "other names": (pl.col("carrier").str.to_lowercase(), "carrier is"),
    "inches": (pl.col("pressure") * 0.02953, "pressure has values far beyond the "),
    "knots": (
        pl.col("wind_speed") * 0.868976,
        "wind_speed has values that no earlier batch has in 95.6% of its rows",
    ),
    "millimetres": (
        pl.col("precip") * 25.4,
        "precip has values that no earlier batch has in 100% of its rows",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_suspected(fault: str) -> None:
    change, why = FAULTS[fault]
    frame = features("2013-05").with_columns(change)
    found = find_anomalies(real(frame), months()[:4], Drift())
    assert len(found) == 1
    assert next(iter(found.values())).startswith(why)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("params", "earlier"),
    [(Drift(hold=None), 4), (Drift(), 2), (Drift(), 0), (Drift(hold=50.0), 4)],
)
def test_nothing_is_suspected_where_nothing_is_asked_or_known(params: Drift, earlier: int) -> None:
    frame = features("2013-05").with_columns(
        pl.when(pl.col("distance") < 2000).then("distance").otherwise(184.0)
    )
    assert find_anomalies(real(frame), months()[:earlier], params) == {}


Change = Callable[[Any], Any]


@pytest.mark.parametrize(
    ("earlier", "new", "suspected"),
    [
        ([ONES, RAIN, RAIN, RAIN], ONES, False),  # it was so before
        ([ONES * 3] * 4, ONES * 3, False),  # never varied
        ([np.full(ROWS, np.nan)] * 4, np.full(ROWS, np.nan), False),
        ([RAIN] * 4, np.full(ROWS, np.nan), True),
        ([RAIN] * 4, np.full(ROWS, np.inf), True),
        ([RAIN] * 4, np.zeros(20), False),  # a few dry hours
        ([np.where(RAIN > 0.1, RAIN, 0.0)] * 4, np.zeros(100), False),  # a dry week
        ([RAIN] * 4, np.zeros(200), True),
        ([LEVELS] * 4, np.array(["a"] * 99), False),  # too few
        ([LEVELS] * 4, np.array(["a"] * 100), True),
    ],
)
def test_columns_that_do_not_vary(earlier: list[Any], new: Any, suspected: bool) -> None:
    found = find_anomalies(of(new), [of(values) for values in earlier], Drift())
    assert bool(found) is suspected, found


@pytest.mark.slow
def test_a_thinned_month_is_not_suspected_either() -> None:
    """Few rows have wide intervals."""
    small = [real(features(name).gather_every(90)) for name in flights.batches()]
    assert [find_anomalies(small[at], small[:at], Drift()) for at in (3, 6, 11)] == [{}] * 3


def test_missing_values_have_a_margin_of_their_own_though_none_were_missing_before() -> None:
    """Seasons move the values of this column far, and lose none of them."""
    draw = np.random.default_rng(1)
    before = [
        sketch(pl.DataFrame({"x": draw.normal(3 * (at % 2), 1, 4000)}), None) for at in range(6)
    ]
    values = np.where(draw.random(4000) < 0.2, np.nan, draw.normal(0, 1, 4000))
    found = find_anomalies(sketch(pl.DataFrame({"x": values}), None), before, Drift())
    assert found["x"].startswith("x is missing in 19.5% of the rows, 0% before")


def some(column: str, value: Any, share: float) -> pl.Expr:
    """`value` in that share of the rows, spread over the month."""
    return (
        pl.when(pl.int_range(pl.len()) % round(1 / share) == 0)
        .then(value)
        .otherwise(column)
        .alias(column)
    )


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.01, 0.2])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("distance", pl.col("distance") * 1000),
        ("distance", pl.lit(-9999.0)),
        ("temp", pl.lit(9999.0)),
    ],
)
def test_absurd_values_in_some_rows_are_suspected(
    column: str, value: pl.Expr, share: float
) -> None:
    frame = features("2013-05").with_columns(some(column, value, share))
    found = find_anomalies(real(frame), months()[:4], Drift())
    assert list(found) == [column]
    assert found[column].startswith(f"{column} has values far beyond the ")


@pytest.mark.slow
@pytest.mark.parametrize("factor", [100, 254, 1000])
def test_so_are_those_of_a_column_that_is_mostly_nothing(factor: int) -> None:
    frame = features("2013-05").with_columns(pl.col("precip") * factor)
    assert list(find_anomalies(real(frame), months()[:4], Drift())) == ["precip"]


def test_a_stray_row_far_beyond_is_not_suspected_nor_one_more_where_some_always_are() -> None:
    draw = np.random.default_rng(6)
    quiet = [of(draw.normal(size=5000)) for _ in range(5)]
    assert find_anomalies(of(np.append(draw.normal(size=5000), 1e6)), quiet, Drift()) == {}
    wild = [
        of(np.append(draw.normal(size=5000), 10.0 ** (at + 3) * np.ones(50))) for at in range(5)
    ]
    assert (
        find_anomalies(of(np.append(draw.normal(size=5000), 1.5e7 * np.ones(40))), wild, Drift())
        == {}
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("span", "most", "until"),
    [
        ("2w", 0, 6),
        *(
            pytest.param(span, most, 12, marks=pytest.mark.long)
            for span, most in (("2w", 0), ("1w", 1))
        ),
    ],
)
def test_short_batches_of_the_real_year_are_hardly_suspected(
    span: str, most: int, until: int
) -> None:
    """A week without rain, or of frost, is no fault; the last of the year lacks most weather."""
    year = pl.concat([features(name) for name in flights.batches()[:until]]).sort(TIME)
    parts = [
        real(part) for _, part in year.group_by(pl.col(TIME).dt.truncate(span), maintain_order=True)
    ]
    found = [
        find_anomalies(parts[at], parts[max(0, at - 12) : at], Drift()) for at in range(len(parts))
    ]
    assert sum(map(bool, found)) <= most, [why for why in found if why]


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 30, 400])
def test_a_small_batch_among_the_earlier_ones_blinds_nobody(rows: int) -> None:
    frame = features("2013-05").with_columns(FAULTS["knots"][0])
    flipped = features("2013-05").with_columns(FLIPPED)
    small = real(features("2013-04").head(rows))
    assert list(find_anomalies(real(frame), [*months()[:4], small], Drift())) == ["wind_speed"]
    assert list(find_anomalies(real(flipped), [*months()[:4], small], Drift())) == [LABEL]
