"""A metric of the project's own decides wherever one of the library's does."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from recipes.people import candidate, people
from recipes.plain import params_of

from evergreen.decision import KEEP, ROLL_BACK
from evergreen.extensions import Extensions
from evergreen.metrics.metric import Metric
from evergreen.promotion.gate import decide
from evergreen.promotion.influence import find_influence
from evergreen.promotion.judge import judge
from evergreen.promotion.refit import compare_refit
from evergreen.promotion.rollback import judge_rollback
from evergreen.promotion.trained_models import face
from evergreen.training.tables import Table, Tables

ROWS = people("regression", 600, 7)
GOOD, BAD = candidate("regression", 1.0, "2"), candidate("regression", 0.3, "1")


def cost(y: Any, p: Any) -> Any:
    return 100 * np.where(y > p, 3.0, 1.0) * np.abs(y - p)


OWN = Extensions(
    metrics=[Metric("cost", tasks=("regression",), losses=cost, lower_is_better=True, low=0)]
)
PARAMS = params_of(task="regression", sweep={"seeds": 3}, gate={"metric": "cost"}).choosing_from(
    OWN
)


@pytest.mark.slow
def test_the_gate_decides_by_it() -> None:
    constant = {"constant": np.full(600, 0.1), "linear": np.full(600, 0.1)}
    found = judge(ROWS, GOOD, BAD, constant, PARAMS)
    decision = decide(found.evidence, PARAMS.gate, OWN)
    comparison = found.evidence.comparison
    assert (comparison.metric, [*comparison.whole][-1]) == ("cost", "cost")
    assert comparison.whole["cost"].challenger > 1
    assert comparison.whole["cost"].low > 0
    names = {rule["name"]: rule["says"] for rule in decision.rules}
    assert names["better"].startswith("better beyond the noise: cost ")
    assert "no worse in rmse" in names
    turned = decide(judge(ROWS, BAD, GOOD, constant, PARAMS).evidence, PARAMS.gate, OWN)
    assert "not better enough" in " ".join(turned.reasons)
    json.dumps(decision.as_plain(), default=str)


@pytest.mark.slow
def test_it_says_which_model_faces_the_champion() -> None:
    baselines = {"constant": np.full(600, 0.1), "linear": BAD.model.predict_rows(ROWS)}
    _, judged = face(ROWS, GOOD, BAD, baselines, None, PARAMS, ())
    assert "cost" in judged.evidence.simplest


@pytest.mark.parametrize(
    ("present", "before", "action"), [(BAD, GOOD, ROLL_BACK), (GOOD, BAD, KEEP)]
)
def test_a_champion_comes_back_by_it(present: Any, before: Any, action: str) -> None:
    later = people("regression", 400, 11, "2013-05-01")
    decision = judge_rollback(later, present, before, "cost", PARAMS)
    assert decision.action == action
    assert "cost" in " ".join(decision.reasons)


def test_a_refit_is_looked_at_by_it() -> None:
    earlier = people("regression", 400, 10, "2013-02-01")
    said = GOOD.model.predict_rows(ROWS)
    refit = compare_refit(BAD.model, GOOD.model, said, earlier, ROWS, 10, PARAMS)
    assert refit.holdout
    assert refit.earlier
    assert refit.holdout.high < 0
    assert refit.holdout.champion == pytest.approx(
        float(cost(ROWS["label"].to_numpy(), said).mean()), rel=1e-4
    )


def test_what_the_newest_batch_teaches_is_judged_by_it() -> None:
    empty = Table(np.empty((0, 3), np.float32), np.empty(0, np.float32))
    encoder = GOOD.model.encoder
    tables = Tables("regression", encoder.features, ("place",), (), empty, empty, empty, encoder)
    found = find_influence(tables, ROWS, BAD.seeds, GOOD.seeds, "linear", PARAMS)
    assert found
    assert found.low > 0
    assert found.champion > 1
