"""Small made-up data with something to learn, for each task."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from evergreen.model.matrix import Matrix, Table, Tables, build_matrix
from evergreen.model.train import Trained, train
from evergreen.params import Train

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before a thread spins: halves the time on a busy machine
FEATURES = ("first", "second", "place", "noise")
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}
QUICK = Train(
    device="cpu", rounds=40, early_stopping_rounds=5, learning_rate=0.3, max_depth=3, min_child_weight=1.0, max_bin=64
)


@cache
def draw_tables(task: str, rows: tuple[int, int, int] = (600, 200, 200), seed: int = 0) -> Tables:
    """Draw rows whose label depends on two numbers and a category; every tenth value of a number is missing."""
    draw = np.random.default_rng(seed)
    count = sum(rows)
    x = draw.normal(size=(count, len(FEATURES)))
    x[:, 2] = draw.integers(0, 6, count)
    score = 1.5 * x[:, 0] - x[:, 1] + np.array([0, 1, -1, 2, -2, 0.5])[x[:, 2].astype(int)] + draw.normal(size=count)
    x[draw.random(count) < 0.1, 1] = np.nan
    y = {
        "binary": score > 0.5,
        "multiclass": np.digitize(score, [-1.2, 1.2]),
        "regression": score,
    }[task]
    edges = np.cumsum(rows)[:-1]
    parts = [
        Table(np.ascontiguousarray(part, np.float32), label.astype(np.float32))
        for part, label in zip(np.split(x, edges), np.split(y, edges), strict=True)
    ]
    return Tables(task, FEATURES, ("place",), CLASSES[task], *parts)


@cache
def draw_matrix(task: str) -> Matrix:
    return build_matrix(draw_tables(task), QUICK.max_bin, threads=1)


@cache
def fit(task: str, seed: int = 0) -> Trained:
    return train(draw_matrix(task), QUICK, seed)


@pytest.fixture(scope="session")
def make_tables() -> Callable[..., Tables]:
    """Draw the tables of a task: `make_tables(task, rows=(train, validation, holdout), seed=0)`."""
    return draw_tables


@pytest.fixture(scope="session")
def make_matrix() -> Callable[[str], Matrix]:
    """The binned rows of a task."""
    return draw_matrix


@pytest.fixture(scope="session")
def trained() -> Callable[..., Trained]:
    """The model of a task and a seed, trained quickly; one for the whole session."""
    return fit


@pytest.fixture(scope="session")
def quick() -> Train:
    """Parameters for training in milliseconds."""
    return QUICK
