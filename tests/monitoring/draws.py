"""Labels and predictions of a model that is too sure of itself, and its calibration."""

from __future__ import annotations

from typing import Any

import numpy as np

from evergreen.monitoring.performance import (
    Calibration,
    fit_calibration,
)
from evergreen.params import Evaluate

QUICK = Evaluate(resamples=200)


def draw(task: str, rows: int, seed: int, shift: float = 0.0, turn: float = 0.0) -> tuple[Any, Any]:
    """Labels, and the predictions of a model that is too sure of itself.

    `shift` moves the inputs; `turn` is how much of what they mean is inverted (concept drift),
    0 to 1.
    """
    rng = np.random.default_rng([seed, rows])
    x, z = rng.normal(shift, 1, rows), rng.normal(size=rows)
    if task == "regression":
        return x + z, x.astype(np.float32)
    if task == "binary":
        chance = 1 / (1 + np.exp(-(1.3 * x * (1 - 2 * turn) + 0.6 * z - 0.8)))
        said = 1 / (1 + np.exp(-(1.8 * x + 0.8 * z - 0.6)))
        return (rng.random(rows) < chance).astype(int), said.astype(np.float32)
    score = np.column_stack([x, z, np.full(rows, 0.3)])
    chance, said = (
        np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True) for logit in (score, 1.6 * score)
    )
    if turn:
        chance = chance[:, [1, 0, 2]]
    return (rng.random((rows, 1)) > chance.cumsum(axis=1)[:, :2]).sum(axis=1), said.astype(
        np.float32
    )


def calibration_of(task: str, rows: int = 10_000, seed: int = 0) -> Calibration:
    found = fit_calibration(task, *draw(task, rows, seed))
    assert found
    return found
