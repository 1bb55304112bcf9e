"""Decide: refreshes, the refit model, and models trained without luck."""

from __future__ import annotations

from dataclasses import replace

import pytest
from promotion.gated import DEFAULT, NAN, UNKNOWN, alone, broken, evidence, lead, says

from evergreen.decision import PROMOTE, REFUSE
from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY
from evergreen.params import Gate
from evergreen.promotion.evidence import Refit
from evergreen.promotion.gate import decide


@pytest.mark.parametrize(
    ("refresh", "value", "low", "action"),
    [
        (True, 0.0, -0.004, PROMOTE),  # newer data only: no worse is enough
        (True, -0.002, -0.0099, PROMOTE),
        (True, 0.0, -0.0101, REFUSE),  # it may be worse by more than the margin
        (False, 0.0, -0.004, REFUSE),  # a change has to be better
        (False, 0.0009, 0.0001, REFUSE),
        (False, 0.02, 0.016, PROMOTE),
        (True, 0.02, 0.016, PROMOTE),
    ],
)
def test_a_refresh_is_to_be_no_worse_and_a_change_better(refresh, value, low, action):
    """A change is judged by the noise of rows and seeds, a refresh (same seeds) by that of rows."""
    narrow, wide = (
        lead("roc_auc", value, low=low, high=value + 0.01),
        lead("roc_auc", value, low=-1.0, high=1.0),
    )
    both = (
        {"whole": {"roc_auc": wide}, "models": narrow}
        if refresh
        else {"whole": {"roc_auc": narrow}, "models": wide}
    )
    decision = decide(evidence(**both, refresh=refresh), DEFAULT)
    assert decision.action == action
    assert broken(decision) == (set() if action == PROMOTE else {"better"})


@pytest.mark.parametrize(("useful", "action"), [("log_loss", PROMOTE), ("", REFUSE)])
def test_of_a_first_model_a_proper_score_says_whether_its_probabilities_are_of_use(useful, action):
    first = evidence(whole={}, models=None, champion=None, calibration=(None, 0.11), useful=useful)
    decision = decide(first, DEFAULT)
    assert decision.action == action
    assert broken(decision) == (set() if useful else {"calibration"})


@pytest.mark.parametrize(
    ("value", "few", "action"),
    [(-0.0049, True, PROMOTE), (-0.0101, True, REFUSE), (0.0, False, REFUSE)],
)
def test_of_few_rows_the_loss_itself_counts(value, few, action):
    difference = lead("roc_auc", value, low=value - 0.05, high=value + 0.05)
    refreshed = evidence(models=difference, refresh=True, cross_validated=few)
    decision = decide(refreshed, Gate(margin=0.5))  # wide: no other rule is to refuse it
    assert decision.action == action
    assert broken(decision) == (set() if action == PROMOTE else {"better"})


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("where", ["earlier", "holdout"])
def test_a_refit_that_is_surely_worse_than_what_was_judged_is_refused(where, task):
    metric = LIBRARY.pick(None, task)
    fair = Refit(5000, "2013-04-30", 40, lead(metric, 0.0), lead(metric, 0.03))
    assert decide(evidence(task, refit=fair), DEFAULT).action == PROMOTE
    worse = lead(metric, -0.03, low=-0.05, high=-0.02)
    decision = decide(evidence(task, refit=replace(fair, **{where: worse})), DEFAULT)
    assert decision.action == REFUSE
    assert broken(decision) == {
        "refit, earlier rows" if where == "earlier" else "refit, the holdout"
    }
    assert "refit on 5,000 rows until 2013-04-30, 40 rounds" in decision.reasons[0]
    unknown = decide(evidence(task, refit=replace(fair, **{where: UNKNOWN})), DEFAULT)
    assert unknown.action == REFUSE  # what is no number is not registered


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("slack", "refused"), [(0.03, False), (0.01, True), (0.0, True)])
def test_a_refit_may_fall_by_its_slack_on_earlier_rows_and_not_on_the_holdout(slack, refused, task):
    metric = LIBRARY.pick(None, task)
    fair = Refit(5000, "2013-04-30", 40, lead(metric, 0.0), lead(metric, 0.03), slack)
    worse = lead(metric, -0.03, low=-0.05, high=-0.02)
    decision = decide(evidence(task, refit=replace(fair, earlier=worse)), DEFAULT)
    assert broken(decision) == ({"refit, earlier rows"} if refused else set())
    decision = decide(evidence(task, refit=replace(fair, holdout=worse)), DEFAULT)
    assert broken(decision) == {"refit, the holdout"}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("value", "high", "refused"),
    [
        (0.01, 0.02, False),
        (-0.03, 0.001, False),  # it may be noise
        (-0.001, -0.0005, False),  # sure, and too little to matter
        (-0.03, -0.001, True),
        (NAN, NAN, True),
    ],
)
def test_a_newest_batch_that_teaches_wrong_things_is_not_learnt(value, high, refused, task):
    metric = LIBRARY.pick(None, task)
    taught = lead(metric, value, low=value - 0.01, high=high)
    refit = Refit(5000, "2013-04-30", 40, lead(metric, 0.01), lead(metric, 0.03), influence=taught)
    decision = decide(evidence(task, refit=refit), DEFAULT)
    assert decision.action == (REFUSE if refused else PROMOTE)
    assert broken(decision) == ({"refit, newest batch"} if refused else set())


def test_what_is_the_champion_itself_does_not_replace_it():
    refit = Refit(5000, "2013-04-30", 40, lead("roc_auc", 0.0), lead("roc_auc", 0.0))
    assert decide(evidence(refit=refit, refresh=True), DEFAULT).action == PROMOTE
    decision = decide(evidence(refit=replace(refit, same=True), refresh=True), DEFAULT)
    assert broken(decision) == {"refit, new"}
    assert "there is no new data" in decision.reasons[0]


def test_a_model_without_luck_needs_no_second_seed():
    told = evidence(
        by_seed={"champion": (0.5, 0.51), "challenger": (0.52,)}, seedless=("challenger",)
    )
    decision = decide(told, DEFAULT)
    assert decision.action == PROMOTE
    assert says(decision, "seeds") == "champion: 2 seeds, challenger: no luck in its training"
    assert decide(replace(told, seedless=()), DEFAULT).action == REFUSE


def test_where_not_even_the_simplest_beats_a_constant_nothing_can_be_learnt():
    nothing = alone(
        baselines={"constant": lead("roc_auc", 0.01, low=-0.01)},
        simplest="the linear model: as good",
    )
    decision = decide(nothing, DEFAULT)
    assert decision.action == REFUSE
    assert "nothing can be learnt from these columns so far" in decision.reasons[0]
    learnt = decide(replace(nothing, comparison=alone().comparison), DEFAULT)
    assert learnt.reasons[1] == "the linear model: as good"


def test_before_it_is_registered_nothing_is_said_of_reloading():
    assert "reload" not in [rule["name"] for rule in decide(evidence(reload=None), DEFAULT).rules]
