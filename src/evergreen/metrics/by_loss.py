"""The metric that judges what a loss aims at, and decides where `gate.metric` names none.

Each loss aims at a number of the label's distribution: its mean, its median, a quantile. A model is
judged by a metric that is least at that number (Gneiting, Making and evaluating point forecasts,
2011); by any other a worse model may look better, or a few large labels say all. Where a loss is
named that has a metric of its own, the library's others are shown, and guard nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from evergreen.errors import InputError
from evergreen.metrics.metric import Metric, Metrics
from evergreen.metrics.table import LIBRARY

Array = np.ndarray[Any, np.dtype[Any]]
# A mean must be above zero: what is predicted below this counts as this
SMALLEST = float(np.finfo(np.float32).eps)
POWERS = {"poisson": 1.0, "gamma": 2.0}  # of the mean, by which the variance grows
ABOVE, FROM = "above 0", "0 or above"
TAKEN = {"gamma": ABOVE, "poisson": FROM, "tweedie": FROM}  # labels that a loss takes
BY_MAE = ("absolute", "pseudo_huber")
# What a metric of the library asks for that these losses do not: calibrated probabilities
OF_CHANCES = ("log_loss", "brier")


def lead_by(known: Metrics, loss: str, number: float | None = None) -> Metrics:
    """Return the metrics in which the one of `loss` is the first of its task, and so decides.

    `number`: of the loss; the quantile, or Tweedie's power. squared and log_loss leave all as it
    is: rmse, or roc_auc and accuracy, decide. With focal roc_auc does too: it ranks, and its
    probabilities are drawn to the middle, so that neither log_loss nor brier guards.
    """
    if loss in BY_MAE:  # the median's; of pseudo-Huber too, in the label's unit whatever its slope
        return _first(known, known["mae"])
    if loss == "quantile":
        assert number is not None
        return _first(known, pinball(number))
    if loss in POWERS or loss == "tweedie":
        return _first(known, deviance(loss, POWERS.get(loss, number or 0.0)))
    if loss == "focal":
        return Metrics(tuple(_shown(metric, OF_CHANCES) for metric in known.known))
    return known


def check_taken(loss: str, y: Array, place_of: Callable[[int], str]) -> None:
    """Raise InputError where `loss` cannot take a label of `y`, shape (rows,).

    `place_of`: where a row is, in words, by its place in `y`.
    """
    if loss not in TAKEN:
        return
    bad = np.flatnonzero(y <= 0 if TAKEN[loss] == ABOVE else y < 0)
    if not len(bad):
        return
    at = int(bad[0])
    more = f", and so are {len(bad) - 1:,} more" if len(bad) > 1 else ""
    raise InputError(
        f"train.loss is {loss}, which takes labels {TAKEN[loss]}: that of {place_of(at)} is "
        f"{y[at]:g}{more}; name another loss, or leave such rows out (left_out in dataset.py)"
    )


def pinball(quantile: float) -> Metric:
    """Return the pinball loss, which is least at a quantile of the label.

    An error costs `quantile` where the label lies above, and 1 - `quantile` where it lies below
    (Koenker and Bassett, Regression quantiles, 1978).
    """

    def losses(y: Array, p: Array) -> Array:
        above = y.astype(np.float64) - p
        return np.maximum(quantile * above, (quantile - 1) * above)

    def value(y: Array, p: Array) -> float:
        from sklearn.metrics import mean_pinball_loss

        return float(mean_pinball_loss(y, p, alpha=quantile))

    name = f"pinball_{quantile:g}".replace(".", "_")
    return _of_regression(name, losses, value)


def deviance(loss: str, power: float) -> Metric:
    """Return the mean deviance of a label whose variance grows by a power of its mean.

    Power 1 is Poisson's, 2 the gamma distribution's, between them Tweedie's (Jorgensen, Exponential
    dispersion models, 1987). Predictions that are not above zero count as `SMALLEST`; a label that
    the loss cannot take raises InputError.
    """
    name = f"{loss}_deviance" + (f"_{power:g}".replace(".", "_") if loss == "tweedie" else "")

    def losses(y: Array, p: Array) -> Array:
        check_taken(loss, y, _judging)
        return _deviances(y.astype(np.float64), _above_zero(p), power)

    def value(y: Array, p: Array) -> float:
        from sklearn.metrics import mean_tweedie_deviance

        check_taken(loss, y, _judging)
        return float(mean_tweedie_deviance(y.astype(np.float64), _above_zero(p), power=power))

    return _of_regression(name, losses, value)


def _judging(at: int) -> str:
    return f"row {at + 1:,} of those that judge"


def _deviances(y: Array, mean: Array, power: float) -> Array:
    from scipy.special import xlogy

    if power == 1:
        return np.asarray(2 * (xlogy(y, y / mean) - y + mean))
    if power == 2:
        return np.asarray(2 * (np.log(mean / y) + y / mean - 1))
    less, two = 1 - power, 2 - power
    return np.asarray(2 * (y**two / (less * two) - y * mean**less / less + mean**two / two))


def _above_zero(p: Array) -> Array:
    return np.maximum(p.astype(np.float64), SMALLEST)


def _of_regression(
    name: str, losses: Callable[[Array, Array], Array], value: Callable[[Array, Array], float]
) -> Metric:
    return Metric(
        name, tasks=("regression",), losses=losses, lower_is_better=True, low=0, value=value
    )


def _first(known: Metrics, lead: Metric) -> Metrics:
    others = tuple(metric.name for metric in LIBRARY.of("regression").values())
    rest = (_shown(metric, others) for metric in known.known if metric.name != lead.name)
    return Metrics((lead, *rest))


def _shown(metric: Metric, names: tuple[str, ...]) -> Metric:
    """Return a metric that is shown only, where it is one of `names`."""
    return replace(metric, guards=False) if metric.name in names else metric
