"""The library's metrics, in forms that a bootstrap of thousands of values needs.

scikit-learn owns each value. Calling it for each resample takes minutes; here all are one product
of matrices, and tests hold the two equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from evergreen.metrics.expected import expect_average_precision, expect_roc_auc
from evergreen.metrics.metric import Form, Metric, Metrics

Array = np.ndarray[Any, np.dtype[Any]]


def _log_losses(y: Array, p: Array) -> Array:
    edge = float(np.finfo(p.dtype).eps)  # scikit-learn clips likewise
    p = p.astype(np.float64)
    chosen = (
        np.where(y == 1, p, 1 - p)
        if p.ndim == 1
        else p[np.arange(len(y)), y.astype(int)] / p.sum(axis=1)
    )
    return np.asarray(-np.log(np.clip(chosen, edge, 1 - edge)))


def _squares(y: Array, p: Array) -> Array:
    return (y.astype(np.float64) - p) ** 2


def _distances(y: Array, p: Array) -> Array:
    return np.abs(y.astype(np.float64) - p)


def _hits(y: Array, p: Array) -> Array:
    return np.asarray(p.argmax(axis=1) == y, dtype=np.float64)


def _roc_auc(y: Array, p: Array) -> Form:
    """AUC: the mean over positives of the share of negatives that they beat, and vice versa.

    A tie is half a win. Both means are weighted; which rows each row beats is not.
    """
    positive = y == 1
    above, below = np.sort(p[positive]), np.sort(p[~positive])
    won = np.empty(len(y))
    won[positive] = _share_beaten(below, p[positive])
    won[~positive] = 1 - _share_beaten(above, p[~positive])
    auc = float(won[positive].mean()) if positive.any() else float("nan")
    rows = np.column_stack([won * positive, positive, won * ~positive, ~positive]).astype(
        np.float64
    )
    return Form(rows, lambda s: np.clip(s[:, 0] / s[:, 1] + s[:, 2] / s[:, 3] - auc, 0, 1))


def _share_beaten(ranked: Array, p: Array) -> Array:
    if not len(ranked):
        return np.full(len(p), np.nan)
    places = np.searchsorted(ranked, p, side="left") + np.searchsorted(ranked, p, side="right")
    return np.asarray(places / (2 * len(ranked)))


def _average_precision(y: Array, p: Array) -> Form:
    """AP is the mean over positives of the precision at their score, as scikit-learn defines it.

    A row's weight counts in its own term, and in the precision at every score that is not above its
    own.
    """
    order = np.argsort(-p, kind="stable")
    ranked, positive = -p[order], (y[order] == 1).astype(np.float64)
    last = np.searchsorted(ranked, ranked, side="right")  # rows at or above each row's score
    called, hits = last.astype(np.float64), np.cumsum(positive)[last - 1]
    precision, total = hits / called, positive.sum()
    value = float(positive @ precision / total) if total else float("nan")
    first = np.searchsorted(ranked, ranked, side="left")
    felt = [
        np.r_[np.cumsum((positive * share)[::-1])[::-1], 0.0][first]
        for share in (1 / called, precision / called)
    ]
    slope = np.empty(len(y))
    slope[order] = (positive * (precision - value + felt[0]) - felt[1]) / max(total, 1.0)
    rows = np.column_stack([slope, y == 1, y != 1]).astype(np.float64)

    def of(sums: Array) -> Array:
        both = (sums[:, 1] > 0) & (sums[:, 2] > 0)
        return np.where(
            both, np.clip(value + sums[:, 0] / (sums[:, 1] + sums[:, 2]) * len(y), 0, 1), np.nan
        )

    return Form(rows, of)


def _balanced_accuracy(y: Array, p: Array) -> Form:
    member = (y[:, None] == np.unique(y)[None, :]).astype(np.float64)
    classes = member.shape[1]

    def of(sums: Array) -> Array:
        recall = sums[:, :classes] / sums[:, classes:]  # NaN for a class without rows
        present = sums[:, classes:] > 0
        return np.asarray(np.where(present, recall, 0).sum(axis=1) / present.sum(axis=1))

    return Form(np.hstack([_hits(y, p)[:, None] * member, member]), of)


def _r2(y: Array, p: Array) -> Form:
    centred, squares = y.astype(np.float64) - float(y.mean()), _squares(y, p)

    def of(sums: Array) -> Array:
        error, mean, square = (sums[:, at] / sums[:, 3] for at in range(3))
        spread = square - mean**2
        # Below is what rounding leaves
        return np.where(spread > 1e-12 * square, 1 - error / spread, np.nan)

    return Form(np.column_stack([squares, centred, centred**2, np.ones(len(y))]), of)


# --- the table


def _by_sklearn(name: str, **options: Any) -> Callable[[Array, Array], float]:
    """Return scikit-learn's function of that name, imported where it is called."""

    def value(y: Array, p: Array) -> float:
        import sklearn.metrics as skm

        return float(getattr(skm, name)(y, p, **options))

    return value


def _ranks(name: str) -> Callable[[Array, Array], float]:
    of = _by_sklearn(name)
    return lambda y, p: of(y, p) if y.min() < y.max() else float("nan")


def _log_loss(y: Array, p: Array) -> float:
    if p.ndim == 1:
        return _by_sklearn("log_loss", labels=[0, 1])(y, p)
    whole = p / p.sum(axis=1, keepdims=True)  # rounding leaves sums beside one
    return _by_sklearn("log_loss", labels=np.arange(p.shape[1]))(y, whole)


def _accuracy(y: Array, p: Array) -> float:
    return _by_sklearn("accuracy_score")(y, p.argmax(axis=1))


def _recall(y: Array, p: Array) -> float:
    of = _by_sklearn("recall_score", average="macro", labels=np.unique(y), zero_division=0)
    return of(y, p.argmax(axis=1))


LIBRARY = Metrics((  # the first of a task decides where gate.metric names none
    Metric(
        "roc_auc", tasks=("binary",), low=0, high=1, value=_ranks("roc_auc_score"), form=_roc_auc,
        expect=expect_roc_auc,
    ),
    Metric(
        "average_precision", tasks=("binary",), low=0, high=1, form=_average_precision,
        value=_ranks("average_precision_score"), expect=expect_average_precision,
    ),
    Metric("accuracy", tasks=("multiclass",), losses=_hits, low=0, high=1, value=_accuracy),
    Metric(
        "balanced_accuracy", tasks=("multiclass",), form=_balanced_accuracy, low=0, high=1,
        value=_recall,
    ),
    Metric(
        "log_loss", tasks=("binary", "multiclass"), losses=_log_losses, lower_is_better=True,
        low=0, value=_log_loss,
    ),
    Metric(
        "brier", tasks=("binary",), losses=_squares, lower_is_better=True, low=0, high=1,
        value=_by_sklearn("brier_score_loss", labels=[0, 1]),
    ),
    Metric(
        "rmse", tasks=("regression",), losses=_squares, lower_is_better=True, low=0,
        of=lambda sums: np.sqrt(sums[:, 0] / sums[:, 1]),
        value=_by_sklearn("root_mean_squared_error"),
    ),
    Metric(
        "mae", tasks=("regression",), losses=_distances, lower_is_better=True, low=0,
        value=_by_sklearn("mean_absolute_error"),
    ),
    Metric("r2", tasks=("regression",), form=_r2, high=1, value=_by_sklearn("r2_score")),
))  # fmt: skip
OF_CURVES = {
    "roc": "roc_auc",
    "precision_recall": "average_precision",
    "errors": "mae",
}  # the metric that a curve shows
