"""Another loss under a live champion: a change, decided by the metric of the new loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evergreen.params import Params, Train
from evergreen.promotion.gate import decide
from evergreen.promotion.judge import judge

TASK = "regression"
OF_NINE = {"loss": "quantile", "quantile": 0.9}


@pytest.fixture(scope="module")
def sides(world: Any) -> dict[str, Any]:
    """A champion of squared error, and a challenger of the 0.9 quantile, on as many rows each."""
    rows = world.draw_rows(TASK, 2000, 2)
    slow = world.quick.model_dump() | {"learning_rate": 0.1, "rounds": 120}
    nine = Train(**slow | OF_NINE)
    return {
        "champion": world.learn(TASK, rows, version="1"),
        "challenger": world.learn(TASK, rows, params=nine, seeds=range(10, 14)),
    }


def decision_of(world: Any, sides: dict[str, Any], train: dict[str, Any], **gate: Any) -> Any:
    params = Params(
        task=TASK, train=train, sweep={"seeds": 4}, evaluate={"resamples": 200}, gate=gate
    )
    rows = world.holdout(TASK).drop("group_member")
    baselines = world.baselines(TASK)
    judged = judge(rows, sides["challenger"], sides["champion"], baselines, params)
    return judged.evidence, decide(judged.evidence, params.gate, params.extensions, params.metrics)


@pytest.mark.slow
def test_a_change_of_loss_goes_through_where_its_own_metric_is_better(world, sides):
    evidence, decision = decision_of(world, sides, OF_NINE)
    rules = {rule["name"]: rule for rule in decision.rules}
    assert decision.action == "promote", decision.reasons
    assert rules["better"]["says"].startswith("better beyond the noise: pinball_0_9 ")
    assert evidence.comparison.metric == "pinball_0_9"
    assert evidence.comparison.whole["rmse"].high < 0  # surely worse, as a quantile must be
    assert not [name for name in rules if name.startswith("no worse in")]
    assert (
        rules["other metrics"]["says"]
        == "rmse, mae, r2: shown only, as train.loss does not aim at them"
    )
    assert evidence.calibration[1] < 0.06 < 0.3 < evidence.calibration[0]


@pytest.mark.slow
def test_by_the_metric_of_the_mean_the_same_challenger_is_refused(world, sides):
    evidence, decision = decision_of(world, sides, {})
    assert decision.action == "refuse"
    assert any("rmse" in reason for reason in decision.reasons)
    rules = {rule["name"] for rule in decision.rules}
    assert "no worse in mae" in rules
    assert "other metrics" not in rules
    assert evidence.calibration[1] > 0.1


@pytest.mark.slow
def test_the_constant_of_a_first_model_is_the_quantile(world, sides):
    """The mean would be no rival for a model of the 0.9 quantile."""
    params = Params(task=TASK, train=OF_NINE, sweep={"seeds": 4}, evaluate={"resamples": 200})
    rows = world.holdout(TASK)
    y = rows["label"].to_numpy()
    constant = {"constant": np.full(len(y), np.quantile(y, 0.9))}
    found = judge(rows, sides["challenger"], None, constant, params).evidence
    assert found.useful == "pinball_0_9"
    assert found.comparison.baselines["constant"].low > 0
