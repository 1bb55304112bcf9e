"""Metric: does one of the user's keep its contract?"""

from __future__ import annotations

from typing import Any

import numpy as np

from evergreen.metrics.metric import Metric, Metrics, Task
from evergreen.testing.made import ROWS, draw

Array = np.ndarray[Any, np.dtype[Any]]
NEAR = 0.25  # of a metric: how far from it an estimate without labels may be, on honest data


def check_metric(metric: Metric) -> None:
    """Raise AssertionError where evaluation, gate and monitoring cannot work with `metric`."""
    assert isinstance(metric, Metric), f"{metric!r} is no Metric: write Metric(...)"
    for task in metric.tasks:
        _check_values(metric, task)
        if task != "regression":
            _check_expected(metric, task)


def _check_values(metric: Metric, task: Task) -> None:
    said = f"the metric {metric.name!r}, task {task}"
    y, p = draw(task)
    for array in (y, p):
        array.setflags(write=False)  # what it changed, the next metric would be told
    good = metric.measure(y, p)
    assert np.isfinite(good), f"{said}: it is {good} for {ROWS:,} ordinary rows"
    assert metric.low <= good <= metric.high, f"{said}: {good} is beyond its low and high"
    form, ones = metric.weighted(y, p), np.ones(len(y))
    assert form.rows.shape[0] == len(y), (
        f"{said}: it needs a value for each row, not {form.rows.shape}"
    )
    told = f"{said}: {{}} gives another value than {good}, its own of the same rows: {{}}"
    order = np.random.default_rng(1).permutation(len(y))
    for how, other in {
        "its form with equal weights": form(ones),
        "its form with each row twice": form(2 * ones),
        "another order of the rows": metric.measure(y[order], p[order]),
        "a form of resampled rows, (resamples, sums)": float(_resampled(metric, y, p).mean()),
    }.items():
        assert np.isclose(other, good, rtol=1e-4, atol=1e-6), told.format(how, other)
    bad = metric.measure(y, p[order])
    assert metric.sign * (good - bad) > 0, (
        f"{said}: predictions of other rows score {bad}, the right ones {good}, and "
        f"{'less' if metric.lower_is_better else 'more'} is better: turn lower_is_better round"
    )


def _resampled(metric: Metric, y: Array, p: Array) -> Array:
    """Return the metric for two sets of equal weights at once, as the bootstrap asks for it."""
    form = metric.weighted(y, p)
    found = form.of(np.ones((2, len(y))) @ form.rows)
    assert np.shape(found) == (2,), (
        f"the metric {metric.name!r}: of {{sums of 2 resamples}} gives shape {np.shape(found)}, "
        "not (2,)"
    )
    return found


def _check_expected(metric: Metric, task: Task) -> None:
    from evergreen.monitoring.performance import estimate, fit_calibration
    from evergreen.params import Evaluate

    if metric.losses is None and metric.expect is None:
        return  # it is not estimated without labels, and pages say so
    calibration, (y, p) = fit_calibration(task, *draw(task, seed=1)), draw(task)
    how, metrics = (None, Evaluate(resamples=100), 0), Metrics((metric,))
    found = estimate(task, p, calibration, *how, metrics=metrics)[metric.name]
    real = metric.measure(y, p)
    assert abs(found.value - real) <= NEAR * max(abs(real), 0.05), (
        f"the metric {metric.name!r}, task {task}: it is expected to be {found.value:.4g} where it "
        f"is {real:.4g}: correct expect, or leave it out"
    )
