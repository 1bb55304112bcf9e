"""Moments: when the event of a row happened, as `time` in `dataset.py` says.

`time` names a column of times, or one of numbers that grow with time (a year, a week, a day: each
counts as a day), or is `ORDER`: rows and batches come in the order of time. Where it is empty,
nothing says when, and only arrivals of batches are known.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from evergreen.dataset import ORDER, Dataset
from evergreen.errors import InputError

PLACE = "\x1fplace"  # the number of a row in its batch, where that is its time
FIRST, DAY = datetime(1970, 1, 1), 86_400_000_000  # noqa: DTZ001
FARTHEST = 700_000  # of such days, on both sides: about the years 50 to 3800


def moment(dataset: Dataset, arrived: datetime) -> pl.Expr:
    """Return the moment of a row; `arrived`: when its batch did.

    In order of time, each row is a microsecond after the row before.
    """
    if dataset.time == ORDER:
        return pl.lit(arrived, pl.Datetime("us")) + pl.duration(microseconds=pl.col(PLACE))
    if not dataset.has_time_column:
        return pl.lit(arrived, pl.Datetime("us"))
    if dataset.has_dates:
        return pl.col(dataset.time)
    return (pl.col(dataset.time) * DAY).cast(pl.Int64).cast(pl.Datetime("us"))


def moments(dataset: Dataset, rows: pl.DataFrame, arrived: datetime) -> pl.Series:
    """Return the moments of the rows of a batch that are known.

    Of a column that is no time yet there are none: validation will say so. Raises InputError where
    a number is too large to count days.
    """
    if not dataset.has_time_column:
        return pl.Series(
            [arrived, arrived + timedelta(microseconds=rows.height)], dtype=pl.Datetime("us")
        )
    if dataset.time not in rows.columns:
        return pl.Series([""])  # validation says which column is missing
    times = rows[dataset.time].drop_nulls()
    if dataset.has_dates:
        return times
    if not times.dtype.is_numeric():
        return pl.Series([""])
    if beyond := times.filter(times.abs() > FARTHEST).head(1).to_list():
        raise InputError(
            f"dataset.py: time is {dataset.time!r}, a number up to {beyond[0]:,}, too large to "
            "count days: use a smaller number or a time in the source"
        )
    return times.to_frame().select(moment(dataset, arrived)).to_series()
