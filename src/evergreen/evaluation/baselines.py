"""The two models that any must beat: a constant, and a linear one (`linear.py`).

Both see the same encoded rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.params import Train
from evergreen.training import linear
from evergreen.training.cross_validation import join_bytes, predict_holdout

if TYPE_CHECKING:
    from evergreen.training.tables import Tables

Array = np.ndarray[Any, np.dtype[Any]]


def fit_linear(tables: Tables, seed: int) -> bytes:
    """Return the linear model of the training rows; of each fold, where there are any."""
    return join_bytes(
        [
            linear.train(linear.build_matrix(part, Train()), Train(), seed).booster
            for part in tables.parts()
        ]
    )


def predict_baselines(
    tables: Tables, seed: int, fitted: bytes | None = None, quantile: float | None = None
) -> dict[str, Array]:
    """Return what a constant and the linear model predict for the holdout, by name.

    `fitted`: the linear model; else it is fitted now. It predicts the mean, whatever the loss. The
    constant of numbers is the mean of the labels, or a `quantile` where a loss aims at that.
    """
    straight = predict_holdout(tables, fitted or fit_linear(tables, seed), "linear")
    # One constant for all folds: one of each would tell the folds apart
    return {"constant": predict_constant(tables, quantile), "linear": straight}


def predict_constant(tables: Tables, quantile: float | None = None) -> Array:
    """Return the same prediction for each row of the holdout, made of the training labels.

    Shape (rows,), or (rows, classes). Of numbers it is their mean, or a `quantile`.
    """
    model = _constant(tables.task, quantile).fit(tables.train.x, tables.train.y)
    return _predict(model, tables)


def _constant(task: str, quantile: float | None) -> Any:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    if task != "regression":
        return DummyClassifier(strategy="prior")
    if quantile is not None:
        return DummyRegressor(strategy="quantile", quantile=quantile)
    return DummyRegressor(strategy="mean")


def _predict(model: Any, tables: Tables) -> Array:
    x = tables.holdout.x
    if tables.task == "regression":
        return np.asarray(model.predict(x))
    chances = np.zeros((len(x), len(tables.classes)))
    chances[:, model.classes_.astype(int)] = model.predict_proba(x)
    return chances[:, 1] if tables.task == "binary" else chances
