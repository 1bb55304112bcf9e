"""Performance in parts: a model's metric by slice, its rates by group, and its calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from evergreen.evaluation.intervals import Estimate
from evergreen.features.split import GROUP, SLICE
from evergreen.metrics.metric import Form, Metric
from evergreen.promotion.compare import FEWEST_ROWS, is_defined

Array = np.ndarray[Any, np.dtype[Any]]
MOST = 60  # slices that are shown, the largest
STEP = 1e-5  # of a sum, by which it is moved to see what the metric does
BINS = 10


@dataclass(frozen=True)
class Slice:
    """How many rows a slice has, and the metric there; None where they cannot judge."""

    name: str
    rows: int
    estimate: Estimate | None


@dataclass(frozen=True)
class Bin:
    """Rows whose predictions are close to one another: their mean, and what happened on average."""

    said: float
    happened: float
    rows: int


@dataclass(frozen=True)
class Group:
    """A group: how many rows, how often (or how much) it happened and was said."""

    name: str
    rows: int
    happened: float
    said: float


def measure_slices(
    rows: pl.DataFrame, task: str, y: Array, p: Array, metric: Metric, confidence: float
) -> list[Slice]:
    """Return the metric of predictions `p` for labels `y` in the slices of `rows`, largest first.

    `rows`: columns of a features file. Intervals are of the noise of each slice's rows.
    """
    masks = list(_parts(rows, SLICE))
    masks.sort(key=lambda part: (-int(part[1].sum()), part[0]))
    return [_slice(name, mask, task, y, p, metric, confidence) for name, mask in masks[:MOST]]


def _slice(
    name: str, mask: Array, task: str, y: Array, p: Array, metric: Metric, confidence: float
) -> Slice:
    labels, count = y[mask], int(mask.sum())
    if not is_defined(task, labels):
        return Slice(name, count, None)
    value = metric.measure(labels, p[mask])
    half = _half_interval(metric.weighted(labels, p[mask]), confidence)
    return Slice(name, count, Estimate(value, *metric.clip((value - half, value + half))))


def _half_interval(form: Form, confidence: float) -> float:
    """Return half the width of the interval of a metric; NaN where it is not smooth.

    By the delta method: a metric is a function of sums over rows, and a row that counts Poisson(1)
    times moves each sum by what it adds. So the variance is that of its first-order change, summed
    over rows: what a bootstrap of the rows comes to, without drawing any (Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 21).
    """
    from scipy.stats import norm

    sums = form.rows.sum(axis=0)
    steps = STEP * np.maximum(np.abs(sums), 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = form.of(sums + np.diag(steps)) - form.of(sums - np.diag(steps))
    by_row = form.rows @ (moved / (2 * steps))
    return float(norm.ppf((1 + confidence) / 2) * np.sqrt(np.square(by_row).sum()))


def measure_groups(rows: pl.DataFrame, task: str, y: Array, p: Array) -> list[Group]:
    """Return how often each group was said to be and was what is predicted; classes: was right."""
    said, happened = _said_and_happened(task, y, p)
    return [
        Group(name, int(mask.sum()), float(happened[mask].mean()), float(said[mask].mean()))
        for name, mask in _parts(rows, GROUP)
        if mask.sum() >= FEWEST_ROWS
    ]


def measure_calibration(task: str, y: Array, p: Array) -> list[Bin]:
    """Return bins of equal rows from the lowest prediction to the highest."""
    said, happened = _said_and_happened(task, y, p)
    order = np.argsort(said, kind="stable")
    parts = np.array_split(order, max(1, min(BINS, len(order) // FEWEST_ROWS)))
    return [
        Bin(float(said[part].mean()), float(happened[part].mean()), len(part)) for part in parts
    ]


def _said_and_happened(task: str, y: Array, p: Array) -> tuple[Array, Array]:
    """Return what is compared: chance and event, of classes of the one that is named, or numbers.

    Both of shape (rows,).
    """
    if task == "multiclass":
        return p.max(axis=1) / p.sum(axis=1), (p.argmax(axis=1) == y).astype(float)
    return p, (y == 1).astype(float) if task == "binary" else y.astype(float)


def _parts(rows: pl.DataFrame, start: str) -> Iterator[tuple[str, Array]]:
    """Yield name and mask of the levels of the columns whose names begin with `start`.

    Of each column the largest levels, first the larger.
    """
    for column in (name for name in rows.columns if name.startswith(start)):
        counts = rows[column].drop_nulls().value_counts(name="rows")
        counts = counts.sort("rows", column, descending=[True, False]).head(MOST)
        for level in counts[column]:
            mask = (rows[column] == level).fill_null(value=False).to_numpy()
            yield f"{column.removeprefix(start)}={level}", mask
