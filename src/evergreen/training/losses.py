"""The losses of `train.loss` as XGBoost is told them, and the one that it lacks: focal.

What stops a training early is the loss itself on the validation rows, by XGBoost's own metric. For
gamma that is the deviance; for Poisson and Tweedie the likelihood, half the deviance but for a
constant; under class weights the weighted log loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.params.train import FOR_TASK, WEIGHTED

if TYPE_CHECKING:
    import xgboost as xgb

    from evergreen.metrics.metric import Task
    from evergreen.params import Train

Array = np.ndarray[Any, np.dtype[Any]]
TAKES = FOR_TASK  # all there are
FOCAL = "focal"
NAMES = {  # of a loss -> XGBoost's objective, and the metric that stops early
    "log_loss": ("binary:logistic", "logloss"),
    WEIGHTED: ("binary:logistic", "logloss"),
    FOCAL: ("binary:logistic", FOCAL),  # so that the file says what to make of a margin
    "squared": ("reg:squarederror", "rmse"),
    "absolute": ("reg:absoluteerror", "mae"),
    "pseudo_huber": ("reg:pseudohubererror", "mphe"),
    "quantile": ("reg:quantileerror", "quantile"),
    "gamma": ("reg:gamma", "gamma-deviance"),
    "tweedie": ("reg:tweedie", "tweedie-nloglik"),
    "poisson": ("count:poisson", "poisson-nloglik"),
}
OF_CLASSES = ("multi:softprob", "mlogloss")


def watched(task: Task, params: Train) -> str:
    """Return what early stopping watches, by XGBoost's name of it."""
    loss = params.loss_for(task)
    name = OF_CLASSES[1] if task == "multiclass" else NAMES[loss][1]
    return f"{name}@{params.tweedie_power:g}" if loss == "tweedie" else name


def tell(task: Task, params: Train, y: Array) -> dict[str, Any]:
    """Return XGBoost's parameters of the loss; `y`: the training labels, shape (rows,)."""
    loss = params.loss_for(task)
    objective = OF_CLASSES[0] if task == "multiclass" else NAMES[loss][0]
    told: dict[str, Any] = {"objective": objective, "eval_metric": watched(task, params)}
    if loss == "quantile":
        told["quantile_alpha"] = params.quantile
    elif loss == "tweedie":
        told["tweedie_variance_power"] = params.tweedie_power
    elif loss == "pseudo_huber":
        # XGBoost's own start is a Newton step from 0: with labels about 40 it begins at 31,671
        told |= {"huber_slope": params.huber_slope, "base_score": float(np.median(y))}
    elif loss == WEIGHTED:
        told["base_score"] = _share(y, positive_weight(params, y))
    elif loss == FOCAL:
        told |= {"base_score": _share(y), "disable_default_eval_metric": True}
        del told["eval_metric"]
    return told


def weigh(params: Train, y: Array, train_y: Array) -> Array:
    """Return the weight of each row of `y` by its class, shape (rows,).

    The training rows `train_y` weigh 1 on average, so that what a leaf needs (min_child_weight)
    means what it means without weights.
    """
    weight = positive_weight(params, train_y)
    mean = float(np.where(train_y == 1, weight, 1.0).mean())
    return np.asarray(np.where(y == 1, weight, 1.0) / mean, dtype=np.float32)


def positive_weight(params: Train, y: Array) -> float:
    """Return as how many rows a positive one counts; of null, so that both classes balance."""
    if params.positive_weight is not None:
        return params.positive_weight
    positive = float((y == 1).sum())
    return (len(y) - positive + 1) / (positive + 1)


def undo_weight(booster: xgb.Booster, y: Array) -> None:
    """Take out of a model's predictions what the weights put in: they are probabilities again.

    Rows of a class that count w times raise its odds w times, whatever else is known of a row (King
    and Zeng, Logistic regression in rare events data, 2001, section 4.2). All trees start from the
    weighted share of positives; from the plain one they predict the odds divided by w.
    """
    booster.set_param({"base_score": _share(y)})


def _share(y: Array, weight: float = 1.0) -> float:
    """Return the share of positives; one more of each class keeps it from 0 and 1 (Laplace)."""
    positive = float((y == 1).sum() + 1) * weight
    return positive / (positive + float((y != 1).sum()) + 1)


# --- focal loss
# --------------------------------------------------------------------------------------------------


def focal(gamma: float) -> dict[str, Callable[..., Any]]:
    """Return XGBoost's `obj` and `custom_metric` for the focal loss; both meet margins.

    A row costs -(1 - q) ** gamma log q, where q is the probability of its label: what is predicted
    well counts little (Lin et al., Focal loss for dense object detection, 2017). With gamma 0 it is
    the log loss.
    """

    def slopes(margin: Array, rows: xgb.DMatrix) -> tuple[Array, Array]:
        return focal_slopes(rows.get_label(), margin, gamma)

    def measure(margin: Array, rows: xgb.DMatrix) -> tuple[str, float]:
        return FOCAL, float(focal_losses(rows.get_label(), margin, gamma).mean())

    return {"obj": slopes, "custom_metric": measure}


def focal_losses(y: Array, margin: Array, gamma: float) -> Array:
    """Return what each row costs, shape (rows,)."""
    _, log_q, miss = _of_label(y, margin)
    return np.asarray(-(miss**gamma) * log_q)


def focal_slopes(y: Array, margin: Array, gamma: float) -> tuple[Array, Array]:
    """Return the first derivative by the margin of what each row costs, and a bound of the second.

    The second has one term that is below zero, of rows that are predicted badly: the loss is not
    convex there. It is left out, so that a step goes down and is the shorter.
    """
    sign, log_q, miss = _of_label(y, margin)
    q = np.exp(log_q)
    first = sign * miss**gamma * (gamma * q * log_q - miss)
    second = q * miss**gamma * (miss * (2 * gamma + 1) - gamma**2 * q * log_q)
    return first.astype(np.float32), second.astype(np.float32)


def _of_label(y: Array, margin: Array) -> tuple[Array, Array, Array]:
    """Return +1 or -1 for the label, log q, and 1 - q, each of shape (rows,)."""
    sign = np.where(y == 1, 1.0, -1.0)
    toward = sign * margin.astype(np.float64)
    return sign, -np.logaddexp(0.0, -toward), np.exp(-np.logaddexp(0.0, toward))
