"""The XGBoost learner: one matrix and one seed in, one model out.

No other file knows what is XGBoost's, but for `losses.py`. Another learner is a file of its own
beside it (`learner.py`, docs/make-it-yours.md).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.metrics.by_loss import check_taken
from evergreen.metrics.metric import Task
from evergreen.params import Train as TrainParams
from evergreen.params.train import OF_LOSS, OF_SCHEDULE, WEIGHTED
from evergreen.training.learner import Trained
from evergreen.training.losses import (
    FOCAL,
    TAKES,
    focal,
    tell,
    undo_weight,
    watched,
    weigh,
)
from evergreen.training.schedules import is_over, rate_at

if TYPE_CHECKING:
    import xgboost as xgb

    from evergreen.training.tables import Tables

__all__ = [
    "LIBRARIES",
    "LOSSES",
    "SCHEDULED",
    "SUFFIX",
    "TAKES",
    "build_matrix",
    "load",
    "train",
    "watched",
]
# What early stopping watches under the usual loss
LOSSES = {"binary": "logloss", "multiclass": "mlogloss", "regression": "rmse"}
# Of the file of one seed's model: XGBoost's UBJSON, which holds numbers and no code
SUFFIX = ".ubj"
LIBRARIES = ("xgboost",)  # that a registered model needs to predict
SCHEDULED = True  # train.schedule is followed
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
    loss, labels, later = params.loss_for(tables.task), tables.train.y, tables.validation
    check_taken(loss, labels, lambda at: f"training row {at + 1:,}")
    weights: list[dict[str, Any]] = [
        {"weight": weigh(params, part.y, labels)} if loss == WEIGHTED else {}
        for part in (tables.train, later)
    ]
    train = xgb.QuantileDMatrix(tables.train.x, labels, **options, **weights[0])
    validation = (
        xgb.QuantileDMatrix(later.x, later.y, ref=train, **options, **weights[1])
        if len(later)
        else None
    )
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
    loss = params.loss_for(matrix.task)
    more: dict[str, Any] = focal(params.focal_gamma) if loss == FOCAL else {}
    callbacks = []
    if params.schedule != "constant":
        # It is asked after each round, for the next
        callbacks.append(xgb.callback.LearningRateScheduler(lambda done: rate_at(params, done + 1)))
    if matrix.validation is not None:
        callbacks.append(_stopping(params))
        parts = [(matrix.train, "train"), (matrix.validation, "validation")]
        more |= {"evals": parts, "evals_result": history, "verbose_eval": False}
    else:
        more.pop("custom_metric", None)
    more |= {"callbacks": callbacks} if callbacks else {}
    how = settings(matrix, params, seed, device, threads)
    booster = xgb.train(how, matrix.train, num_boost_round=params.rounds, **more)
    if loss == WEIGHTED:
        undo_weight(booster, matrix.train.get_label())
    name = watched(matrix.task, params)
    curves = {part: tuple(values[name]) for part, values in history.items()}
    return Trained(
        seed=seed,
        booster=bytes(booster.save_raw("ubj")),
        rounds=booster.num_boosted_rounds(),
        validation_loss=min(curves["validation"]) if curves else None,
        history=curves,
        seconds=time.perf_counter() - began,
    )


def _stopping(params: TrainParams) -> xgb.callback.EarlyStopping:
    """Return what ends a training, and keeps the trees up to the best round.

    While a schedule still lowers the rate nothing ends it: a loss that no longer falls often falls
    again with smaller steps.
    """
    import xgboost as xgb

    class AfterSchedule(xgb.callback.EarlyStopping):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            return super().after_iteration(model, epoch, evals_log) and is_over(params, epoch)

    kind = xgb.callback.EarlyStopping if params.schedule == "constant" else AfterSchedule
    return kind(rounds=params.early_stopping_rounds, data_name="validation", save_best=True)


def settings(
    matrix: Matrix, params: TrainParams, seed: int, device: str, threads: int
) -> dict[str, Any]:
    """Return XGBoost's parameters for one seed."""
    others = {"learner", "refit", "device", "rounds", "early_stopping_rounds", "loss", "schedule"}
    chosen = params.model_dump(exclude={*others, *OF_LOSS, *OF_SCHEDULE})
    chosen |= tell(matrix.task, params, matrix.train.get_label()) | {"tree_method": "hist"}
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
