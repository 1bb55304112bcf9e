"""Labels, and models that know them well or less so, for the tests of comparisons."""

from __future__ import annotations

import numpy as np

from evergreen.promotion.compare import Array, Difference, Side
from evergreen.promotion.noise import Resampling

HOW = Resampling(200, 0.95, 0)


def draw_labels(task: str, rows: int, draw: np.random.Generator) -> Array:
    if task == "regression":
        return draw.normal(5, 2, rows).astype(np.float32)
    return draw.integers(0, 2 if task == "binary" else 3, rows).astype(np.float32)


def draw_side(
    task: str,
    y: Array,
    skill: float,
    draw: np.random.Generator,
    seeds: int = 3,
    averaged: bool = False,
) -> Side:
    """Predictions that know the label the better the higher `skill`; the packaged one is the middle
    seed.
    """

    def predict() -> Array:
        if task == "regression":
            return (y + draw.normal(0, 1 / skill, len(y))).astype(np.float32)
        told = np.eye(3)[y.astype(int)] * skill + draw.normal(size=(len(y), 3))
        if task == "binary":
            return (1 / (1 + np.exp(told[:, 0] - told[:, 1]))).astype(np.float32)
        return (np.exp(told) / np.exp(told).sum(axis=1, keepdims=True)).astype(np.float32)

    members = tuple(predict() for _ in range(seeds))
    return Side(
        np.mean(members, axis=0) if averaged else members[seeds // 2], members, averaged=averaged
    )


def width(lead: Difference | None) -> float:
    assert lead
    return lead.high - lead.low


def hits(share: float, rows: int, start: int = 0) -> Array:
    """Predictions for rows of class 0 that are right for a share of them, from row `start` on."""
    right = (np.arange(rows) - start) % rows < round(share * rows)
    return np.where(right[:, None], [1.0, 0.0], [0.0, 1.0])
