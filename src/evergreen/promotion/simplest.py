"""Simplest: does the linear model or do the trees of a run face the champion?

There is always something that can go live: the simplest model that nothing surely beats, a constant
never. Once one of them is live, the other takes its place in the run only where it is surely
better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from evergreen.promotion.compare import Rows, Side, difference
from evergreen.promotion.guardrails import tell
from evergreen.promotion.noise import Resampling

Array = np.ndarray[Any, np.dtype[Any]]
LINEAR, CONSTANT, TREES = "linear", "constant", "trees"


@dataclass(frozen=True)
class Pick:
    """Which model of a run faces the champion, and why in a sentence."""

    linear: bool
    says: str


def pick(
    rows: Rows,
    trees: Side,
    baselines: Mapping[str, Array],
    metric: str,
    how: Resampling,
    live: str | None,
) -> Pick:
    """Return which model faces the champion, by how both do on the holdout.

    `live`: the learner of the champion, None where there is none.
    """
    lead = difference(rows, metric, Side(baselines[LINEAR]), trees, how)
    if lead is None:
        return Pick(
            live in (None, LINEAR),
            "there are too few rows to decide whether trees beat the linear model",
        )
    gain = tell(metric, lead)
    if live not in (None, LINEAR):
        says = (
            "the linear model is surely better than the trees"
            if lead.high < 0
            else "trees, as the champion"
        )
        return Pick(lead.high < 0, f"{says}: {gain}")
    if lead.low > 0:
        return Pick(linear=False, says=f"trees are surely better than the linear model: {gain}")
    if live is None and _only_trees_learn(rows, trees, baselines, metric, how):
        return Pick(linear=False, says="trees: only they are surely better than a constant")
    return Pick(linear=True, says=f"the linear model: trees are not surely better: {gain}")


def _only_trees_learn(
    rows: Rows, trees: Side, baselines: Mapping[str, Array], metric: str, how: Resampling
) -> bool:
    constant = Side(baselines[CONSTANT])
    linear = difference(rows, metric, constant, Side(baselines[LINEAR]), how)
    boosted = difference(rows, metric, constant, trees, how)
    return bool(linear and boosted and linear.low <= 0 < boosted.low)
