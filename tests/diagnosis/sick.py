"""Sick: made-up tables that are sound, or have one fault each, for the tests of diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from evergreen.diagnosis.fault import (
    COPIES,
    HIGH_RATE,
    LABEL_NOISE,
    LEAK,
    LOW_RATE,
    OVERFIT,
    UNDERFIT,
    USELESS,
    WRONG_LOSS,
)
from evergreen.diagnosis.lab import Lab
from evergreen.params import Train
from evergreen.training.tables import Table, Tables

Array = np.ndarray[Any, np.dtype[Any]]
ROWS = (1600, 400, 1000)  # that learn, stop and judge
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}
FEATURES = ("first", "second", "third", "fourth", "place")
SOUND = Train(
    device="cpu",
    learning_rate=0.2,
    max_depth=3,
    rounds=300,
    early_stopping_rounds=10,
    min_child_weight=5.0,
    colsample_bytree=1.0,
    max_bin=32,
)


def truth(x: Array) -> Array:
    """What decides on a label, of which each feature tells a part."""
    parts = 1.2 * x[:, 0] + 1.2 * np.sin(2 * x[:, 1]) + 1.5 * x[:, 2] * np.sign(x[:, 3])
    return np.asarray(parts + 0.7 * x[:, 3] + 0.7 * (x[:, 4] % 3 - 1))


def draw_label(task: str, draw: np.random.Generator, score: Array, sharp: float) -> Array:
    """Labels of a score: the sharper, the less is left to chance."""
    if task == "regression":
        return np.asarray(score + draw.normal(size=len(score)) / sharp)
    noisy = score + draw.logistic(size=len(score)) / sharp
    return np.digitize(noisy, [0.0] if task == "binary" else [-0.8, 0.8]) * 1.0


def sound(
    task: str = "binary", seed: int = 0, sharp: float = 2.0, rows: tuple[int, ...] = ROWS
) -> Tables:
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(sum(rows), len(FEATURES)))
    x[:, 4] = draw.integers(2, 8, sum(rows))
    y = draw_label(task, draw, truth(x), sharp)
    cuts = np.cumsum(rows)[:-1]
    keys = np.split(np.arange(len(y), dtype=np.uint64), cuts)
    parts = zip(
        np.split(x.astype(np.float32), cuts),
        np.split(y.astype(np.float32), cuts),
        keys,
        strict=True,
    )
    return Tables(task, FEATURES, ("place",), CLASSES[task], *(Table(*part) for part in parts))


def each_part(tables: Tables, change: Callable[[Table], Table]) -> Tables:
    """Tables with every part changed."""
    names = ("train", "validation", "holdout")
    return replace(tables, **{name: change(getattr(tables, name)) for name in names})


def with_labels(tables: Tables, change: Callable[[Array], Array]) -> Tables:
    return each_part(tables, lambda part: replace(part, y=np.asarray(change(part.y), np.float32)))


def with_column(tables: Tables, name: str, column: Callable[[Array, Any], Array]) -> Tables:
    """Tables with one more feature; `column` is called with labels and a generator."""
    draw = np.random.default_rng(17)
    more = each_part(
        tables,
        lambda part: replace(
            part, x=np.column_stack([part.x, column(part.y, draw)]).astype(np.float32)
        ),
    )
    return replace(more, features=(*tables.features, name))


def flipped(task: str, share: float = 0.2) -> Callable[[Array], Array]:
    """Labels of which a share is another class, or that of another row."""
    draw = np.random.default_rng(3)

    def flip(y: Array) -> Array:
        at, y = draw.random(len(y)) < share, y.copy()
        if task == "regression":
            y[at] = draw.permutation(y)[at]
        else:
            classes = len(CLASSES[task])
            y[at] = (y[at] + draw.integers(1, classes, at.sum())) % classes
        return y

    return flip


def with_tails(y: Array) -> Array:
    return np.asarray(y + 0.5 * np.random.default_rng(5).standard_t(1.2, len(y)))


def with_copies(tables: Tables) -> Tables:
    """Tables of which a third of the rows to learn from are there a second time."""
    third = len(tables.train) // 3
    places = np.r_[np.arange(len(tables.train) - third), np.arange(third)]
    train = tables.train.take(places)
    return replace(
        tables, train=replace(train, keys=np.arange(len(train), dtype=np.uint64) + 10**6)
    )


def lab_of(tables: Tables, seeds: int = 2, **params: Any) -> Lab:
    return Lab(tables, SOUND.model_copy(update=params), tuple(range(seeds)), jobs=2)


# --- one fault each
# --------------------------------------------------------------------------------------------------


def _noise(y: Array, draw: Any) -> Array:
    return np.asarray(draw.normal(size=len(y)))


def _leak(y: Array, draw: Any) -> Array:
    return np.asarray(y + 0.3 * float(y.std()) * draw.normal(size=len(y)))


LARGE = (3000, 800, 1200)
BOTH = ("binary", "regression")
ALL = ("binary", "multiclass", "regression")
Make = Callable[[str, int], Lab]


def sick(
    change: Callable[[Tables], Tables] = lambda tables: tables, sharp: float = 2.0, **params: Any
) -> Make:
    """A lab of sound rows that are changed, and of some parameters."""
    return lambda task, seed: lab_of(change(sound(task, seed, sharp)), **params)


SICK: dict[str, tuple[str, tuple[str, ...], Make]] = {
    "overfit": (OVERFIT, BOTH, sick(sharp=0.5, max_depth=8, min_child_weight=0.0, reg_lambda=0.0)),
    "stumps": (UNDERFIT, BOTH, sick(max_depth=1)),
    "heavy leaves": (UNDERFIT, ("binary",), sick(min_child_weight=200.0)),
    "label noise": (
        LABEL_NOISE,
        ALL,
        lambda task, seed: lab_of(with_labels(sound(task, seed, 6.0, LARGE), flipped(task)), 1),
    ),
    "copies": (COPIES, BOTH, sick(with_copies)),
    "high rate": (HIGH_RATE, BOTH, sick(learning_rate=1.0)),
    "low rate": (LOW_RATE, BOTH, sick(learning_rate=0.002, rounds=100)),
    "tails": (WRONG_LOSS, ("regression",), sick(lambda tables: with_labels(tables, with_tails))),
    "useless": (USELESS, BOTH, sick(lambda tables: with_column(tables, "dice", _noise))),
    "leak": (LEAK, BOTH, sick(lambda tables: with_column(tables, "paid", _leak), sharp=0.4)),
}
