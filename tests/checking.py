"""Checking: flights with faults, and a batch checked, for the tests of validation."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import polars as pl

from evergreen.dataset import Dataset
from evergreen.params import Validate
from evergreen.validation.contract import Contract
from evergreen.validation.report import Outcome
from late_flights.dataset import dataset

JANUARY = "2013-01"
TIME = dataset.time


def with_value(frame: pl.DataFrame, column: str, row: int, value: object) -> pl.DataFrame:
    """Return `frame` with one value replaced; a text makes a column of numbers one of text."""
    values = frame[column].to_list()
    if isinstance(value, str) and frame.schema[column] != pl.String():
        values = frame[column].cast(pl.String).to_list()
    values[row] = value
    return frame.with_columns(pl.Series(column, values))


def check_batch(
    frame: pl.DataFrame,
    batch: str,
    params: Validate,
    *,
    labelled: bool = True,
    dataset: Dataset = dataset,
    expected: list[Any] | None = None,
) -> Outcome:
    """Check a batch of flights; `expected`: in place of what expectations.py expects."""
    contract = Contract(
        dataset, importlib.import_module("late_flights.expectations").expectations, params
    )
    contract = contract if expected is None else replace(contract, expectations=lambda _: expected)
    return contract.check(frame, batch, labelled=labelled)


def nulls(frame: pl.DataFrame, column: str, rows: int) -> pl.DataFrame:
    return frame.with_columns(
        pl.when(pl.int_range(pl.len()) >= rows).then(pl.col(column)).alias(column)
    )
