"""Preparing: months of real flights, prepared, for the tests of features."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl
import pytest
from conftest import month

from evergreen.errors import InputError
from evergreen.features.encoder import ENCODER, Encoder
from evergreen.features.prepare import Prepared, prepare
from evergreen.features.split import ROLES, Split, read_part
from evergreen.quality.held_batches import find_held
from late_flights.dataset import dataset

MONTHS = [f"2013-{number:02}" for number in range(1, 9)]
START = datetime.fromisoformat("2013-01-01")


def rows(name: str, count: int = 200) -> pl.DataFrame:
    """Some rows of a real month, over all its days."""
    frame = month(name)
    return frame.gather_every(frame.height // count)


def flown(name: str, count: int = 200) -> pl.DataFrame:
    """Such rows by time, none of them left out."""
    return (
        rows(name, count)
        .filter(pl.col("arr_delay").is_not_null())
        .sort(dataset.time, maintain_order=True)
    )


def start(site: Any, names: list[str], **sections: Any) -> Prepared:
    """Prepare these months."""
    site.accept({name: rows(name) for name in names})
    return prepare(site.project, site.dataset, site.params(**sections), find_held)


def encoder_of(site: Any, name: str = ENCODER) -> Encoder:
    return Encoder.read(site.project.features / name)


def refusal(site: Any, *parts: str, **sections: Any) -> str:
    """What the InputError of a preparation says; it must hold all `parts`."""
    with pytest.raises(InputError) as caught:
        prepare(site.project, site.dataset, site.params(**sections), find_held)
    said = str(caught.value)
    assert [part for part in parts if part not in said] == [], said
    return said


def with_dest(name: str, dest: str, count: int) -> pl.DataFrame:
    """Rows of a month, the first `count` of which go to `dest`."""
    frame = flown(name)
    return frame.with_columns(
        dest=pl.when(pl.int_range(pl.len()) < count).then(pl.lit(dest)).otherwise("dest")
    )


def moved(name: str, count: int, to: str) -> pl.DataFrame:
    """Rows of a month, the last `count` of which happened at `to` and go to QQQ."""
    late = pl.int_range(pl.len()) >= pl.len() - count
    return flown(name).with_columns(
        dest=pl.when(late).then(pl.lit("QQQ")).otherwise("dest"),
        scheduled_departure=pl.when(late)
        .then(pl.lit(datetime.fromisoformat(to)))
        .otherwise(dataset.time),
    )


def parts_of(site: Any) -> dict[str, pl.DataFrame]:
    """Return the rows of each part of the split."""
    split = Split.of(site.project)
    return {role: read_part(site.project, getattr(split, role)) for role in ROLES}
