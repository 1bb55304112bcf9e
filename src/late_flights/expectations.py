"""YOURS: what must hold of a batch, as Great Expectations.

Three kinds, told apart by what they are:
- about rows (`ExpectColumnValues…`, pairs, unique keys): a row that breaks one goes to quarantine;
- about rows with `mostly` below 1: a share may break it; beyond it the batch is bad;
- about the batch (row count, newest row, set of columns): it is bad when one fails, the run stops.

Rows that are scored may be few and have no label yet: for them hold the rules about rows and about
columns, less those that name a column of `known_later`.

Schema, types and the uniqueness of `key` follow from `dataset.py` and need no line here.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime, timedelta

import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import Expectation

from late_flights.dataset import dataset

within = gxe.ExpectColumnValuesToBeBetween


def expectations(batch: str) -> list[Expectation]:
    """Return what must hold of the batch called `batch`."""
    return [*_batch(batch), *_identity(), *_times(), *_weather()]


def _batch(batch: str) -> list[Expectation]:
    expected: list[Expectation] = [
        gxe.ExpectTableRowCountToBeBetween(min_value=1000, max_value=100_000)
    ]
    if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", batch):
        # A batch named as a month holds that month, to its last day
        year, month = int(batch[:4]), int(batch[5:])
        start, day = datetime(year, month, 1), timedelta(days=1)
        end = start + monthrange(year, month)[1] * day
        first, last = gxe.ExpectColumnMinToBeBetween, gxe.ExpectColumnMaxToBeBetween
        expected += [
            first(column=dataset.time, min_value=start, max_value=start + day),
            last(column=dataset.time, min_value=end - day, max_value=end),
        ]
    return expected


def _identity() -> list[Expectation]:
    never_null = ("carrier", "flight", "origin", "dest", "distance", "sched_arr_time")
    return [
        *(gxe.ExpectColumnValuesToNotBeNull(column=name) for name in never_null),
        gxe.ExpectColumnValuesToBeInSet(column="origin", value_set=["EWR", "JFK", "LGA"]),
        gxe.ExpectColumnValuesToMatchRegex(column="carrier", regex=r"^[A-Z0-9]{2}$"),
        gxe.ExpectColumnValuesToMatchRegex(column="dest", regex=r"^[A-Z]{3}$"),
        gxe.ExpectColumnValuesToNotBeNull(column="tailnum", mostly=0.95),
        within(column="flight", min_value=1, max_value=9999),
        within(column="distance", min_value=10, max_value=6000),
    ]


def _times() -> list[Expectation]:
    clock = ("dep_time", "arr_time", "sched_arr_time")
    return [
        *(within(column=name, min_value=0, max_value=2400) for name in clock),
        within(column="dep_delay", min_value=-120, max_value=2880),
        within(column="arr_delay", min_value=-180, max_value=2880),
        within(column="air_time", min_value=10, max_value=1440),
        gxe.ExpectColumnValuesToNotBeNull(column="arr_delay", mostly=0.85),
        # Faster than 60 miles an hour: no airliner needs more minutes than miles.
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="distance", column_B="air_time", ignore_row_if="either_value_is_missing"
        ),
    ]


def _weather() -> list[Expectation]:
    ranges = {  # Fahrenheit, per cent, degrees, miles per hour, inches, millibars, miles
        "temp": (-40, 120),
        "dewp": (-60, 100),
        "humid": (0, 100),
        "wind_dir": (0, 360),
        "wind_speed": (0, 120),
        "wind_gust": (0, 150),
        "precip": (0, 10),
        "pressure": (900, 1100),
        "visib": (0, 10),
    }
    return [
        *(within(column=name, min_value=a, max_value=b) for name, (a, b) in ranges.items()),
        gxe.ExpectColumnValuesToNotBeNull(column="temp", mostly=0.9),
    ]
