"""Decide: values that are missing or not numbers, margins as shares, and what is kept."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from promotion.gated import DEFAULT, NAN, UNKNOWN, alone, broken, evidence, gap, lead, says

from evergreen.decision import PROMOTE, REFUSE, Decision, Rule
from evergreen.metrics.metric import TASKS
from evergreen.params import Gate
from evergreen.promotion.compare import Difference
from evergreen.promotion.gate import approved, decide

# --- what is not a number, and what is not there


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("baseline linear", {"baselines": {"constant": lead("roc_auc"), "linear": UNKNOWN}}),
        ("no worse", {"models": UNKNOWN}),
        ("no worse in brier", {"whole": {"roc_auc": lead("roc_auc"), "brier": UNKNOWN}}),
        ("better", {"whole": {"roc_auc": UNKNOWN}}),
        ("better", {"whole": {"roc_auc": UNKNOWN}, "champion_age_days": 999.0}),
        ("better", {"whole": {"roc_auc": lead("roc_auc", low=NAN)}}),
        ("better", {"whole": {"roc_auc": lead("roc_auc", probability=NAN)}}),
        ("calibration", {"calibration": (0.02, NAN)}),
        ("calibration", {"calibration": (NAN, 0.11)}),
        ("groups", {"groups": {"member": gap(NAN)}}),
        ("groups", {"groups": {"member": gap(0.01), "age": gap(NAN)}}),
        ("groups", {"groups": {"age": gap(NAN), "member": gap(0.01)}}),
        ("reload", {"reload": NAN}),
    ],
)
def test_what_is_not_a_number_meets_no_rule(name, changes):
    decision = decide(evidence(**changes), DEFAULT)
    assert (decision.action, broken(decision)) == (REFUSE, {name})


def test_a_slice_whose_challenger_is_not_a_number_has_fallen():
    lost = Difference(0.5, NAN, NAN, NAN, NAN, NAN, NAN)
    found = decide(evidence(slices={"place=ash": lead("roc_auc"), "place=bay": lost}), DEFAULT)
    assert broken(found) == {"slices"}
    assert "place=bay" in found.reasons[0]


def test_a_slice_in_which_the_metric_is_not_defined_counts_as_too_small():
    found = decide(
        evidence("regression", slices={"place=ash": lead("rmse"), "place=bay": UNKNOWN}), DEFAULT
    )
    assert found.action == PROMOTE
    assert says(found, "slices").startswith(
        "1 looked at; 1 too small to judge; the lowest, place=ash"
    )


def test_a_champion_that_was_not_compared_is_not_replaced():
    """No fault says so, and no metric was compared: that is not the same as no champion."""
    found = decide(evidence(whole={}, models=None, slices={}), DEFAULT)
    assert found.action == REFUSE
    assert "version 3" in found.reasons[0]


def test_a_champion_that_was_compared_in_other_metrics_only_is_not_replaced():
    found = decide(evidence(whole={"brier": lead("brier")}), DEFAULT)
    assert found.action == REFUSE
    assert "roc_auc" in found.reasons[0]


def test_a_first_model_beside_no_baseline_is_not_promoted():
    found = decide(alone(baselines={}), DEFAULT)
    assert broken(found) == {"better"}
    assert "baseline" in found.reasons[0]


def test_a_first_model_that_is_within_the_noise_of_a_baseline_is_not_promoted():
    """Three draws in four above zero is a coin that fell well, no lead beyond the noise."""
    close = Difference(0.5, 0.501, 0.001, -0.003, 0.005, 0.75, 0.75)
    found = decide(alone(baselines={"constant": lead("roc_auc"), "linear": close}), DEFAULT)
    assert broken(found) == {"baseline linear"}


# --- margins as shares


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_margins_of_errors_do_not_depend_on_the_unit_of_the_label(scale):
    def scaled(difference: Difference) -> Difference:
        lengths = {
            name: getattr(difference, name) * scale
            for name in ("champion", "challenger", "value", "low", "high")
        }
        return replace(difference, **lengths)

    for share, gone in (
        (0.02, set()),
        (0.0005, {"better"}),
        (-0.02, {"better", "no worse", "slices"}),
    ):
        difference = replace(
            lead("rmse", share), low=1e-9 if share > 0 else -1.0, high=-1e-9 if share < 0 else 1.0
        )
        fall = scaled(replace(lead("rmse", 2 * share), high=-1e-9 if share < 0 else 1.0))
        found = evidence("regression", whole={"rmse": scaled(difference)},
                         models=scaled(difference), slices={"place=ash": fall},
                         baselines={"linear": scaled(lead("rmse"))})  # fmt: skip
        assert broken(decide(found, DEFAULT)) == gone


def test_a_gain_is_measured_in_the_metric_and_an_error_by_share():
    told = {task: says(decide(evidence(task), DEFAULT), "no worse") for task in TASKS}
    assert told["binary"].endswith("margin 0.005")
    assert told["regression"].endswith("margin 0.0025")


@pytest.mark.parametrize("metric", ["log_loss", "brier", "average_precision"])
def test_another_metric_may_decide(metric):
    found = evidence(metric=metric, models=lead(metric), slices={"place=ash": lead(metric)})
    decision = decide(found, Gate(metric=metric))
    assert decision.action == PROMOTE
    assert decision.reasons[0].startswith(f"better beyond the noise: {metric} ")
    assert "no worse in roc_auc" in [rule["name"] for rule in decision.rules]


# --- what is kept


@pytest.mark.parametrize("build", [evidence, alone])
def test_a_decision_is_kept_as_plain_values(build):
    decision = decide(build(), DEFAULT)
    plain = json.loads(json.dumps(decision.as_plain()))
    assert plain["action"] == PROMOTE
    assert plain["reasons"] == list(decision.reasons)
    assert plain["evidence"]["rules"] == decision.rules
    assert plain["evidence"]["gate"] == DEFAULT.model_dump()
    assert plain["evidence"]["comparison"]["by_seed"]["challenger"] == [0.52, 0.53, 0.51]


def test_the_table_shows_every_rule_and_which_are_broken():
    decision = decide(evidence(reload=0.5), DEFAULT)
    table = decision.as_markdown().splitlines()
    assert table[0] == f"**refuse**: {decision.reasons[0]}"
    assert len(table) == 4 + len(decision.rules)
    assert [line for line in table if "BROKEN" in line] == [
        f"| reload | BROKEN | {decision.reasons[0]} |"
    ]


def test_a_level_with_a_bar_in_its_name_breaks_no_table():
    decision = decide(evidence(slices={"place=ash | met | fine |": lead("roc_auc", -0.1)}), DEFAULT)
    row = next(line for line in decision.as_markdown().splitlines() if line.startswith("| slices"))
    assert row.replace("\\|", "").count("|") == 4


@pytest.mark.parametrize(
    ("override", "reason", "said"),
    [
        (False, "looks right", "approved by a person: looks right"),
        (False, "", "approved by a person: no reason given"),
        (True, "outage", "AGAINST THE GATE by a person: outage"),
    ],
)
def test_what_a_person_decides_keeps_what_the_gate_predict_folds(override, reason, said):
    refused = decide(evidence(reload=0.5), DEFAULT)
    found = approved(refused, reason, override=override)
    assert found == Decision(PROMOTE, (said, *refused.reasons), refused.evidence)


def test_values_are_frozen():
    decision = decide(evidence(), DEFAULT)
    for value, name in (
        (decision, "action"),
        (Rule("seeds", met=False, says=""), "met"),
        (evidence(), "reload"),
    ):
        with pytest.raises(AttributeError):
            setattr(value, name, True)
