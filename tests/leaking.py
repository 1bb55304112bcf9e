"""Leaking: made-up tables of which a feature or some rows may leak, for the tests of leaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from evergreen.params import Leaks
from evergreen.quality.leaks import find_leaks
from evergreen.training.tables import Table, Tables

TASKS = ("binary", "multiclass", "regression")
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}
ROWS = (1500, 500, 500)  # training, validation, holdout
NAN = float("nan")
Column = Callable[[Any, Any, Any], Any]  # of labels, random numbers, and which rows train


def ranks_of(y: Any) -> Any:
    """The place of each label in their order; equal ones in a random order, always the same."""
    return np.lexsort((np.random.default_rng(9).random(len(y)), y)).argsort(kind="stable")


def draw_labels(task: str, draw: np.random.Generator, rows: int) -> Any:
    if task == "regression":
        return np.exp(2 * draw.normal(size=rows))  # a long tail
    return (draw.random(rows) < 0.2) * 1.0 if task == "binary" else draw.integers(0, 3, rows) * 1.0


def draw_tables(
    task: str = "binary", column: Column | None = None, *, category: bool = False, seed: int = 0
) -> Tables:
    """Rows with two honest features and a third called `suspect`; no two rows are equal."""
    draw, total = np.random.default_rng(seed), sum(ROWS)
    y = draw_labels(task, draw, total)
    ranks = ranks_of(y) / total
    suspect = column(y, draw, np.arange(total) < ROWS[0]) if column else draw.normal(size=total)
    x = np.column_stack(
        [ranks + 0.5 * draw.normal(size=total), draw.normal(size=total), suspect]
    ).astype(np.float32)
    parts = zip(
        *(np.split(values, np.cumsum(ROWS)[:-1]) for values in (x, y.astype(np.float32))),
        strict=True,
    )
    keys = np.split(np.arange(total, dtype=np.uint64), np.cumsum(ROWS)[:-1])
    tables = [Table(x, y, key) for (x, y), key in zip(parts, keys, strict=True)]
    return Tables(
        task,
        ("helpful", "noise", "suspect"),
        ("suspect",) if category else (),
        CLASSES[task],
        *tables,
    )


def found(tables: Tables, **values: float | None) -> list[tuple[str, str]]:
    return [(leak.kind, leak.name) for leak in find_leaks(tables, Leaks(**values))]


def copy_rows(tables: Tables, count: int, source: str = "train") -> Tables:
    """The first `count` holdout rows become copies of rows of `source`."""
    x, y, origin = tables.holdout.x.copy(), tables.holdout.y.copy(), getattr(tables, source)
    x[:count], y[:count] = origin.x[:count], origin.y[:count]
    return replace(tables, holdout=replace(tables.holdout, x=x, y=y))


HARMLESS: dict[str, Column] = {
    "noise": lambda y, draw, _: draw.normal(size=len(y)),
    "constant": lambda y, _, __: np.ones(len(y)),
    "missing": lambda y, _, __: np.full(len(y), NAN),
    "infinite": lambda y, draw, _: np.where(draw.random(len(y)) < 0.5, np.inf, -np.inf),
    "missing now and then": lambda y, draw, _: np.where(
        draw.random(len(y)) < 0.3, NAN, draw.normal(size=len(y))
    ),
    "a number given in order of arrival": lambda y, _, __: np.arange(len(y)),
    "useful": lambda y, draw, _: ranks_of(y) / len(y) + 0.4 * draw.normal(size=len(y)),
}
