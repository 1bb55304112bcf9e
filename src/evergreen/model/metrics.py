"""The metrics of each task, and their bootstrap intervals.

scikit-learn owns each value. The bootstrap needs thousands of values of the same metric on other row weights, for which
calling scikit-learn each time takes minutes; the forms here sort once, and a test holds them equal to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Form = Callable[[Array], float]  # a metric of fixed labels and predictions, as a function of row weights, shape (rows,)


@dataclass(frozen=True)
class Estimate:
    """A metric's value on the holdout, with its bootstrap percentile interval."""

    value: float
    low: float
    high: float


METRICS: dict[str, tuple[str, ...]] = {
    "binary": ("roc_auc", "average_precision", "log_loss", "brier"),
    "multiclass": ("accuracy", "balanced_accuracy", "log_loss"),
    "regression": ("rmse", "mae", "r2"),
}
LOWER_IS_BETTER = ("log_loss", "brier", "rmse", "mae")
EPSILON = float(np.finfo(np.float32).eps)  # as scikit-learn clips float32 probabilities


def measure(task: str, y: Array, p: Array) -> dict[str, float]:
    """Return each metric of `task` by scikit-learn.

    `y`: labels or codes of classes, shape (rows,). `p`: shape (rows,), or (rows, classes) for multiclass. AUC is NaN
    where `y` holds one class only.
    """
    import sklearn.metrics as skm

    if task == "binary":
        both = bool(y.min() < y.max())
        return {
            "roc_auc": float(skm.roc_auc_score(y, p)) if both else float("nan"),
            "average_precision": float(skm.average_precision_score(y, p)) if both else float("nan"),
            "log_loss": float(skm.log_loss(y, p, labels=[0, 1])),
            "brier": float(skm.brier_score_loss(y, p, labels=[0, 1])),
        }
    if task == "multiclass":
        top = p.argmax(axis=1)
        p = p / p.sum(axis=1, keepdims=True)  # rounding leaves sums beside one
        return {
            "accuracy": float(skm.accuracy_score(y, top)),
            "balanced_accuracy": float(skm.recall_score(y, top, average="macro", labels=np.unique(y), zero_division=0)),
            "log_loss": float(skm.log_loss(y, p, labels=np.arange(p.shape[1]))),
        }
    return {
        "rmse": float(skm.root_mean_squared_error(y, p)),
        "mae": float(skm.mean_absolute_error(y, p)),
        "r2": float(skm.r2_score(y, p)),
    }


def bootstrap(
    task: str, y: Array, predictions: Mapping[str, Array], *, resamples: int, confidence: float, seed: int
) -> dict[str, dict[str, Estimate]]:
    """Return, for each model's predictions, each metric of `task` with its percentile interval.

    All models meet the same resamples of the rows. A resample in which a metric is not defined (one class only) is left
    out of its interval. Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    forms = {(model, name): weighted(name, y, p) for model, p in predictions.items() for name in METRICS[task]}
    draws = {key: np.empty(resamples) for key in forms}
    draw = np.random.default_rng(seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        for number in range(resamples):
            weights = np.bincount(draw.integers(0, len(y), len(y), dtype=np.int32), minlength=len(y)).astype(np.float64)
            for key, form in forms.items():
                draws[key][number] = form(weights)
    tails = [100 * (1 - confidence) / 2, 100 * (1 + confidence) / 2]
    found: dict[str, dict[str, Estimate]] = {}
    for model, p in predictions.items():
        for name, value in measure(task, y, p).items():
            defined = draws[model, name][np.isfinite(draws[model, name])]
            low, high = np.percentile(defined, tails) if len(defined) and np.isfinite(value) else (np.nan, np.nan)
            found.setdefault(model, {})[name] = Estimate(value, float(low), float(high))
    return found


def weighted(name: str, y: Array, p: Array) -> Form:
    """Return the metric `name` of labels `y` and predictions `p` as a function of row weights."""
    whole: dict[str, Callable[[Array, Array], Form]] = {
        "roc_auc": _roc_auc,
        "average_precision": _average_precision,
        "balanced_accuracy": _balanced_accuracy,
        "r2": _r2,
    }
    if name in whole:
        return whole[name](y, p)
    rows = {"log_loss": _log_losses, "brier": _squares, "rmse": _squares, "mae": _distances, "accuracy": _hits}[name](
        y, p
    )
    if name == "rmse":
        return lambda w: float(np.sqrt(w @ rows / w.sum()))
    return lambda w: float(w @ rows / w.sum())


def _log_losses(y: Array, p: Array) -> Array:
    edge = float(np.finfo(p.dtype).eps)  # scikit-learn clips likewise
    p = p.astype(np.float64)
    chosen = np.where(y == 1, p, 1 - p) if p.ndim == 1 else p[np.arange(len(y)), y.astype(int)] / p.sum(axis=1)
    return np.asarray(-np.log(np.clip(chosen, edge, 1 - edge)))


def _squares(y: Array, p: Array) -> Array:
    return (y.astype(np.float64) - p) ** 2


def _distances(y: Array, p: Array) -> Array:
    return np.abs(y.astype(np.float64) - p)


def _hits(y: Array, p: Array) -> Array:
    return np.asarray(p.argmax(axis=1) == y, dtype=np.float64)


def _roc_auc(y: Array, p: Array) -> Form:
    """AUC is the chance that a positive scores above a negative, ties counting half (Hanley and McNeil, 1982)."""
    order, starts = _by_score(p)
    positive = (y[order] == 1).astype(np.float64)

    def form(w: Array) -> float:
        w = w[order]
        above = _per_score(w * positive, starts)  # lowest score first
        below = _per_score(w, starts) - above
        beaten = np.cumsum(below) - below / 2
        return float(above @ beaten / (above.sum() * below.sum()))

    return form


def _average_precision(y: Array, p: Array) -> Form:
    """AP is the sum over thresholds of precision times the gain in recall, as scikit-learn defines it."""
    order, starts = _by_score(-p)
    positive = (y[order] == 1).astype(np.float64)

    def form(w: Array) -> float:
        w = w[order]
        hits = _per_score(w * positive, starts)  # highest score first
        called = np.cumsum(_per_score(w, starts))
        precision = np.cumsum(hits) / np.maximum(called, 1e-300)
        return float(precision @ hits / hits.sum())

    return form


def _balanced_accuracy(y: Array, p: Array) -> Form:
    member = (y[:, None] == np.unique(y)[None, :]).astype(np.float64)
    hits = _hits(y, p)[:, None] * member

    def form(w: Array) -> float:
        rows = w @ member
        present = rows > 0
        return float(((w @ hits)[present] / rows[present]).mean())

    return form


def _r2(y: Array, p: Array) -> Form:
    centred, squares = y.astype(np.float64) - float(y.mean()), _squares(y, p)
    rounding = 1e-20 * float(centred @ centred) / len(y)

    def form(w: Array) -> float:
        total = w.sum()
        spread = w @ (centred - w @ centred / total) ** 2 / total
        return float(1 - w @ squares / total / spread) if spread > rounding else float("nan")

    return form


def _by_score(p: Array) -> tuple[Array, Array | None]:
    """Return the order of rows by score, and where each distinct score starts (None where all are distinct)."""
    order = np.argsort(p, kind="stable")
    ranked = p[order]
    new = np.r_[True, ranked[1:] != ranked[:-1]]
    return order, None if new.all() else np.flatnonzero(new)


def _per_score(values: Array, starts: Array | None) -> Array:
    return values if starts is None else np.add.reduceat(values, starts)
