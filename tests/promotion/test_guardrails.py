"""Guardrails: slices, calibration and groups at each edge."""

from __future__ import annotations

from dataclasses import replace

import pytest
from promotion.gated import DEFAULT, broken, evidence, gap, just, lead, says

from evergreen.decision import PROMOTE
from evergreen.metrics.table import LIBRARY
from evergreen.promotion.gate import decide


@pytest.mark.parametrize(
    ("task", "value", "high", "met"),
    [
        ("binary", -0.03, -1e-9, True),  # no further than the margin
        ("binary", just(-0.03, -1), -1e-9, False),
        ("binary", -0.3, 0.0, True),  # within its noise
        ("binary", -0.3, -5e-324, False),
        ("regression", -0.015, -1e-9, True),
        ("regression", just(-0.015, -1), -1e-9, False),
    ],
)
def test_the_edges_of_slices(task, value, high, met):
    metric = LIBRARY.pick(None, task)
    slices = {
        "place=ash": lead(metric),
        "place=bay": replace(lead(metric), value=value, low=-0.5, high=high),
    }
    found = decide(evidence(task, slices=slices), DEFAULT)
    assert broken(found) == (set() if met else {"slices"})
    assert "place=bay" in says(found, "slices")  # the lowest is named, fallen or not


def test_one_slice_that_falls_is_enough_and_all_that_fall_are_named():
    good, bad = lead("roc_auc"), lead("roc_auc", -0.1)
    slices = {f"place={at}": good for at in range(58)} | {"place=58": bad, "place=59": bad}
    found = decide(evidence(slices=slices), DEFAULT)
    assert broken(found) == {"slices"}
    assert "place=58: " in found.reasons[0]
    assert "place=59: " in found.reasons[0]
    assert "place=57" not in found.reasons[0]


@pytest.mark.parametrize(
    ("slices", "told"),
    [
        ({}, "no slice to compare"),
        ({"place=ash": None}, "no slice to compare"),
        ({"place=ash": lead("roc_auc")}, "1 looked at; the lowest, place=ash"),
        (
            {"place=ash": lead("roc_auc"), "place=bay": None},
            "1 looked at; 1 too small to judge; the lowest, place=ash",
        ),
    ],
)
def test_what_is_said_of_few_slices(slices, told):
    decision = decide(evidence(slices=slices), DEFAULT)
    assert decision.action == PROMOTE
    assert says(decision, "slices").startswith(told)


@pytest.mark.parametrize(
    ("champion", "challenger", "met"),
    [
        (None, 0.1, True),
        (None, just(0.1, 1), False),
        (0.02, 0.1, True),
        (0.02, just(0.1, 1), False),
        (0.3, 0.3, True),  # the champion is no better
        (0.3, 0.005 + 0.3, True),  # nor by a margin that matters
        (0.3, just(0.005 + 0.3, 1), False),
    ],
)
def test_the_edges_of_calibration(champion, challenger, met):
    found = decide(evidence(calibration=(champion, challenger)), DEFAULT)
    assert broken(found) == (set() if met else {"calibration"})


@pytest.mark.parametrize(("largest", "met"), [(0.1, True), (just(0.1, 1), False)])
def test_the_edge_of_groups(largest, met):
    assert broken(decide(evidence(groups={"member": gap(largest)}), DEFAULT)) == (
        set() if met else {"groups"}
    )


def test_a_difference_between_groups_that_may_be_noise_stops_nothing():
    assert broken(decide(evidence(groups={"member": gap(0.05, value=0.4)}), DEFAULT)) == set()


@pytest.mark.parametrize(
    ("asked", "unanswered", "met"),
    [
        ("required", (), True),
        ("required", ("purpose", "licence"), False),
        ("optional", ("purpose",), None),  # there is no such rule
    ],
)
def test_unanswered_questions_stop_a_promotion_where_answers_are_required(asked, unanswered, met):
    gate = DEFAULT.model_copy(update={"datasheet": asked})
    found = decide(evidence(), gate, unanswered=unanswered)
    rules = {rule["name"]: rule["met"] for rule in found.rules}
    assert rules.get("datasheet") is met
    assert (found.action == PROMOTE) == (met is not False)
    if met is False:
        assert "2 questions unanswered (purpose, licence)" in says(found, "datasheet")
