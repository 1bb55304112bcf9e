"""The linear learner: ridge or logistic regression on the encoded rows, kept as numbers.

The models are scikit-learn's. A category has a weight for each of its most common levels; a number
is filled with its mean and scaled. It is the baseline of every run, and goes live where trees are
not surely better.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.training.learner import Trained

if TYPE_CHECKING:
    from evergreen.params import Train as TrainParams
    from evergreen.training.tables import Tables

SUFFIX = ".json"  # weights as numbers
LIBRARIES = ("numpy",)  # that a registered model needs to predict
LOSSES = {"binary": "log loss", "multiclass": "log loss", "regression": "squared error"}
TAKES = {"binary": ("log_loss",), "multiclass": ("log_loss",), "regression": ("squared",)}
MOST_ROWS = 100_000  # a linear model of some hundred weights learns nothing from more
MOST_LEVELS = 200  # of a category, the most common; the others are one: each is a column of numbers
AT_ONCE = 50_000  # rows that are predicted at a time
SEEDLESS = True  # the same rows give the same model
PENALTIES = np.logspace(-3, 4, 15)  # of ridge regression; leave-one-out picks one
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Matrix:
    """Training rows as the learner takes them; `categories`: which columns of `x` hold codes."""

    task: str
    classes: int
    x: Array = field(repr=False)
    y: Array = field(repr=False)
    categories: tuple[int, ...]
    names: tuple[str, ...]


def build_matrix(tables: Tables, params: TrainParams, threads: int = 0) -> Matrix:
    """Return the training rows; there is nothing to bin."""
    categories = tuple(at for at, name in enumerate(tables.features) if name in tables.categories)
    return Matrix(
        tables.task,
        len(tables.classes),
        tables.train.x,
        tables.train.y,
        categories,
        tables.features,
    )


def train(
    matrix: Matrix, params: TrainParams, seed: int, *, device: str = "cpu", threads: int = 1
) -> Trained:
    """Fit the weights, above `MOST_ROWS` on a random draw of the rows.

    The seed decides that draw and nothing else. BLAS gets one thread: with several the last
    digits depend on their number, and idle ones spin.
    """
    from threadpoolctl import threadpool_limits

    began = time.perf_counter()
    rows = np.arange(len(matrix.y))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    if matrix.task != "regression" and len(np.unique(matrix.y[rows])) == 1:  # a fold of few rows
        weights = _only_class(matrix, int(matrix.y[0]))
    else:
        with threadpool_limits(1):
            weights = _weights(matrix, _pipeline(matrix).fit(matrix.x[rows], matrix.y[rows]))
    content = json.dumps(weights, sort_keys=True).encode()
    return Trained(
        seed,
        content,
        rounds=1,
        validation_loss=None,
        history={},
        seconds=time.perf_counter() - began,
    )


class Linear:
    """A linear model ready to predict."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.task, self.classes, self.names = content["task"], content["classes"], content["names"]
        self.intercept, self.present = np.asarray(content["intercept"]), content["present"]
        self.levels = {int(at): np.asarray(table) for at, table in content["levels"].items()}
        self.numbers = {int(at): number for at, number in content["numbers"].items()}

    def predict(self, x: Array) -> Array:
        """Return float32 predictions, as trees do, for encoded rows of shape (rows, features).

        Shape (rows,), or (rows, classes) for multiclass.
        """
        parts = [self._predict(x[at : at + AT_ONCE]) for at in range(0, max(1, len(x)), AT_ONCE)]
        return np.concatenate(parts).astype(np.float32)

    def gains(self) -> dict[str, float]:
        """Return how far each feature moves the prediction: the spread of its weights."""
        found = {
            self.names[at]: float(np.std(table, axis=0).sum()) for at, table in self.levels.items()
        }
        return found | {
            self.names[at]: float(np.abs(number["weight"]).sum())
            for at, number in self.numbers.items()
        }

    def _predict(self, x: Array) -> Array:
        total = np.tile(self.intercept, (len(x), 1))
        for at, table in self.levels.items():
            code = x[:, at].astype(np.intp)
            total += table[np.minimum(code, len(table) - 1)]
        for at, number in self.numbers.items():
            known = np.where(np.isnan(x[:, at]), number["fill"], x[:, at].astype(float))
            total += np.outer((known - number["mean"]) / number["scale"], number["weight"])
        if self.task == "regression":
            return np.asarray(total[:, 0])
        if self.task == "binary":
            return np.asarray(1 / (1 + np.exp(-np.clip(total[:, 0], -500, 500))))
        shares = np.exp(total - total.max(axis=1, keepdims=True))
        chances = np.zeros((len(x), self.classes))
        chances[:, self.present] = shares / shares.sum(axis=1, keepdims=True)
        return chances


