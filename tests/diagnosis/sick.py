"""Sick: made-up tables that are sound, or have one fault each, for the tests of diagnosis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from evergreen.diagnosis.lab import Lab
from evergreen.params import Train
from evergreen.training.tables import Table, Tables

Array = np.ndarray[Any, np.dtype[Any]]
ROWS = (2400, 600, 1200)  # that learn, stop and judge
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}
FEATURES = ("first", "second", "third", "fourth", "place")
SOUND = Train(
    device="cpu", learning_rate=0.12, max_depth=3, rounds=500, early_stopping_rounds=15, min_child_weight=5.0,
    colsample_bytree=1.0, max_bin=64,
)


def truth(x: Array) -> Array:
    """What decides on a label, of which each feature tells a part."""
    return 1.4 * x[:, 0] + 1.2 * np.sin(2 * x[:, 1]) + 0.9 * x[:, 2] * (x[:, 3] > 0) + 0.8 * x[:, 3] + 0.7 * (x[:, 4] % 3 - 1)


def draw_x(draw: np.random.Generator, rows: int) -> Array:
    x = draw.normal(size=(rows, len(FEATURES)))
    x[:, 4] = draw.integers(2, 8, rows)
    return x


def label(task: str, draw: np.random.Generator, score: Array, sharp: float = 2.0) -> Array:
    """Labels of a score: a little noise, or chances that are the steeper the sharper."""
    if task == "regression":
        return score + draw.normal(size=len(score)) / sharp
    if task == "binary":
        return (draw.random(len(score)) < 1 / (1 + np.exp(-sharp * score))) * 1.0
    noisy = score + draw.logistic(size=len(score)) / sharp
    return np.digitize(noisy, [-0.8, 0.8]) * 1.0


def tables_of(task: str, x: Array, y: Array, features: tuple[str, ...] = FEATURES) -> Tables:
    cuts = np.cumsum(ROWS)[:-1]
    parts = zip(np.split(x.astype(np.float32), cuts), np.split(y.astype(np.float32), cuts), strict=True)
    keys = np.split(np.arange(len(y), dtype=np.uint64), cuts)
    whole = [Table(*part, key) for part, key in zip(parts, keys, strict=True)]
    return Tables(task, features, ("place",), CLASSES[task], *whole)  # type: ignore[arg-type]


def sound(task: str = "binary", seed: int = 0, sharp: float = 2.0) -> Tables:
    draw = np.random.default_rng(seed)
    x = draw_x(draw, sum(ROWS))
    return tables_of(task, x, label(task, draw, truth(x), sharp))


def with_labels(tables: Tables, change: Any) -> Tables:
    """Tables whose labels are changed in every part."""
    parts = {
        name: replace(part, y=np.asarray(change(part.y), np.float32))
        for name in ("train", "validation", "holdout")
        for part in [getattr(tables, name)]
    }
    return replace(tables, **parts)


def with_column(tables: Tables, name: str, column: Any) -> Tables:
    """Tables with one more feature; `column` is called with labels and a generator."""
    draw = np.random.default_rng(17)
    parts = {
        part_name: replace(part, x=np.column_stack([part.x, column(part.y, draw)]).astype(np.float32))
        for part_name in ("train", "validation", "holdout")
        for part in [getattr(tables, part_name)]
    }
    return replace(tables, features=(*tables.features, name), **parts)


def lab_of(tables: Tables, **params: Any) -> Lab:
    return Lab(tables, SOUND.model_copy(update=params), jobs=2)
