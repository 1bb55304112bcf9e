"""Another learner: scikit-learn's histogram gradient boosting beside XGBoost.

Copy it into your own package, and name it in `params.yaml`: `train.learner:
late_flights.another_model`. What is kept of a model must be readable without pickle: skops writes
plain data, and reads no type but those that are named here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.metrics.metric import Task
from evergreen.params import Train as TrainParams
from evergreen.training.learner import Trained

if TYPE_CHECKING:
    from evergreen.training.tables import Table, Tables

LOSSES = {"binary": "logloss", "multiclass": "mlogloss", "regression": "squared error / 2"}
SUFFIX = ".skops"
LIBRARIES = ("scikit-learn", "skops")
TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Matrix:
    """Training and validation rows, as they are."""

    task: Task
    train: Table = field(repr=False)
    validation: Table = field(repr=False)


def build_matrix(tables: Tables, params: TrainParams, threads: int = 0) -> Matrix:
    """Return the rows; this learner bins them anew for each seed."""
    return Matrix(tables.task, tables.train, tables.validation)


def train(
    matrix: Matrix, params: TrainParams, seed: int, *, device: str = "cpu", threads: int = 1
) -> Trained:
    """Boost trees until the validation loss has not fallen for `early_stopping_rounds`.

    Without validation rows: `rounds` times.
    """
    import skops.io
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    began, watch = time.perf_counter(), len(matrix.validation) > 0
    learner = (
        HistGradientBoostingRegressor
        if matrix.task == "regression"
        else HistGradientBoostingClassifier
    )
    model = learner(
        learning_rate=params.learning_rate,
        max_iter=params.rounds,
        max_depth=params.max_depth,
        max_features=params.colsample_bytree,
        max_bins=min(params.max_bin, 255),
        l2_regularization=params.reg_lambda,
        early_stopping=watch,
        n_iter_no_change=params.early_stopping_rounds,
        random_state=seed,
    )
    later = {"X_val": matrix.validation.x, "y_val": matrix.validation.y} if watch else {}
    model.fit(matrix.train.x, matrix.train.y, **later)
    # Below zero
    scores = {"train": model.train_score_, "validation": model.validation_score_} if watch else {}
    curves = {name: tuple(-float(value) for value in values[1:]) for name, values in scores.items()}
    return Trained(
        seed=seed,
        booster=skops.io.dumps(model),
        rounds=int(model.n_iter_),
        validation_loss=curves["validation"][-1] if curves else None,
        history=curves,
        seconds=time.perf_counter() - began,
    )


class Loaded:
    """A model ready to predict."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, x: Array) -> Array:
        """Return predictions for encoded rows of shape (rows, features).

        Shape (rows,), or (rows, classes) for multiclass.
        """
        if not hasattr(self._model, "predict_proba"):
            return np.asarray(self._model.predict(x))
        p = self._model.predict_proba(x)
        return np.asarray(p[:, 1] if p.shape[1] == 2 else p)

    def gains(self) -> dict[str, float]:
        """Return how much each feature lowered the loss; this learner does not tell."""
        return {}


def load(content: bytes) -> Loaded:
    """Return the model in `content`, as `train` gave it.

    Raises skops' error where it holds a type that is not named.
    """
    import skops.io

    return Loaded(skops.io.loads(content, trusted=TRUSTED))
