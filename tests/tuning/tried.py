"""Prepared projects of made-up rows, quickly made, for the tests of tuning."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from evergreen.dataset import Dataset
from evergreen.features.prepare import prepare

TRAIN = {
    "device": "cpu",
    "rounds": 60,
    "early_stopping_rounds": 5,
    "learning_rate": 0.3,
    "max_depth": 3,
}
POOR = {
    "device": "cpu",
    "rounds": 20,
    "early_stopping_rounds": 3,
    "learning_rate": 0.05,
    "max_depth": 1,
    "subsample": 1.0,  # or a seed's luck would be larger than what is to be found
    "colsample_bytree": 1.0,
}
SPACE = {"learning_rate": [0.05, 0.5], "max_depth": [1, 5]}
START = datetime.fromisoformat("2020-01-01")
COLUMNS = {
    "id": pl.Int64(),
    "day": pl.Datetime("us"),
    "first": pl.Float64(),
    "second": pl.Float64(),
    "place": pl.String(),
    "sold": pl.Boolean(),
}


def declare(time: str = "day") -> Dataset:
    """What a row of these projects is; `time`: "" where no column says when."""
    columns = {name: kind for name, kind in COLUMNS.items() if name != "day" or time}
    return Dataset(
        columns=columns,
        key=("id",),
        time=time,
        label=pl.col("sold"),
        known_later=("sold",),
        features={name: pl.col(name) for name in ("first", "second", "place")},
    )


def draw_batch(number: int, rows: int = 300, seed: int = 0, *, noise: bool = False) -> pl.DataFrame:
    """Rows of a month of 30 days, whose label depends on all features, or on nothing."""
    draw = np.random.default_rng([seed, number])
    first, second = draw.normal(size=(2, rows))
    place = draw.integers(0, 4, rows)
    score = 3 * first * (second > 0) + np.array([0, 1, -1, 0.5])[place] + draw.normal(size=rows)
    sold = draw.random(rows) < 0.4 if noise else score > 0.4
    days = [START + timedelta(days=30 * number + 30 * at / rows) for at in range(rows)]
    return pl.DataFrame(
        {
            "id": [number * 100_000 + at for at in range(rows)],
            "day": days,
            "first": first,
            "second": second,
            "place": [f"p{at}" for at in place],
            "sold": sold,
        },
        schema=COLUMNS,
    )


def prepare_batches(
    site: Any,
    batches: int = 6,
    rows: int = 300,
    time: str = "day",
    seed: int = 0,
    *,
    noise: bool = False,
    **sections: Any,
) -> Any:
    """Prepare so many months in `site`; return the parameters."""
    site.dataset = declare(time)
    frames = {
        f"b{number}": draw_batch(number, rows, seed, noise=noise).select(*site.dataset.columns)
        for number in range(1, batches + 1)
    }
    if time:
        site.accept(frames)
    else:
        _accept_by_arrival(site, frames)
    params = site.params(**{"train": TRAIN, "evaluate": {"resamples": 300}} | sections)
    prepare(site.project, site.dataset, params, lambda *_: {})
    return params


def _accept_by_arrival(site: Any, frames: dict[str, pl.DataFrame]) -> None:
    from evergreen.ingest.manifest import Manifest, when

    site.project.validated.mkdir(parents=True, exist_ok=True)
    done = Manifest(site.project.validated)
    for number, (name, frame) in enumerate(frames.items()):
        frame.write_parquet(done.file(name))
        arrived = when(pl.Series([START + timedelta(days=number)]))
        done.record(name, done.file(name), stamp=name, rows=frame.height, **arrived)
