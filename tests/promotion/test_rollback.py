"""Roll back: only what is better beyond noise comes back, and never silently."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from promotion.gated import broken, says
from promotion.relearnt import refit_of, relearnt
from recipes.people import candidate, people
from recipes.plain import params_of

from evergreen.decision import KEEP, ROLL_BACK, Decision
from evergreen.features.keys import hash_rows
from evergreen.metrics.table import LIBRARY
from evergreen.params import Retrain
from evergreen.promotion.candidate import Candidate
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


@pytest.mark.parametrize("known_to", ["the present one", "the one before"])
def test_nobody_comes_back_by_rows_that_a_champion_has_learnt_from(known_to: str) -> None:
    """Of either: what it knows of them says nothing of how it does on new rows."""
    later, params = people("binary", 400, 11, "2013-05-01"), params_of(task="binary")
    better, worse = candidate("binary", 1.0, "1"), candidate("binary", 0.3, "2")
    assert judge_rollback(later, worse, better, "roc_auc", params).action == ROLL_BACK
    if known_to == "the present one":
        worse = refit_of(worse, later, None)
    else:
        better = relearnt(better, hash_rows(later))
    found = judge_rollback(later, worse, better, "roc_auc", params)
    assert found.action == KEEP
    assert "400 of 400" in found.reasons[0]


def test_where_rows_have_no_time_those_that_a_champion_knows_do_not_judge() -> None:
    """They may be the same again; all the others judge."""

    def untimed(champion: Candidate, known: pl.DataFrame) -> Candidate:
        changed = relearnt(champion, hash_rows(known))
        changed.model.definition = replace(changed.model.definition, time="")
        return changed

    later, params = people("binary", 400, 11, "2013-05-01"), params_of(task="binary")
    before = untimed(candidate("binary", 1.0, "1"), later[50:80])
    present = untimed(candidate("binary", 0.3, "2"), later[:50])
    found = judge_rollback(later, present, before, "roc_auc", params)
    assert found.action == ROLL_BACK
    others = judge_rollback(later[80:], present, before, "roc_auc", params)
    assert found.evidence["comparison"] == others.evidence["comparison"]
    none = judge_rollback(later[:80], present, before, "roc_auc", params)
    assert none.action == KEEP
    assert "have learnt from all of the new rows" in none.reasons[0]
