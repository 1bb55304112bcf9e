"""Decide: every rule of the gate, with cases that meet it and break it, at each edge."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from promotion.gated import DEFAULT, NAN, alone, broken, evidence, gap, just, lead, says

from evergreen.decision import ASK, PROMOTE, REFUSE
from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY
from evergreen.params import Gate
from evergreen.promotion.gate import decide

# --- all rules together


@pytest.mark.parametrize("task", TASKS)
def test_what_meets_every_rule_is_promoted_with_its_lead_as_the_reason(task):
    decision = decide(evidence(task), DEFAULT)
    metric = LIBRARY.pick(None, task)
    assert (decision.action, broken(decision)) == (PROMOTE, set())
    assert decision.reasons == (says(decision, "better"),)
    assert decision.reasons[0].startswith(f"better beyond the noise: {metric} ")
    assert [rule["name"] for rule in decision.rules] == [
        "seeds", "baseline constant", "baseline linear", "no worse",
        *(f"no worse in {name}" for name in [*LIBRARY.of(task)][1:]),
        "better", "slices", "calibration", "groups", "reload",
    ]  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_where_no_champion_lives_the_first_that_passes_becomes_it(task):
    decision = decide(alone(task), DEFAULT)
    assert decision.action == PROMOTE
    assert decision.reasons == (
        "there is no champion that works: the first that passes becomes it",
    )


BROKEN = [
    (
        "comparable",
        {"faults": ("it cannot be compared: 7 rows were learnt",)},
        "7 rows were learnt",
    ),
    (
        "seeds",
        {"by_seed": {"champion": (0.5,), "challenger": (0.5, 0.5, 0.5)}},
        "the champion has 1 trained seed(s)",
    ),
    (
        "seeds",
        {"by_seed": {"champion": (0.5, 0.5), "challenger": ()}, "seeds_expected": 0},
        "the challenger has 0",
    ),
    ("seeds", {"seeds_expected": 5}, "2 of 5 seeds failed"),
    (
        "baseline linear",
        {"baselines": {"linear": lead("roc_auc", -0.01)}},
        "not probably better than the linear",
    ),
    ("no worse", {"models": lead("roc_auc", -0.01)}, "margin 0.005"),
    (
        "no worse in brier",
        {"whole": {"roc_auc": lead("roc_auc"), "brier": lead("brier", -0.1)}},
        "brier 0.5500 ag",
    ),
    ("better", {"whole": {"roc_auc": lead("roc_auc", 0.0)}}, "not better enough, less than 0.001"),
    (
        "better",
        {"whole": {"roc_auc": lead("roc_auc", 0.002)}},
        "not better enough, within the noise",
    ),
    (
        "better",
        {"whole": {"roc_auc": lead("roc_auc", probability=0.7)}},
        "not better enough, less sure than 0.75",
    ),
    (
        "slices",
        {"slices": {"place=ash": lead("roc_auc", -0.04)}},
        "beyond its noise: place=ash: roc_auc 0.4600",
    ),
    (
        "calibration",
        {"calibration": (0.03, 0.2)},
        "calibration error 0.2000 (champion 0.0300), at most 0.1",
    ),
    (
        "groups",
        {"groups": {"member": gap(0.02), "age": gap(0.3)}},
        "0.300 by age, surely 0.300, at most 0.1",
    ),
    ("reload", {"reload": 1e-9}, "predicts otherwise, by up to 1e-09"),
]


@pytest.mark.parametrize(("name", "changes", "reason"), BROKEN)
def test_one_broken_rule_refuses_and_says_why(name, changes, reason):
    decision = decide(evidence(**changes), DEFAULT)
    assert (decision.action, broken(decision)) == (REFUSE, {name})
    assert len(decision.reasons) == 1
    assert reason in decision.reasons[0]


@pytest.mark.parametrize(("name", "changes", "reason"), BROKEN)
def test_a_refusal_is_no_question_for_a_person(name, changes, reason):
    assert decide(evidence(**changes), Gate(approval="manual")).action == REFUSE


def test_every_broken_rule_is_told():
    decision = decide(
        evidence(reload=1.0, groups={"member": gap(0.5)}, calibration=(0.0, 0.3)), DEFAULT
    )
    assert broken(decision) == {"reload", "groups", "calibration"}
    assert decision.reasons == tuple(rule["says"] for rule in decision.rules if not rule["met"])


@pytest.mark.parametrize("build", [evidence, alone])
def test_a_person_is_asked_where_approval_is_manual(build):
    decision = decide(build(), Gate(approval="manual"))
    assert (decision.action, decision.reasons) == (ASK, decide(build(), DEFAULT).reasons)


# --- each edge


EDGES = [
    ("better", {"value": 0.001, "low": 1e-9}, True),  # min_gain itself is enough
    ("better", {"value": just(0.001, 0), "low": 1e-9}, False),
    ("better", {"low": 5e-324}, True),
    ("better", {"low": 0.0}, False),
    ("better", {"probability": 0.75}, True),
    ("better", {"probability": just(0.75, 0)}, False),
]


@pytest.mark.parametrize(("name", "values", "met"), EDGES)
def test_the_edges_of_better(name, values, met):
    decision = decide(evidence(whole={"roc_auc": replace(lead("roc_auc"), **values)}), DEFAULT)
    assert broken(decision) == (set() if met else {name})


@pytest.mark.parametrize(
    ("task", "value", "met"),
    [
        ("binary", -0.005, True),
        ("binary", just(-0.005, -1), False),
        ("regression", -0.0025, True),  # a share of the champion's rmse of 0.5
        ("regression", just(-0.0025, -1), False),
    ],
)
def test_the_edge_of_no_worse(task, value, met):
    difference = replace(lead(LIBRARY.pick(None, task)), value=value)
    assert broken(decide(evidence(task, models=difference), DEFAULT)) == (
        set() if met else {"no worse"}
    )


@pytest.mark.parametrize(
    ("task", "name", "high", "met"),
    [
        ("binary", "average_precision", -0.005, True),
        ("binary", "average_precision", just(-0.005, -1), False),
        ("binary", "log_loss", -0.0025, True),
        ("binary", "log_loss", just(-0.0025, -1), False),
        ("regression", "r2", -0.005, True),
        ("regression", "r2", just(-0.005, -1), False),
        ("regression", "mae", -0.0025, True),
        ("regression", "mae", just(-0.0025, -1), False),
        ("multiclass", "balanced_accuracy", just(-0.005, -1), False),
        ("multiclass", "log_loss", just(-0.0025, -1), False),
    ],
)
def test_the_edge_of_no_worse_in_another_metric(task, name, high, met):
    metric = LIBRARY.pick(None, task)
    difference = replace(lead(name), value=-0.1, low=-0.2, high=high)
    found = decide(evidence(task, whole={metric: lead(metric), name: difference}), DEFAULT)
    assert broken(found) == (set() if met else {f"no worse in {name}"})


@pytest.mark.parametrize(
    ("reload", "met"), [(0.0, True), (5e-324, False), (math.inf, False), (NAN, False)]
)
def test_the_edge_of_reload(reload, met):
    assert broken(decide(evidence(reload=reload), DEFAULT)) == (set() if met else {"reload"})


@pytest.mark.parametrize(
    ("champion", "challenger", "expected", "met"),
    [
        (2, 2, 2, True),
        (1, 2, 2, False),
        (2, 1, 1, False),
        (2, 1, 2, False),
        (2, 3, 4, False),
        (9, 10, 10, True),
    ],
)
def test_the_edges_of_seeds(champion, challenger, expected, met):
    by_seed = {"champion": (0.5,) * champion, "challenger": (0.6,) * challenger}
    found = decide(evidence(by_seed=by_seed, seeds_expected=expected), DEFAULT)
    assert broken(found) == (set() if met else {"seeds"})


def test_a_first_model_of_one_seed_is_refused():
    found = decide(alone(by_seed={"challenger": (0.9,)}, seeds_expected=1), DEFAULT)
    assert broken(found) == {"seeds"}
    assert "nobody can tell luck from progress; raise sweep.seeds" in found.reasons[0]


@pytest.mark.parametrize(
    ("value", "low", "probability", "beside", "first"),
    [
        (0.001, 1e-9, 0.99, True, True),
        # A champion that is worse than a baseline must not stay for that
        (0.02, -0.01, 0.75, True, False),
        (0.02, -0.01, just(0.75, 0), False, False),
        (0.0, -0.004, 0.75, False, False),
        (-0.1, -0.2, 0.99, False, False),
    ],
)
def test_every_baseline_must_be_beaten_surely_by_a_first_model_and_probably_by_any(
    value, low, probability, beside, first
):
    difference = replace(lead("roc_auc"), value=value, low=low, probability=probability)
    for build, met in ((evidence, beside), (alone, first)):
        found = decide(
            build(baselines={"constant": lead("roc_auc"), "linear": difference}), DEFAULT
        )
        assert broken(found) == (set() if met else {"baseline linear"})


@pytest.mark.parametrize(
    ("low", "high", "met"), [(-0.04, 0.0, True), (0.01, 0.02, True), (-0.04, -1e-9, False)]
)
def test_a_refresh_is_refused_only_where_it_is_surely_worse_than_the_linear_model(low, high, met):
    """Else the same trees would stay, of older data."""
    difference = replace(
        lead("roc_auc"), value=(low + high) / 2, low=low, high=high, probability=0.3
    )
    found = decide(
        evidence(baselines={"constant": lead("roc_auc"), "linear": difference}, refresh=True),
        DEFAULT,
    )
    assert broken(found) == (set() if met else {"baseline linear"})


def test_a_refresh_has_to_beat_the_constant_as_any_challenger():
    difference = replace(lead("roc_auc"), value=0.01, low=-0.01, probability=0.7)
    assert broken(decide(evidence(baselines={"constant": difference}, refresh=True), DEFAULT)) == {
        "baseline constant"
    }


# --- an old champion


@pytest.mark.parametrize(
    ("task", "age", "low", "met", "told"),
    [
        (
            "binary",
            just(180, 181),
            -0.005,
            True,
            "180 days older (at most 180), and the challenger is no worse",
        ),
        ("binary", 181.0, just(-0.005, -1), False, "but the challenger may be worse by over 0.005"),
        ("binary", 180.0, -0.005, False, "not better enough"),
        ("binary", None, -0.005, False, "not better enough"),
        ("binary", -5.0, -0.005, False, "not better enough"),
        ("regression", 181.0, -0.0025, True, "and the challenger is no worse"),
        (
            "regression",
            181.0,
            just(-0.0025, -1),
            False,
            "but the challenger may be worse by over 0.0025",
        ),
        ("binary", NAN, 0.0, False, "not better enough"),
    ],
)
def test_an_old_champion_yields_to_what_is_no_worse(task, age, low, met, told):
    metric = LIBRARY.pick(None, task)
    difference = replace(lead(metric, -0.0001), low=low, probability=0.4)
    decision = decide(evidence(task, whole={metric: difference}, champion_age_days=age), DEFAULT)
    assert broken(decision) == (set() if met else {"better"})
    assert told in says(decision, "better")


def test_an_old_champion_is_no_excuse_for_another_rule():
    old = evidence(champion_age_days=999.0, slices={"place=ash": lead("roc_auc", -0.1)}, reload=1.0)
    assert broken(decide(old, DEFAULT)) == {"slices", "reload"}


def test_age_does_not_count_where_it_is_switched_off():
    difference = replace(lead("roc_auc", 0.0), low=0.0)
    assert broken(
        decide(
            evidence(whole={"roc_auc": difference}, champion_age_days=9e9), Gate(max_age_days=None)
        )
    ) == {"better"}


# --- switched off

OFF = [
    ("slices", "slice_margin", {"slices": {"place=ash": lead("roc_auc", -0.4)}}),
    ("calibration", "max_calibration_error", {"calibration": (0.0, 0.9)}),
    ("groups", "max_group_difference", {"groups": {"member": gap(1.0)}}),
    ("age", "max_age_days", {}),
]


@pytest.mark.parametrize(("name", "key", "changes"), OFF)
def test_a_rule_that_is_switched_off_lets_pass_and_says_so_loudly(name, key, changes):
    decision = decide(evidence(**changes), Gate(**{key: None}))
    assert decision.action == PROMOTE
    assert f"SWITCHED OFF (gate.{key})" in says(decision, name)
    # What the log and history show
    assert any(f"SWITCHED OFF (gate.{key})" in reason for reason in decision.reasons)
    assert f"SWITCHED OFF (gate.{key})" in decision.as_markdown()


@pytest.mark.parametrize(("name", "key", "changes"), OFF[:3])
def test_a_rule_that_is_switched_off_would_have_refused(name, key, changes):
    assert broken(decide(evidence(**changes), DEFAULT)) == {name}


def test_nothing_is_switched_off_as_shipped():
    assert "OFF" not in decide(evidence(), DEFAULT).as_markdown()


def test_what_was_switched_off_before_is_told_of_a_promotion_and_of_a_refusal():
    notes = ("leaks.max_duplicates is null: nothing was compared",)
    assert decide(evidence(notes=notes), DEFAULT).reasons[1:] == notes
    refused = decide(evidence(notes=notes, reload=1.0), DEFAULT)
    assert refused.action == REFUSE
    assert notes[0] in [rule["says"] for rule in refused.rules]
