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


def predict_baselines(tables: Tables, seed: int, fitted: bytes | None = None) -> dict[str, Array]:
    """Return what a constant and the linear model predict for the holdout, by name.

    `fitted`: the linear model; else it is fitted now.
    """
    # One of each fold would tell the folds apart
    constant = _constant(tables.task).fit(tables.train.x, tables.train.y)
    straight = predict_holdout(tables, fitted or fit_linear(tables, seed), "linear")
    return {"constant": _predict(constant, tables), "linear": straight}


def _constant(task: str) -> Any:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    return (
        DummyRegressor(strategy="mean")
        if task == "regression"
        else DummyClassifier(strategy="prior")
    )


def _predict(model: Any, tables: Tables) -> Array:
    x = tables.holdout.x
    if tables.task == "regression":
        return np.asarray(model.predict(x))
    chances = np.zeros((len(x), len(tables.classes)))
    chances[:, model.classes_.astype(int)] = model.predict_proba(x)
    return chances[:, 1] if tables.task == "binary" else chances
