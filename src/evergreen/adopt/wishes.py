"""Wishes: what a person says of the table, and the columns that are meant."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from evergreen.adopt.columns import Column
from evergreen.adopt.warning import listed, shown
from evergreen.errors import InputError
from evergreen.params import Task


@dataclass(frozen=True)
class Wishes:
    """What a person says of the table; None and empty: to be found out."""

    target: str
    time: str | None = None
    key: tuple[str, ...] = ()
    task: Task | None = None
    timeless: bool = False
    period: str | None = None
    max_bad_rows: float | None = None
    dates: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ()
    known_later: tuple[str, ...] = ()


def find_column(columns: Mapping[str, Column], name: str, option: str) -> str:
    """Return `name` where there is such a column. Raises InputError that suggests others."""
    if name in columns:
        return name
    near = [column for column in columns if column.strip().lower() == name.strip().lower()]
    near = near or difflib.get_close_matches(name, columns, n=1)
    hint = (
        f"did you mean {near[0]!r}?"
        if near
        else f"there are {listed([shown(column) for column in columns], 20)}"
    )
    raise InputError(f"{option}: there is no column {name!r}; {hint}")


def show_few(values: pl.Series) -> str:
    """Return the first three values, for a message."""
    return ", ".join(repr(value) for value in values.unique(maintain_order=True).head(3))
