"""Simplest: the linear model goes first, trees where they are surely better, a constant never."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evergreen.promotion.compare import Rows, Side
from evergreen.promotion.noise import Resampling
from evergreen.promotion.simplest import pick

HOW = Resampling(200, 0.95, 0)
COUNT = 2000


def said(y: Any, skill: float, seed: int) -> Any:
    """Predictions of a binary label that know so much of it."""
    noise = np.random.default_rng(seed).normal(size=len(y))
    return 1 / (1 + np.exp(-(skill * (2 * y - 1) + noise)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("linear", "trees", "live", "chosen", "why"),
    [
        (0.5, 0.5, None, "linear", "trees are not surely better"),
        (0.5, 1.5, None, "trees", "surely better than the linear model"),
        (1.5, 0.5, None, "linear", "not surely better"),
        # The gate then says that nothing can be learnt
        (0.0, 0.0, None, "linear", "not surely better"),
        (0.5, 0.5, "linear", "linear", "not surely better"),
        (0.5, 1.5, "linear", "trees", "surely better"),
        (0.5, 0.5, "xgboost", "trees", "trees, as the champion"),
        (1.5, 0.5, "xgboost", "linear", "the linear model is surely better"),
        (0.5, 0.55, "forest", "trees", "trees, as the champion"),
    ],
)
def test_who_faces_the_champion(
    linear: float, trees: float, live: str | None, chosen: str, why: str
) -> None:
    y = (np.arange(COUNT) % 3 == 0).astype(np.float32)
    baselines = {"linear": said(y, linear, 1), "constant": np.full(COUNT, y.mean())}
    found = pick(Rows("binary", y), Side(said(y, trees, 2)), baselines, "roc_auc", HOW, live)
    assert ("linear" if found.linear else "trees") == chosen
    assert why in found.says


def test_where_only_trees_are_better_than_a_constant_it_is_the_trees() -> None:
    """Not surely better than the linear model, which is not surely better than nothing."""
    y = (np.arange(120) % 2).astype(np.float32)
    weak, fair = said(y, 0.1, 3), said(y, 0.3, 5)
    baselines = {"linear": weak, "constant": np.full(120, 0.5)}
    found = pick(Rows("binary", y), Side(fair), baselines, "roc_auc", HOW, None)
    assert not found.linear
    assert found.says == "trees: only they are surely better than a constant"
    # Once the linear model is live, trees take its place only where they are surely better than it
    live = pick(Rows("binary", y), Side(fair), baselines, "roc_auc", HOW, "linear")
    assert live.linear
    # Nor do trees that are no better than a constant
    neither = pick(Rows("binary", y), Side(weak), baselines, "roc_auc", HOW, None)
    assert neither.linear


@pytest.mark.parametrize(("live", "linear"), [(None, True), ("linear", True), ("xgboost", False)])
def test_too_few_rows_leave_what_is_there(live: str | None, linear: bool) -> None:
    y = np.ones(20, np.float32)
    found = pick(Rows("binary", y), Side(y), {"linear": y, "constant": y}, "roc_auc", HOW, live)
    assert found.linear is linear
    assert "too few" in found.says
