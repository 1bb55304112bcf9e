"""Space: what may be tried holds what is there."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import refusal
from optuna.distributions import FloatDistribution, IntDistribution

from evergreen.params import Params
from evergreen.tuning.space import find_space, present, rounded, with_values


@pytest.mark.parametrize(
    ("name", "declared", "now", "expected"),
    [
        ("max_depth", [3, 10], 6, IntDistribution(3, 10)),
        ("max_depth", [3, 10], 12, IntDistribution(3, 12)),
        ("max_bin", [16, 512], 256, IntDistribution(16, 512, log=True)),
        ("subsample", [0.5, 1], 0.8, FloatDistribution(0.5, 1.0)),
        ("subsample", [0.5, 0.9], 0.2, FloatDistribution(0.2, 0.9)),
        ("learning_rate", [0.02, 0.3], 0.05, FloatDistribution(0.02, 0.3, log=True)),
        ("reg_lambda", [0.1, 30], 0, FloatDistribution(0.0, 30.0)),
    ],
)
def test_it_is_as_declared_and_holds_what_is_there(
    name: str, declared: list[Any], now: float, expected: Any
) -> None:
    params = Params().override(train={name: now}, tune={"space": {name: declared}})
    assert find_space(params) == {name: expected}
    assert present(params) == {name: now}


def test_a_linear_model_has_nothing_to_tune() -> None:
    refusal(lambda: find_space(Params().override(train={"learner": "linear"})), "nothing to tune")


def test_numbers_have_three_digits_and_others_stay() -> None:
    found = rounded({"learning_rate": 0.123456, "reg_lambda": 12.3456, "max_depth": 7})
    assert found == {"learning_rate": 0.123, "reg_lambda": 12.3, "max_depth": 7}
    assert with_values(Params(), found).train.learning_rate == 0.123
