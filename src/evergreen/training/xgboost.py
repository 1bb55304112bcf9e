"""The XGBoost learner: one matrix and one seed in, one model out.

No other file knows what is XGBoost's. Another learner is a file of its own beside it (`learner.py`,
docs/make-it-yours.md).
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
    import xgboost as xgb

    from evergreen.training.tables import Tables

OBJECTIVES = {
    "binary": "binary:logistic",
    "multiclass": "multi:softprob",
    "regression": "reg:squarederror",
}
# What early stopping watches
LOSSES = {"binary": "logloss", "multiclass": "mlogloss", "regression": "rmse"}
# Of the file of one seed's model: XGBoost's UBJSON, which holds numbers and no code
SUFFIX = ".ubj"
LIBRARIES = ("xgboost",)  # that a registered model needs to predict
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Matrix:
    """Training and validation rows as the learner takes them, made once for all seeds.

    Bins come from the training rows. `validation`: None where no rows stop a training early.
    """

    task: Task
    classes: int
    train: xgb.QuantileDMatrix = field(repr=False)
    validation: xgb.QuantileDMatrix | None = field(repr=False)


def build_matrix(tables: Tables, params: TrainParams, threads: int = 0) -> Matrix:
    """Bin the rows once for all seeds; `threads` 0 means all cores."""
    import xgboost as xgb

    names = list(tables.features)
    options: dict[str, Any] = {
        "max_bin": params.max_bin,
        "feature_names": names,
        "nthread": threads or None,
    }
    train = xgb.QuantileDMatrix(tables.train.x, tables.train.y, **options)
    later = tables.validation
    validation = xgb.QuantileDMatrix(later.x, later.y, ref=train, **options) if len(later) else None
    return Matrix(tables.task, len(tables.classes), train, validation)


def train(
    matrix: Matrix, params: TrainParams, seed: int, *, device: str = "cpu", threads: int = 1
) -> Trained:
    """Boost trees until the validation loss has not fallen for `early_stopping_rounds`.

    The trees up to the best round are kept. Without validation rows boost exactly `rounds` times;
    the loss is not computed, which saves a third of the time. The same matrix, parameters and seed
    give the same bytes on CPU, whatever the number of threads.
    """
    import xgboost as xgb

    began = time.perf_counter()
    history: dict[str, dict[str, list[float]]] = {}
    watched: dict[str, Any] = {}
    if matrix.validation is not None:
        stop = xgb.callback.EarlyStopping(
            rounds=params.early_stopping_rounds, data_name="validation", save_best=True
        )
        parts = [(matrix.train, "train"), (matrix.validation, "validation")]
        watched = {
            "evals": parts,
            "evals_result": history,
            "callbacks": [stop],
            "verbose_eval": False,
        }
    how = settings(matrix, params, seed, device, threads)
    booster = xgb.train(how, matrix.train, num_boost_round=params.rounds, **watched)
    loss = LOSSES[matrix.task]
    curves = {name: tuple(values[loss]) for name, values in history.items()}
    return Trained(
        seed=seed,
        booster=bytes(booster.save_raw("ubj")),
        rounds=booster.num_boosted_rounds(),
        validation_loss=min(curves["validation"]) if curves else None,
        history=curves,
        seconds=time.perf_counter() - began,
    )


def settings(
    matrix: Matrix, params: TrainParams, seed: int, device: str, threads: int
) -> dict[str, Any]:
    """Return XGBoost's parameters for one seed."""
    chosen = params.model_dump(
        exclude={"learner", "refit", "device", "rounds", "early_stopping_rounds"}
    )
    chosen |= {
        "objective": OBJECTIVES[matrix.task],
        "eval_metric": LOSSES[matrix.task],
        "tree_method": "hist",
    }
    if matrix.task == "multiclass":
        chosen["num_class"] = matrix.classes
    return chosen | {"seed": seed, "device": device, "nthread": threads}


class Loaded:
    """A model ready to predict."""

    def __init__(self, booster: xgb.Booster) -> None:
        self._booster = booster

    def predict(self, x: Array) -> Array:
        """Return predictions for encoded rows of shape (rows, features).

        Shape (rows,), or (rows, classes) for multiclass.
        """
        if not len(x):  # of which newer versions give another shape
            return self.predict(np.zeros((1, x.shape[1]), np.float32))[:0]
        return np.asarray(self._booster.inplace_predict(x))

    def contributions(self, x: Array) -> Array:
        """Return the SHAP values of encoded rows, shape (rows, features), on the scale of margins.

        Of classes, the sizes of those of each are added up, with the sign of their sum.
        """
        import xgboost as xgb

        names = self._booster.feature_names
        found = self._booster.predict(xgb.DMatrix(x, feature_names=names), pred_contribs=True)
        if found.ndim == 2:
            return np.asarray(found[:, :-1])
        parts = found[:, :, :-1]
        return np.asarray(np.abs(parts).sum(axis=1) * np.sign(parts.sum(axis=1)))

    def gains(self) -> dict[str, float]:
        """Return how much each feature that was used lowered the loss, over all trees."""
        found = self._booster.get_score(importance_type="total_gain")
        return {name: float(gain) for name, gain in found.items()}  # type: ignore[arg-type]


def load(content: bytes) -> Loaded:
    """Return the model in `content`, as `train` gave it."""
    import xgboost as xgb

    booster = xgb.Booster()
    booster.load_model(bytearray(content))
    return Loaded(booster)
