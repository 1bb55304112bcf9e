"""Intervals: how sure a metric of some rows is, by a bootstrap of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from evergreen.metrics.metric import Form, Metrics
from evergreen.training.device import count_cores

Array = np.ndarray[Any, np.dtype[Any]]
AT_ONCE = 8_000_000  # weights held at a time


@dataclass(frozen=True)
class Estimate:
    """A metric's value on the holdout, with its bootstrap percentile interval."""

    value: float
    low: float
    high: float


def bootstrap(
    task: str,
    y: Array,
    predictions: Mapping[str, Array],
    *,
    resamples: int,
    confidence: float,
    seed: int,
    metrics: Metrics,
) -> dict[str, dict[str, Estimate]]:
    """Return, for each model's predictions, each metric of `task` with its percentile interval.

    All models meet the same resamples of the rows. A resample in which a metric is not defined (one
    class only) is left out of its interval. Source: Efron and Tibshirani, An Introduction to the
    Bootstrap, 1993, chapter 13.
    """
    forms = {
        (model, name): metric.weighted(y, p)
        for model, p in predictions.items()
        for name, metric in metrics.of(task).items()
    }
    draws = dict(
        zip(
            forms,
            resample(list(forms.values()), len(y), resamples=resamples, seed=seed),
            strict=True,
        )
    )
    found: dict[str, dict[str, Estimate]] = {}
    for model, p in predictions.items():
        for name, value in metrics.measure(task, y, p).items():
            low, high = (
                interval(draws[model, name], confidence) if np.isfinite(value) else (np.nan, np.nan)
            )
            found.setdefault(model, {})[name] = Estimate(value, low, high)
    return found


def interval(draws: Array, confidence: float) -> tuple[float, float]:
    """Return the percentile interval of those of `draws` that are defined; NaN where none is."""
    defined = draws[np.isfinite(draws)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def resample(forms: Sequence[Form], rows: int, *, resamples: int, seed: int) -> Array:
    """Return the value of each form on each resample of the rows; NaN where not defined.

    Shape (forms, resamples). In each resample a row counts Poisson(1) times, independently of the
    others, which for more than some hundred rows is the bootstrap, without drawing rows in a given
    number (Chamandy et al., Estimating uncertainty for massive data streams, 2012). Every form
    meets the same resamples. Memory: the forms' columns, and `AT_ONCE` weights.
    """
    columns = np.hstack([form.rows for form in forms])
    edges = np.cumsum([0, *(form.rows.shape[1] for form in forms)])
    found = np.empty((len(forms), resamples))
    for start in range(0, resamples, step := max(1, AT_ONCE // rows)):
        chunk = range(start, min(start + step, resamples))
        sums = _draw_weights(chunk, rows, seed) @ columns
        with np.errstate(invalid="ignore", divide="ignore"):
            # A resample without one of the classes
            for number, form in enumerate(forms):
                found[number, chunk.start : chunk.stop] = form.of(
                    sums[:, edges[number] : edges[number + 1]]
                )
    return found


def _draw_weights(numbers: range, rows: int, seed: int) -> Array:
    """Return how often each row counts in the resamples `numbers`, (len(numbers), rows)."""
    weights, table = np.empty((len(numbers), rows)), _poisson_table()

    def fill(share: range) -> None:
        for at in share:
            draw = np.random.Generator(np.random.SFC64([seed, numbers[at]]))
            counts = draw.integers(0, len(table), rows, dtype=np.uint16)
            np.take(table, counts, out=weights[at], mode="clip")

    threads = count_cores()  # a share each: of few rows, to hand over a resample is the most work
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, [range(first, len(numbers), threads) for first in range(threads)]))
    return weights


@cache
def _poisson_table() -> Array:
    """Return Poisson(1) counts such that a uniform draw from the table is a draw of the count."""
    from scipy.stats import poisson

    size = 2**16
    edges = np.rint(poisson.cdf(np.arange(9), 1) * size)  # 9 and more have a chance below 2^-16
    return np.searchsorted(edges, np.arange(size), side="right").astype(np.float64)
