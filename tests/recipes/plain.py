"""Outputs of steps as plain values, and small projects to compute them in.

Numbers count by six significant digits, what XGBoost or scikit-learn have fitted by steps or by
what was asked for, and sentences by the numbers in them: another machine, another release of a
library and a mended word are no other recipe.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from conftest import settings_of

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.ingest.manifest import Manifest
from evergreen.params import Params, parse
from evergreen.project import Project
from late_flights import flights

Outputs = dict[str, Any]  # case -> what came out
NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*(?:e-?\d+)?")
TASKS = ("binary", "multiclass", "regression")
CLASSES = {"binary": ("no", "yes"), "multiclass": ("high", "low", "middle"), "regression": ()}


def plain(value: Any, digits: int = 6) -> Any:
    """Return `value` as JSON holds it, numbers by so many significant digits, sentences by the numbers in them."""
    if isinstance(value, pl.DataFrame):
        return {
            name: [str(value.schema[name]), plain_column(value[name], digits)]
            for name in value.columns
        }
    if isinstance(value, np.ndarray):
        return [str(value.dtype.kind), list(value.shape), plain(value.ravel().tolist(), digits)]
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name), digits) for one in fields(value)}
    if isinstance(value, Mapping):
        return {plain_text(str(name)): plain(one, digits) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one, digits) for one in value]
    if isinstance(value, (bool, int)) or value is None:
        return value
    if isinstance(value, (float, np.floating)):
        return rounded(float(value), digits)
    if isinstance(value, np.generic):
        return plain(value.item(), digits)
    return plain_text(str(value))


def plain_column(values: pl.Series, digits: int) -> list[Any]:
    if values.dtype == pl.String():
        return values.to_list()  # data, not a sentence
    return [plain(one, digits) for one in values.to_list()]


def plain_text(text: str) -> str:
    return " ".join(NUMBER.findall(text)) if text.count(" ") > 2 else text


def rounded(value: float, digits: int) -> float | str:
    if not math.isfinite(value):
        return str(value)
    return float(f"{value:.{digits}g}") + 0.0  # no -0.0


def digest(outputs: Any) -> str:
    """Return what stands for outputs."""
    text = json.dumps(outputs, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def coarse(value: float, step: float = 0.05) -> float:
    """Return a number by how many steps it is from 0: what was fitted differs by less between releases and machines."""
    return round(round(float(value) / step) * step, 9) if math.isfinite(value) else value


# --- small projects
# --------------------------------------------------------------------------------------------------


@contextmanager
def a_project() -> Iterator[tuple[Project, Path]]:
    """An empty project, and an empty inbox beside it."""
    with tempfile.TemporaryDirectory() as folder:
        inbox = Path(folder, "inbox")
        inbox.mkdir()
        yield settings_of(Path(folder, "project")), inbox


def params_of(**sections: Any) -> Params:
    """Parameters with small numbers; sections replace theirs."""
    content: dict[str, Any] = {
        "prepare": {"min_level_rows": 5},
        "train": {"device": "cpu", "rounds": 20, "early_stopping_rounds": 5, "learning_rate": 0.3, "max_depth": 3,
                  "min_child_weight": 1.0, "max_bin": 64, "colsample_bytree": 1.0, "subsample": 1.0},
        "sweep": {"seeds": 2},
        "evaluate": {"resamples": 100},
    }  # fmt: skip
    return parse(content | sections, "the recipes' parameters")


FLIGHTS = Dataset(
    columns={
        "scheduled_departure": pl.Datetime("us"), "carrier": pl.String(), "flight": pl.Int32(), "origin": pl.String(),
        "dest": pl.String(), "distance": pl.Int32(), "dep_time": pl.Int32(), "arr_delay": pl.Int32(), "temp": pl.Float64(),
        "humid": pl.Float64(), "wind_gust": pl.Float64(),
    },
    key=("scheduled_departure", "carrier", "flight", "origin"), time="scheduled_departure",
    label=pl.col("arr_delay") > 15, known_later=("dep_time", "arr_delay"),
    left_out={"cancelled": pl.col("dep_time").is_null(), "lost": pl.col("arr_delay").is_null()},
    features={
        "carrier": pl.col("carrier"), "dest": pl.col("dest"), "weekday": pl.col("scheduled_departure").dt.weekday(),
        "distance": pl.col("distance"), "temp": pl.col("temp"), "wind_gust": pl.col("wind_gust"),
    },
    slices={"origin": pl.col("origin")}, groups={"carrier": pl.col("carrier")},
)  # fmt: skip


@cache
def month(name: str, rows: int = 400) -> pl.DataFrame:
    """A slice of a month of flights."""
    frame = flights.read(name).select(*FLIGHTS.columns)
    return frame.gather_every(frame.height // rows)


def entries(done: Manifest) -> Any:
    """Return what a manifest says of batches, but for checksums and fingerprints."""
    known = ("rows", "start", "middle", "end")
    return {
        name: {key: str(entry[key]) for key in known} for name, entry in done.in_order().items()
    }


def refused(work: Callable[[], object]) -> str:
    """Return the kind of mistake that `work` is refused for."""
    try:
        work()
    except InputError as error:
        return type(error).__name__
    return "not refused"
