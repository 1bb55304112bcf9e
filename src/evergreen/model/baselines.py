"""The two models that any model must beat: a constant, and a linear one. scikit-learn's, on the same encoded rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from evergreen.model.tables import Tables

Array = np.ndarray[Any, np.dtype[Any]]
MOST_ROWS = 100_000  # a linear model of some hundred weights learns nothing from more
MOST_LEVELS = 200  # of a category, the most common; the others are one: each is a column of numbers
AT_ONCE = 50_000  # rows that are encoded at a time


def predict_baselines(tables: Tables, seed: int) -> dict[str, Array]:
    """Fit both baselines on the training rows and return their predictions for the holdout, by name.

    Above `MOST_ROWS` the linear model is fitted on a random draw of the training rows.
    """
    rows = np.arange(len(tables.train))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    x, y = tables.train.x[rows], tables.train.y[rows]
    return {
        "constant": _predict(_constant(tables.task).fit(tables.train.x, tables.train.y), tables),
        "linear": _predict(_linear(tables).fit(x, y), tables),
    }


def _constant(task: str) -> Any:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    return DummyRegressor(strategy="mean") if task == "regression" else DummyClassifier(strategy="prior")


def _linear(tables: Tables) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    categories = [at for at, name in enumerate(tables.features) if name in tables.categories]
    numbers = [at for at, name in enumerate(tables.features) if name not in tables.categories]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32, max_categories=MOST_LEVELS)
    encode = ColumnTransformer(
        [
            ("categories", one_hot, categories),
            ("numbers", make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()), numbers),
        ]
    )
    if tables.task == "regression":
        return make_pipeline(encode, Ridge())
    solver = "newton-cholesky" if tables.task == "binary" else "lbfgs"  # many rows, few columns
    return make_pipeline(encode, LogisticRegression(solver=solver, max_iter=200))


def _predict(model: Any, tables: Tables) -> Array:
    x = tables.holdout.x
    say = model.predict if tables.task == "regression" else model.predict_proba
    said = np.concatenate([say(x[at : at + AT_ONCE]) for at in range(0, max(1, len(x)), AT_ONCE)])
    if tables.task == "regression":
        return said
    chances = np.zeros((len(x), len(tables.classes)))
    chances[:, model.classes_.astype(int)] = said
    return chances[:, 1] if tables.task == "binary" else chances