def load(content: bytes) -> Linear:
    """Return the model in `content`, as `train` gave it."""
    return Linear(json.loads(content))


def _pipeline(matrix: Matrix) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [at for at in range(len(matrix.names)) if at not in matrix.categories]
    one_hot = OneHotEncoder(
        handle_unknown="ignore", sparse_output=False, dtype=np.float32, max_categories=MOST_LEVELS
    )
    encode = ColumnTransformer(
        [
            ("levels", one_hot, list(matrix.categories)),
            (
                "numbers",
                make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()),
                numbers,
            ),
        ]
    )
    if matrix.task == "regression":
        return make_pipeline(encode, RidgeCV(PENALTIES))
    solver = "newton-cholesky"  # many rows, few columns
    return make_pipeline(encode, LogisticRegression(solver=solver, max_iter=200))


def _only_class(matrix: Matrix, label: int) -> dict[str, Any]:
    """Return the weights of a model that knows one class: its share, by Laplace's rule."""
    how = {
        "task": matrix.task,
        "classes": matrix.classes,
        "names": matrix.names,
        "present": [label],
    }
    odds = float(np.log(len(matrix.y) + 1)) * (1 if label else -1)
    return how | {"intercept": [odds], "levels": {}, "numbers": {}}


def _weights(matrix: Matrix, fitted: Any) -> dict[str, Any]:
    """Return the weights as plain numbers.

    Of a category a weight for each level, by its code; of a number its weight, mean and scale.
    """
    encode, model = fitted[0], fitted[-1]
    # A row per encoded column
    weights, intercept = np.atleast_2d(model.coef_).T, np.atleast_1d(model.intercept_)
    if matrix.task == "multiclass" and weights.shape[1] == 1:
        # Of two classes scikit-learn keeps one against the other
        weights, intercept = np.hstack([0 * weights, weights]), np.append(0.0, intercept)
    levels, used = {}, 0
    if matrix.categories:
        one_hot = encode.named_transformers_["levels"]
        for place, at in enumerate(matrix.categories):
            highest = int(max(one_hot.categories_[place]))
            asked = np.tile([found[0] for found in one_hot.categories_], (highest + 2, 1))
            # The last stands for every code that was not there
            asked[:, place] = np.arange(highest + 2)
            columns = [*range(used, used + _width(one_hot, place))]
            levels[at] = (one_hot.transform(asked)[:, columns] @ weights[columns]).tolist()
            used += len(columns)
    numbers = [at for at in range(len(matrix.names)) if at not in matrix.categories]
    found = {}
    if numbers:
        impute, scale = encode.named_transformers_["numbers"]
        for place, at in enumerate(numbers):
            found[at] = {
                "fill": float(impute.statistics_[place]),
                "mean": float(scale.mean_[place]),
                "scale": float(scale.scale_[place]),
                "weight": weights[used + place].tolist(),
            }
    present = [] if matrix.task == "regression" else [int(label) for label in model.classes_]
    how = {
        "task": matrix.task,
        "classes": matrix.classes,
        "names": matrix.names,
        "present": present,
    }
    return how | {"intercept": intercept.tolist(), "levels": levels, "numbers": found}


def _width(one_hot: Any, place: int) -> int:
    rare = one_hot.infrequent_categories_[place]
    return len(one_hot.categories_[place]) - (
        len(rare) - 1 if rare is not None and len(rare) else 0
    )
