"""Parity: two devices are told apart from two seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from evergreen.evaluation import parity
from evergreen.evaluation.parity import Distance, Trial, find_parity
from evergreen.params import Params
from evergreen.training import xgboost

NAMES = {"binary": "roc_auc", "multiclass": "roc_auc", "regression": "rmse"}


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], None]:
    """Let a GPU train with some parameters changed: it stands in for other sums."""
    plain = xgboost.train

    def stand_in(changes: dict[str, Any]) -> None:
        def train(matrix: Any, params: Any, seed: int, *, device: str, threads: int = 1) -> Any:
            changed = params.model_copy(update=changes if device == "cuda" else {})
            return plain(matrix, changed, seed, threads=threads)

        monkeypatch.setattr(xgboost, "train", train)

    return stand_in


def params_of(task: str) -> Params:
    return Params(task=task, train={"rounds": 15, "learning_rate": 0.3, "max_depth": 3})


@pytest.mark.slow
@pytest.mark.parametrize("task", NAMES)
@pytest.mark.parametrize(
    ("changes", "fine", "said"),
    [
        ({}, True, "the same bytes; predictions of 200 rows differ by 0 on average and 0 at most"),
        ({"reg_lambda": 1.000001}, True, "other bytes; "),  # as rounding does
        ({"rounds": 1}, False, "other bytes; "),
    ],
)
def test_a_gpu_that_learns_something_else_is_found(
    task: str,
    changes: dict[str, Any],
    fine: bool,
    said: str,
    on_gpu: Callable[[dict[str, Any]], None],
    make_tables: Callable[..., Any],
) -> None:
    on_gpu(changes)
    found, told = find_parity(make_tables(task), params_of(task))
    assert found == fine
    assert told.startswith(f"3 seeds on 600 rows, on cpu and cuda: {said}")
    assert "where its spread over seeds is 0.0" in told


@pytest.mark.slow
def test_of_many_rows_the_newest_train(
    monkeypatch: pytest.MonkeyPatch, make_tables: Callable[..., Any]
) -> None:
    monkeypatch.setattr(parity, "ROWS", 100)
    seen: list[Any] = []
    plain = parity.try_way
    monkeypatch.setattr(
        parity, "try_way", lambda tables, *how: seen.append(tables) or plain(tables, *how)
    )
    tables = make_tables("binary")
    find_parity(tables, params_of("binary"), "cpu")
    np.testing.assert_array_equal(seen[0].train.x, tables.train.x[-100:])


def test_how_far_two_ways_are_apart() -> None:
    first, second = (
        Trial({0: b"a", 1: model}, {0: np.array([0.0, 1.0]), 1: np.array(values)}, {0: 0.5, 1: 0.7})
        for model, values in ((b"b", [0.0, 0.0]), (b"c", [0.5, 0.0]))
    )
    assert Distance.between(first, first) == Distance(same=True, largest=0, mean=0, metric=0)
    assert Distance.between(first, second) == Distance(
        same=False, largest=0.5, mean=0.125, metric=0
    )
    assert first.typical == 0.5
    assert first.spread == pytest.approx(0.2 / 2**0.5)


@pytest.mark.gpu
@pytest.mark.parametrize("task", NAMES)
def test_a_real_gpu_learns_what_the_cpu_learns(task: str, make_tables: Callable[..., Any]) -> None:
    fine, told = find_parity(make_tables(task, (20_000, 4_000, 4_000)), params_of(task))
    assert fine, told
