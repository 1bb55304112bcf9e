"""What a sale is, and from what it is predicted."""

from __future__ import annotations

import polars as pl

from evergreen import Dataset

dataset = Dataset(
    columns={
        "number": pl.Int64(),
        "hour": pl.Datetime("us"),
        "shop": pl.String(),
        "price": pl.Float64(),
        "temperature": pl.Float64(),
        "sales": pl.Float64(),
    },
    key=("number",),
    time="hour",
    label=pl.col("sales"),
    known_later=("sales",),
    features={
        "shop": pl.col("shop"),
        "weekday": pl.col("hour").dt.weekday(),
        "hour_of_day": pl.col("hour").dt.hour(),
        "month": pl.col("hour").dt.month(),
        "price": pl.col("price"),
        "temperature": pl.col("temperature"),
    },
    slices={"shop": pl.col("shop")},
)
