"""Outputs of steps as plain values, and small projects to compute them in.

Numbers count nearly, what XGBoost or scikit-learn have fitted within what is said, sentences by the
numbers in them, and all else exactly: another processor, another release of a library and a mended
word are no other recipe.
"""

from __future__ import annotations

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
NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?%?")
DECIMALS = re.compile(r"-?[\d,]+\.(\d+)(?:e([-+]?\d+))?%?")
SAYS, WITHIN = "numbers of a sentence", "within"
# Float32 holds seven digits, and sums of hundreds of them six; a mean of two such is no rule
NEARLY, NOTHING = 1e-5, 1e-6  # of a number; and beside 0
TASKS = ("binary", "multiclass", "regression")
CLASSES = {"binary": ("no", "yes"), "multiclass": ("high", "low", "middle"), "regression": ()}


def plain(value: Any) -> Any:
    """Return `value` as JSON holds it: numbers by six digits, and of a sentence its numbers."""
    if isinstance(value, pl.DataFrame):
        return {name: [str(value.schema[name]), column(value[name])] for name in value.columns}
    if isinstance(value, np.ndarray):
        return [str(value.dtype.kind), list(value.shape), plain(value.ravel().tolist())]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {" ".join(numbers_of(str(name))): plain(known) for name, known in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, (bool, int)) or value is None:
        return value
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if math.isfinite(value) else str(value)
    if isinstance(value, np.generic):
        return plain(value.item())
    said = numbers_of(str(value))
    return said[0] if said == [str(value)] else {SAYS: said}


def column(values: pl.Series) -> list[Any]:
    """Return values of a column; its texts are data, not sentences."""
    return values.to_list() if values.dtype == pl.String() else plain(values.to_list())


def numbers_of(text: str) -> list[str]:
    """Return the numbers in a sentence; a text of few words is itself."""
    return NUMBER.findall(text) if text.count(" ") > 2 else [text]


def within(step: float, value: Any) -> Any:
    """Return what was fitted, in steps of `step` or that part of it: releases differ by less."""
    return {WITHIN: step, "value": plain(value)}


def differences(
    stored: Any, found: Any, nearly: float = NEARLY, nothing: float = NOTHING, at: str = ""
) -> Iterator[str]:
    """Yield where two plain values differ, and how."""
    if isinstance(stored, dict) and WITHIN in stored:
        nearly = nothing = stored[WITHIN]
    inside = parts_of(stored, found)
    for place, before, now in inside:
        yield from differences(before, now, nearly, nothing, f"{at}/{place}")
    if not inside and not same(stored, found, nearly, nothing):
        yield f"{at} is {found!r} and was {stored!r}"


def parts_of(stored: Any, found: Any) -> list[tuple[Any, Any, Any]]:
    """Return the parts of two values of the same form, where they have any, and where each is."""
    if isinstance(stored, dict) and isinstance(found, dict) and SAYS not in stored:
        if stored.keys() == found.keys():
            return [(name, stored[name], found[name]) for name in stored]
    elif isinstance(stored, list) and isinstance(found, list) and len(stored) == len(found):
        return [(at, *both) for at, both in enumerate(zip(stored, found, strict=True))]
    return []


def same(stored: Any, found: Any, nearly: float, nothing: float) -> bool:
    """Say whether two values without parts count as one: True is not 1, nor is 1 the number 1.0."""
    if type(stored) is not type(found):
        return False
    if isinstance(stored, float):
        return math.isclose(stored, found, rel_tol=nearly, abs_tol=nothing)
    if isinstance(stored, dict) and stored.keys() == found.keys() == {SAYS}:
        return alike(stored[SAYS], found[SAYS])
    return bool(stored == found)


def alike(stored: list[str], found: list[str]) -> bool:
    """Say whether sentences tell the same: what is rounded may have fallen to the other side."""
    return len(stored) == len(found) and all(
        before == now or abs(told(before) - told(now)) < 1.5 * step_of(before, now)
        for before, now in zip(stored, found, strict=True)
    )


def step_of(*numbers: str) -> float:
    """Return the step that numbers in a sentence are rounded to; 0 of counts."""
    parts = [DECIMALS.fullmatch(number) for number in numbers]
    steps = [10.0 ** (int(part[2] or 0) - len(part[1])) for part in parts if part]
    return min(steps, default=float(all(number.endswith("%") for number in numbers)))


def told(number: str) -> float:
    return float(number.strip("%").replace(",", ""))


# --- small projects


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
        "train": {"device": "cpu", "rounds": 20, "early_stopping_rounds": 5, "learning_rate": 0.3,
                  "max_depth": 3, "min_child_weight": 1.0, "max_bin": 64, "colsample_bytree": 1.0,
                  "subsample": 1.0},
        "sweep": {"seeds": 2},
        "evaluate": {"resamples": 100},
    }  # fmt: skip
    return parse(content | sections, "the recipes' parameters")


FLIGHTS = Dataset(
    columns={
        "scheduled_departure": pl.Datetime("us"), "carrier": pl.String(), "flight": pl.Int32(),
        "origin": pl.String(), "dest": pl.String(), "distance": pl.Int32(), "dep_time": pl.Int32(),
        "arr_delay": pl.Int32(), "temp": pl.Float64(), "humid": pl.Float64(),
        "wind_gust": pl.Float64(),
    },
    key=("scheduled_departure", "carrier", "flight", "origin"), time="scheduled_departure",
    label=pl.col("arr_delay") > 15, known_later=("dep_time", "arr_delay"),
    left_out={"cancelled": pl.col("dep_time").is_null(), "lost": pl.col("arr_delay").is_null()},
    features={
        "carrier": pl.col("carrier"), "dest": pl.col("dest"),
        "weekday": pl.col("scheduled_departure").dt.weekday(), "distance": pl.col("distance"),
        "temp": pl.col("temp"), "wind_gust": pl.col("wind_gust"),
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
