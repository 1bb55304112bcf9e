"""The XGBoost learner: one matrix and one seed in, one model out.

No other file knows what is XGBoost's, but for `losses.py` and `forest.py`. Another learner is a
file of its own beside it (`learner.py`, docs/make-it-yours.md).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.errors import InputError
from evergreen.metrics.by_loss import check_taken
from evergreen.metrics.metric import Task
from evergreen.params import Train as TrainParams
from evergreen.params.train import OF_LOSS, OF_SCHEDULE, WEIGHTED
from evergreen.training.forest import Forest, plant
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

    from evergreen.training.tables import Table, Tables

__all__ = [
    "LIBRARIES",
    "LOSSES",
    "SCHEDULED",
    "SUFFIX",
    "TAKES",
    "build_matrix",
    "join",
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
BLOCK = 2**23  # numbers of rows on disk that are looked at together, 32 MiB of them
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Matrix:
    """Training and validation rows as the learner takes them, made once for all seeds.

    Bins come from the training rows. `validation`: None where no rows stop a training early.
    `turn`: where the rows lie on disk, which two trainings cannot read at once.
    """

    task: Task
    classes: int
    train: xgb.QuantileDMatrix = field(repr=False)
    validation: xgb.QuantileDMatrix | None = field(repr=False)
    turn: Lock | None = field(repr=False, default=None)


def build_matrix(tables: Tables, params: TrainParams, threads: int = 0) -> Matrix:
    """Bin the rows once for all seeds; `threads` 0 means all cores.

    Rows that lie on disk are binned into files beside them, block by block: the same bins.
    """
    if tables.train.on_disk:
        check_external(tables.task, params, "cpu")
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
    train = _bin(tables.train, None, options | weights[0])
    validation = _bin(later, train, options | weights[1]) if len(later) else None
    turn = Lock() if tables.train.on_disk else None
    return Matrix(tables.task, len(tables.classes), train, validation, turn)


def check_external(task: Task, params: TrainParams, device: str) -> None:
    """Raise InputError where rows on disk cannot be trained on, or would give another model.

    Leaves of the absolute and the quantile loss are quantiles of the rows in them; where a tree
    sees some rows only, and these come in several blocks, XGBoost before 3.4 takes wrong ones.
    """
    if device == "cuda":
        raise InputError(
            "rows that lie on disk (compute.memory: external) train on the CPU alone, and the "
            "device is cuda: set compute.memory to in-memory, or train.device to cpu"
        )
    loss = params.loss_for(task)
    if loss in ("absolute", "quantile") and params.subsample < 1 and takes_wrong_leaves():
        raise InputError(
            f"rows that do not fit into memory, or are to lie on disk (compute.memory), cannot be "
            f"trained on with train.loss {loss} and train.subsample {params.subsample:g}: set "
            "train.subsample to 1, or compute.memory to in-memory with fewer batches "
            "(split.train_batches)"
        )


def takes_wrong_leaves() -> bool:
    """Return whether the XGBoost that is installed takes wrong leaves of rows on disk."""
    from packaging.version import Version

    return Version(version("xgboost")) < Version("3.4")


def _bin(table: Table, ref: xgb.DMatrix | None, options: dict[str, Any]) -> xgb.QuantileDMatrix:
    """Return binned rows; `ref`: the training rows, whose bins they get."""
    import xgboost as xgb

    if not table.on_disk:
        return xgb.QuantileDMatrix(table.x, table.y, ref=ref, **options)
    place = Path(str(table.x.filename)).parent  # type: ignore[attr-defined]  # of np.memmap
    folder = tempfile.mkdtemp(dir=place, prefix=f".part-{os.getpid()}-", suffix=".bins")
    names, weight = options.pop("feature_names"), options.pop("weight", None)
    rows = max(1, BLOCK // table.x.shape[1])

    class Blocks(xgb.DataIter):
        at = 0

        def next(self, input_data: Callable[..., Any]) -> bool:
            if self.at >= len(table):
                return False
            part, self.at = slice(self.at, self.at + rows), self.at + rows
            weights = {} if weight is None else {"weight": weight[part]}
            x, y = np.asarray(table.x[part]), table.y[part]
            input_data(data=x, label=y, feature_names=names, **weights)
            return True

        def reset(self) -> None:
            self.at = 0

    try:
        binned = xgb.ExtMemQuantileDMatrix(Blocks(f"{folder}/bins"), ref=ref, **options)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(binned, shutil.rmtree, folder, ignore_errors=True)
    return binned


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
    with matrix.turn or nullcontext():
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
        self.booster = booster

    def predict(self, x: Array) -> Array:
        """Return predictions for encoded rows of shape (rows, features).

        Shape (rows,), or (rows, classes) for multiclass.
        """
        if not len(x):  # of which newer versions give another shape
            return self.predict(np.zeros((1, x.shape[1]), np.float32))[:0]
        return np.asarray(self.booster.inplace_predict(x))

    def contributions(self, x: Array) -> Array:
        """Return the SHAP values of encoded rows, shape (rows, features), on the scale of margins.

        Of classes, the sizes of those of each are added up, with the sign of their sum.
        """
        import xgboost as xgb

        names = self.booster.feature_names
        found = self.booster.predict(xgb.DMatrix(x, feature_names=names), pred_contribs=True)
        if found.ndim == 2:
            return np.asarray(found[:, :-1])
        parts = found[:, :, :-1]
        return np.asarray(np.abs(parts).sum(axis=1) * np.sign(parts.sum(axis=1)))

    def gains(self) -> dict[str, float]:
        """Return how much each feature that was used lowered the loss, over all trees."""
        found = self.booster.get_score(importance_type="total_gain")
        return {name: float(gain) for name, gain in found.items()}  # type: ignore[arg-type]


def join(models: Sequence[Loaded]) -> Forest | None:
    """Return models laid out for a few rows, which predicts the same bits; None where it cannot."""
    return plant([model.booster for model in models])


def load(content: bytes) -> Loaded:
    """Return the model in `content`, as `train` gave it."""
    import xgboost as xgb

    booster = xgb.Booster()
    booster.load_model(bytearray(content))
    return Loaded(booster)
