"""What is declared of the flights: keyed, and with no feature that is known only later."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import pytest

from late_flights import flights
from late_flights.dataset import dataset


@pytest.fixture(scope="module")
def year() -> pl.DataFrame:
    return pl.concat(flights.read(name) for name in flights.batches())


def leaks(features: Mapping[str, pl.Expr]) -> set[str]:
    """The features that read a column known only later."""
    return {
        name
        for name, feature in features.items()
        if set(feature.meta.root_names()) & set(dataset.known_later)
    }


def test_no_feature_reads_what_is_known_later() -> None:
    assert leaks(dataset.features) == set()


@pytest.mark.parametrize("column", dataset.known_later)
def test_a_feature_that_did_would_be_found(column: str) -> None:
    hidden = (
        pl.when(pl.col("distance") > 100).then(pl.col(column).cast(pl.Float64) / 60).otherwise(0.0)
    )
    assert leaks(dataset.features | {"plain": pl.col(column), "hidden": hidden.alias("x")}) == {
        "plain",
        "hidden",
    }


def test_the_label_is_known_later_and_columns_known_later_exist() -> None:
    assert set(dataset.label.meta.root_names()) <= set(dataset.known_later) <= set(dataset.columns)


@pytest.mark.parametrize(
    "expressions", [dataset.features, dataset.left_out, {"label": dataset.label}]
)
def test_every_column_that_is_named_exists(expressions: dict[str, pl.Expr]) -> None:
    assert {
        name for expression in expressions.values() for name in expression.meta.root_names()
    } <= set(dataset.columns)


def test_time_and_key_are_columns() -> None:
    assert dataset.time in dataset.key
    assert set(dataset.key) <= set(dataset.columns)
    assert dataset.columns[dataset.time] == pl.Datetime("us")


@pytest.mark.slow
def test_features_are_numbers_or_text_and_no_constant(year: pl.DataFrame) -> None:
    features = year.select(feature.alias(name) for name, feature in dataset.features.items())
    assert features.height == year.height
    for name, dtype in features.schema.items():
        assert dtype.is_numeric() or dtype == pl.String(), name
        assert features[name].n_unique() > 2, name


def test_feature_values(year: pl.DataFrame) -> None:
    first = (
        year.head(1)
        .select(feature.alias(name) for name, feature in dataset.features.items())
        .row(0, named=True)
    )
    assert (first["carrier"], first["origin"], first["dest"], first["distance"]) == (
        "UA",
        "EWR",
        "IAH",
        1400,
    )
    assert first["weekday"] == 2  # 1 January 2013 was a Tuesday
    assert first["departure_minute"] == 5 * 60 + 15
    assert first["arrival_minute"] == 8 * 60 + 19


def test_label_is_late_by_more_than_a_quarter_of_an_hour() -> None:
    delays = pl.DataFrame({"arr_delay": [-5, 15, 16, None]}, schema={"arr_delay": pl.Int32})
    assert delays.select(dataset.label).to_series().to_list() == [False, False, True, None]


def test_rows_left_out_have_no_label_and_no_other_row_lacks_one(year: pl.DataFrame) -> None:
    out = pl.any_horizontal(dataset.left_out.values())
    assert year.filter(~out).select(dataset.label.null_count()).item() == 0
    cancelled, lost = (year.filter(condition).height for condition in dataset.left_out.values())
    assert (cancelled, lost) == (8255, 9430)  # a cancelled flight has no arrival delay either
