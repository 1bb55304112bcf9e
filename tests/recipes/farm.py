"""A farm: made-up batches, many datasets of them, and projects whose batches are validated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from recipes.plain import a_project, params_of

from evergreen.dataset import ORDER, Dataset
from evergreen.ingest.manifest import Manifest, when
from evergreen.ingest.moments import moments
from evergreen.params import Params
from evergreen.project import Project

FARM = Dataset(
    columns={
        "id": pl.Int64(), "at": pl.Datetime("us"), "year": pl.Int32(), "weight": pl.Float64(),
        "breed": pl.String(), "old": pl.Boolean(), "fate": pl.Float64(), "sold": pl.Boolean(),
    },
    key=("id",), time="at", label=pl.col("fate") > 0.5, known_later=("fate", "sold"),
    left_out={"sold before": pl.col("sold"),
              "no breed, no use": pl.col("breed").is_null() & (pl.col("weight") < -1)},
    features={"weight": pl.col("weight"), "breed": pl.col("breed"), "old": pl.col("old"),
              "hour": pl.col("at").dt.hour(), "ratio": pl.col("weight") / pl.col("year")},
    slices={"breed": pl.col("breed")}, groups={"old": pl.col("old")},
)  # fmt: skip
LABELS = {
    "binary": FARM.label,
    "multiclass": pl.when(pl.col("fate") > 1).then(pl.lit("high"))
    .when(pl.col("fate") > -0.5).then(pl.lit("middle"))
    .when(pl.col("fate") <= -0.5).then(pl.lit("low")),
    "regression": pl.col("fate"),
}  # fmt: skip


def herd(at: int, rows: int = 240) -> pl.DataFrame:
    """A month of made-up rows: missing values, rare and new levels, unknown labels."""
    draw = np.random.default_rng(at)
    weight, number = draw.normal(size=rows), np.arange(rows)
    breed = draw.choice(
        ["angus", "bazada", "corriente", f"rare {at}"], rows, p=[0.5, 0.3, 0.18, 0.02]
    )
    fate = weight + (breed == "angus") + draw.normal(size=rows) * 0.5
    start = datetime(2013, at, 1)  # noqa: DTZ001
    return pl.DataFrame(
        {
            "id": number + 1000 * at,
            "at": [start + timedelta(hours=2.7 * row) for row in number.tolist()],
            "year": 2000 + 10 * at + number // 30,
            "weight": [None if row % 11 == 0 else float("inf") if row % 97 == 0 else value
                       for row, value in zip(number.tolist(), weight.tolist(), strict=True)],
            "breed": [None if row % 13 == 0 else value
                      for row, value in zip(number.tolist(), breed.tolist(), strict=True)],
            "old": draw.random(rows) < 0.4,
            "fate": [None if row % 17 == 0 else value
                     for row, value in zip(number.tolist(), fate.tolist(), strict=True)],
            "sold": number % 19 == 0,
        },
        schema=FARM.columns,
    )  # fmt: skip


def accept(project: Project, dataset: Dataset, frames: Mapping[str, pl.DataFrame]) -> None:
    """Put rows into data/validated, as validation would have."""
    project.validated.mkdir(parents=True, exist_ok=True)
    done = Manifest(project.validated)
    for at, (name, frame) in enumerate(frames.items()):
        frame.write_parquet(done.file(name))
        arrived = datetime(2013, 12, 1 + at)  # noqa: DTZ001
        times = (
            moments(dataset, frame, arrived) if dataset.has_time_column else pl.Series([arrived])
        )
        done.record(name, done.file(name), stamp=name, rows=frame.height, **when(times))


VARIANTS: dict[
    str, tuple[str, dict[str, Any], dict[str, Any]]
] = {  # task, what of the definition is another, parameters
    "binary": ("binary", {}, {}),
    "multiclass": ("multiclass", {}, {}),
    "regression": ("regression", {}, {}),
    "no key": ("binary", {"key": ()}, {}),
    "a key of two columns": ("binary", {"key": ("id", "year")}, {}),
    "no time": ("binary", {"time": ""}, {}),
    "neither": ("multiclass", {"time": "", "key": ()}, {}),
    "by order": ("regression", {"time": ORDER, "key": ()}, {}),
    "by number": ("binary", {"time": "year"}, {}),
    "few rows": ("binary", {}, {"split": {"cross_validate_below": 5000}}),
    "few rows, no time": ("regression", {"time": ""}, {"split": {"cross_validate_below": 5000}}),
    "the newest two batches": (
        "binary",
        {},
        {"split": {"train_batches": 2, "cross_validate_below": None}},
    ),
    "no refit": ("binary", {}, {"train": {"refit": "none"}}),
    "rare levels count": ("binary", {}, {"prepare": {"min_level_rows": 1}}),
}


@contextmanager
def a_farm(variant: str, batches: int = 4) -> Iterator[tuple[Project, Dataset, Params]]:
    """A project whose batches are validated, and its definition."""
    task, changes, sections = VARIANTS[variant]
    dataset = replace(FARM, label=LABELS[task], **changes)
    if dataset.time != "at":
        dataset = replace(
            dataset,
            features={name: feature for name, feature in FARM.features.items() if name != "hour"},
        )
    with a_project() as (project, _):
        accept(project, dataset, {f"2013-{at:02}": herd(at) for at in range(1, batches + 1)})
        params = params_of(task=task, **({"split": {"cross_validate_below": None}} | sections))
        yield project, dataset, params
