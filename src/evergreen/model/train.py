"""Train: one matrix and one seed in, one XGBoost model out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evergreen.params import Train as TrainParams

if TYPE_CHECKING:
    import xgboost as xgb

    from evergreen.model.matrix import Matrix

OBJECTIVES = {"binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror"}
LOSSES = {"binary": "logloss", "multiclass": "mlogloss", "regression": "rmse"}  # what early stopping watches


@dataclass(frozen=True)
class Trained:
    """The model of one seed, as the bytes of XGBoost's UBJSON, and how its loss fell."""

    seed: int
    booster: bytes = field(repr=False)
    rounds: int  # kept, up to and including the best
    validation_loss: float  # at the best round
    history: dict[str, tuple[float, ...]] = field(repr=False)  # "train" and "validation": loss after each round
    seconds: float = 0.0


def train(matrix: Matrix, params: TrainParams, seed: int, *, device: str = "cpu", threads: int = 1) -> Trained:
    """Boost trees until the validation loss has not fallen for `early_stopping_rounds`; keep the best round's trees.

    The same matrix, parameters and seed give the same bytes on CPU, whatever the number of threads.
    """
    import xgboost as xgb

    began = time.perf_counter()
    history: dict[str, dict[str, list[float]]] = {}
    stop = xgb.callback.EarlyStopping(rounds=params.early_stopping_rounds, data_name="validation", save_best=True)
    booster = xgb.train(
        settings(matrix, params, seed, device, threads),
        matrix.train,
        num_boost_round=params.rounds,
        evals=[(matrix.train, "train"), (matrix.validation, "validation")],
        evals_result=history,
        callbacks=[stop],
        verbose_eval=False,
    )
    loss = LOSSES[matrix.task]
    curves = {name: tuple(values[loss]) for name, values in history.items()}
    return Trained(
        seed=seed,
        booster=bytes(booster.save_raw("ubj")),
        rounds=booster.num_boosted_rounds(),
        validation_loss=min(curves["validation"]),
        history=curves,
        seconds=time.perf_counter() - began,
    )


def settings(matrix: Matrix, params: TrainParams, seed: int, device: str, threads: int) -> dict[str, Any]:
    """Return XGBoost's parameters for one seed."""
    chosen = params.model_dump(exclude={"device", "rounds", "early_stopping_rounds"})
    chosen |= {"objective": OBJECTIVES[matrix.task], "eval_metric": LOSSES[matrix.task], "tree_method": "hist"}
    if matrix.task == "multiclass":
        chosen["num_class"] = matrix.classes
    return chosen | {"seed": seed, "device": device, "nthread": threads}


def load_booster(content: bytes) -> xgb.Booster:
    """Return the model in `content` (UBJSON)."""
    import xgboost as xgb

    booster = xgb.Booster()
    booster.load_model(bytearray(content))
    return booster
