"""Roll back: only what is better beyond noise comes back, and never silently."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from promotion.gated import broken, says
from promotion.relearnt import refit_of

from evergreen.decision import KEEP, ROLL_BACK, Decision
from evergreen.metrics.table import LIBRARY
from evergreen.params import Retrain
from evergreen.promotion.compare import Difference
from evergreen.promotion.rollback import decide_rollback, judge_rollback

NAN = float("nan")


def lead(value: float = 0.02, **other: float) -> Difference:
    known = {
        "champion": 0.5,
        "challenger": 0.5 + value,
        "value": value,
        "low": value - 0.004,
        "high": value + 0.004,
    }
    return Difference(**known | {"probability": 0.9, "chance_better": 0.99} | other)


def back(
    comparison: Difference | None, models: Difference | None, metric: str = "roc_auc", **params: Any
) -> Decision:
    return decide_rollback(
        comparison, models, Retrain(**params), 0.001, 0.75, metric, metrics=LIBRARY
    )


@pytest.mark.parametrize(
    ("comparison", "models", "metric", "rules", "reason"),
    [
        (
            lead(),
            lead(),
            "roc_auc",
            set(),
            "the previous champion is better beyond the noise: roc_auc 0.5200",
        ),
        (lead(0.001, low=1e-9), lead(1e-9), "roc_auc", set(), "better beyond the noise"),
        (
            lead(math.nextafter(0.001, 0), low=1e-9),
            lead(),
            "roc_auc",
            {"better"},
            "not better enough, by less than 0.001",
        ),
        (lead(low=0.0), lead(), "roc_auc", {"better"}, "not better enough, within the noise"),
        (lead(probability=0.75), lead(), "roc_auc", set(), "better beyond the noise"),
        (
            lead(probability=0.7499),
            lead(),
            "roc_auc",
            {"better"},
            "not better enough, less surely than 0.75",
        ),
        (
            lead(),
            lead(0.0),
            "roc_auc",
            {"models"},
            "of the two packaged models the previous one is not better",
        ),
        (lead(-0.1), lead(-0.1), "roc_auc", {"better", "models"}, "not better enough"),
        (lead(0.0005, low=1e-9), lead(), "rmse", set(), "better"),  # a share of the champion's 0.5
        (lead(0.00049, low=1e-9), lead(), "rmse", {"better"}, "by less than 0.0005"),
        (Difference(*[NAN] * 7), lead(), "roc_auc", {"better"}, "not better enough"),
        (lead(), Difference(*[NAN] * 7), "roc_auc", {"models"}, "not better"),
        (lead(low=NAN), lead(), "roc_auc", {"better"}, "within the noise"),
        (lead(probability=NAN), lead(), "roc_auc", {"better"}, "less surely"),
        (None, lead(), "roc_auc", {"better"}, "too few new rows"),
        (lead(), None, "roc_auc", {"better"}, "too few new rows"),
    ],
)
def test_the_champion_before_comes_back_only_where_it_is_better_beyond_noise(
    comparison, models, metric, rules, reason
):
    decision = back(comparison, models, metric)
    assert (decision.action, broken(decision)) == ("keep" if rules else "rollback", rules)
    assert reason in decision.reasons[0]
    json.dumps(decision.as_plain())


def test_rolling_back_that_is_switched_off_is_told_and_the_comparison_shown_all_the_same():
    decision = back(lead(), lead(), rollback="off")
    assert (decision.action, broken(decision)) == ("keep", {"rollback"})
    assert decision.reasons[0].startswith("SWITCHED OFF (retrain.rollback)")
    assert says(decision, "better").startswith("the previous champion is better")


@pytest.mark.slow
@pytest.mark.parametrize("old_kind", [True, False], ids=["it was never refit", "it was refit"])
@pytest.mark.usefixtures("same_resamples")
def test_a_rollback_finds_versions_of_either_kind(old_kind, world):
    """On a batch that came after both: neither has learnt from it, so each speaks for itself."""
    later = world.draw_rows("binary", 1500, 11, "holdout")
    better, worse = world.better("binary"), world.champion("binary")
    before, present = (better, refit_of(worse, world.holdout("binary"), world)) if old_kind else (
        refit_of(better, world.holdout("binary"), world), worse)  # fmt: skip
    decision = judge_rollback(later, present, before, "roc_auc", world.params("binary"))
    assert decision.action == ROLL_BACK, decision.reasons
    assert judge_rollback(later, before, present, "roc_auc", world.params("binary")).action == KEEP
