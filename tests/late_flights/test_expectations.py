"""The expectations of the reference data: their columns exist, their month is the batch's."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from late_flights.dataset import dataset

pytestmark = pytest.mark.slow  # Great Expectations takes seconds to load
COLUMNS = ("column", "column_A", "column_B")


@pytest.fixture(scope="module")
def module() -> Any:
    """Import it late: Great Expectations takes seconds, and itself imports what is deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("late_flights.expectations")


def found(module: Any, batch: str, kind: str, **options: Any) -> list[dict[str, Any]]:
    """The settings of the expectations of one kind."""
    every = [
        expectation
        for expectation in module.expectations(batch)
        if type(expectation).__name__ == f"Expect{kind}"
    ]
    settings = [dict(expectation.configuration.kwargs) for expectation in every]
    return [
        setting
        for setting in settings
        if all(setting.get(key) == value for key, value in options.items())
    ]


def named(expectation: Any) -> Iterator[str]:
    for key in COLUMNS:
        if key in expectation.configuration.kwargs:
            yield expectation.configuration.kwargs[key]


@pytest.mark.parametrize("batch", ["2013-01", "inbox"])
def test_every_column_that_is_named_exists(module: Any, batch: str) -> None:
    columns = [name for expectation in module.expectations(batch) for name in named(expectation)]
    assert len(columns) > 30
    assert set(columns) <= set(dataset.columns)


def test_every_column_has_an_expectation(module: Any) -> None:
    columns = {
        name for expectation in module.expectations("2013-01") for name in named(expectation)
    }
    assert columns == set(dataset.columns)


def test_no_two_say_the_same(module: Any) -> None:
    said = [
        (type(expectation).__name__, str(sorted(expectation.configuration.kwargs.items(), key=str)))
        for expectation in module.expectations("2013-01")
    ]
    assert len(said) == len(set(said))


@pytest.mark.parametrize(
    ("batch", "first", "last", "end"),
    [
        ("2013-01", "2013-01-01", "2013-01-31", "2013-02-01"),
        ("2013-02", "2013-02-01", "2013-02-28", "2013-03-01"),
        ("2012-02", "2012-02-01", "2012-02-29", "2012-03-01"),
        ("2013-12", "2013-12-01", "2013-12-31", "2014-01-01"),
    ],
)
def test_a_month_reaches_from_its_first_day_to_its_last(
    module: Any, batch: str, first: str, last: str, end: str
) -> None:
    (oldest,) = found(module, batch, "ColumnMinToBeBetween", column=dataset.time)
    (newest,) = found(module, batch, "ColumnMaxToBeBetween", column=dataset.time)
    assert oldest["min_value"] == datetime.fromisoformat(first)
    assert newest["min_value"] == datetime.fromisoformat(last)
    assert newest["max_value"] == datetime.fromisoformat(end)


@pytest.mark.parametrize(
    "batch", ["2013", "2013-W05", "2013-01-05", "inbox", "x", "east-01", "2013-13", "2013-1a"]
)
def test_a_batch_of_another_name_may_hold_any_time(module: Any, batch: str) -> None:
    assert found(module, batch, "ColumnMinToBeBetween") == []
    assert found(module, batch, "ColumnMaxToBeBetween") == []
    assert found(module, batch, "TableRowCountToBeBetween") == [
        {"min_value": 1000, "max_value": 100_000}
    ]


def test_each_call_gives_the_same(module: Any) -> None:
    first, again = (
        [expectation.configuration.kwargs for expectation in module.expectations("2013-05")]
        for _ in range(2)
    )
    assert first == again
