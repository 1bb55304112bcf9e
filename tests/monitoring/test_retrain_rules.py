"""Rules of retraining: each with a case that meets it and one that breaks it, at each edge."""

from __future__ import annotations

import pytest
from monitoring.retraining import (
    CASES,
    LOST,
    MOVED,
    NAN,
    broken,
    champion,
    day,
    decided,
    each,
    exact,
    says,
    window,
)

from evergreen.evaluation.intervals import Estimate

STALE, FRESH = Estimate(0.012, 0.004, 0.02), Estimate(0.001, -0.002, 0.004)


@pytest.mark.parametrize(("action", "windows", "rules", "reason"), CASES)
def test_each_rule(action, windows, rules, reason):
    decision = decided(windows)
    assert (decision.action, broken(decision)) == (action, rules)
    assert reason in " ".join(decision.reasons)


def test_loss_with_drift_is_not_called_concept_drift():
    decision = decided(each(**LOST, **MOVED))
    assert decision.action == "retrain"
    assert "concept drift" not in decision.as_markdown()
    assert "3 of these with a loss" in says(decision, "no drift")


def test_an_expected_metric_that_is_no_number_is_told():
    decision = decided(each(), champion(expected=exact(NAN)))
    assert decision.action == "watch"
    assert "no loss can be measured" in decision.reasons[0]


@pytest.mark.parametrize(
    ("windows", "needed", "lost", "action"),
    [
        (3, 2, 1, "watch"),
        (3, 2, 2, "retrain"),
        (1, 1, 0, "nothing"),
        (1, 1, 1, "retrain"),
        (5, 4, 2, "nothing"),
        (5, 4, 3, "watch"),
        (5, 4, 4, "retrain"),
    ],
)
def test_so_many_of_the_newest_windows_are_needed(windows, needed, lost, action):
    seen = [window(at, **(LOST if at > 5 - lost else {})) for at in range(1, 6)]
    assert decided(seen, windows=windows, needed=needed).action == action


@pytest.mark.parametrize(
    ("until", "limit", "action"),
    [(-90, 180, "nothing"), (-90.01, 180, "retrain"), (-9000, None, "nothing")],
)
def test_the_edge_of_age(until, limit, action):
    decision = decided(each(), champion(learnt_until=day(until)), max_age_days=limit)
    assert decision.action == action
    assert ("SWITCHED OFF (retrain.max_age_days)" in " ".join(decision.reasons)) == (limit is None)


@pytest.mark.parametrize(
    ("changes", "params", "name", "reason"),
    [
        (
            {"retrainings": (day(70.01),)},
            {},
            "cooldown",
            "days since the last retraining; at least 20",
        ),
        ({"new_rows": 999}, {}, "new rows", "999 labelled rows"),
        (
            {"retrainings": tuple(day(-at) for at in range(24))},
            {},
            "budget",
            "24 retraining(s) within 365 days; at most 24",
        ),
        (
            {"retrainings": (*(day(-at) for at in range(23)), day(90 - 364.99))},
            {},
            "budget",
            "24 retraining(s) within 365 days; at most 24",
        ),
        ({}, {"budget": 0}, "budget", "SWITCHED OFF (retrain.budget is 0)"),
        (
            {"retrainings": (day(90),)},
            {"cooldown_days": 0},
            "order",
            "a retraining has already used 2013-09",
        ),
        (
            {"retrainings": (day(91),)},
            {"cooldown_days": 0},
            "order",
            "the data run backwards in time",
        ),
    ],
)
def test_a_brake_turns_a_retraining_into_a_watch_and_says_why(changes, params, name, reason):
    decision = decided(each(**LOST), champion(**changes), **params)
    assert (decision.action, broken(decision)) == ("watch", {"no loss", name})
    assert reason in decision.reasons[1]
    assert "beyond noise" in decision.reasons[0]


@pytest.mark.parametrize(
    ("changes", "params"),
    [
        ({"retrainings": (day(70),)}, {}),
        ({"retrainings": ()}, {}),
        ({"new_rows": 1000}, {}),
        ({"retrainings": tuple(day(-at) for at in range(23))}, {}),
        # A year ago to the day
        ({"retrainings": (*(day(-at) for at in range(23)), day(90 - 365))}, {}),
        ({"retrainings": (day(89.99),)}, {"cooldown_days": 0}),
    ],
)
def test_the_edges_of_the_brakes(changes, params):
    assert decided(each(**LOST), champion(**changes), **params).action == "retrain"


@pytest.mark.parametrize(
    ("windows", "changes", "params", "action"),
    [
        (each(), {"retrainings": (day(69),)}, {}, "retrain"),
        (
            each(),
            {"retrainings": (day(89),)},
            {},
            "watch",
        ),  # else a champion that none replaces would use the budget up
        (each(unfit=("stale",)), {}, {}, "nothing"),
        (each(), {"new_rows": 0}, {}, "watch"),
        (each(), {}, {"budget": 1}, "watch"),
        (each(), {"retrainings": (day(90),)}, {}, "watch"),
    ],
)
def test_an_old_champion_is_retrained_whatever_else_but_for_unfit_data_and_brakes(
    windows, changes, params, action
):
    assert decided(windows, champion(learnt_until=day(-200), **changes), **params).action == action


def test_no_cooldown_is_told():
    decision = decided(each(), cooldown_days=0)
    assert decision.reasons[1:] == (says(decision, "cooldown"),)
    assert decision.reasons[1].startswith("SWITCHED OFF (retrain.cooldown_days is 0)")


def test_nothing_is_switched_off_as_shipped():
    assert "OFF" not in decided(each()).as_markdown()


@pytest.mark.parametrize(
    "reasons", [("distance is 500 in every row",), ("temp is missing in 90%", "2% bad rows")]
)
def test_a_batch_held_back_is_not_trained_on_whatever_others_show(reasons):
    """What the newest batches share has been weighed where it was held (`data/hold.py`)."""
    drifted = {"drifted": ("distance", "temp (missing)")}
    decision = decided(
        [window(1), window(2, **drifted), window(3, **LOST, **drifted, unfit=reasons)]
    )
    assert decision.action == "nothing"
    assert says(decision, "fit").endswith(f" is not fit to train on: {'; '.join(reasons)}")


def test_an_unfit_batch_proves_nothing():
    seen = [window(1, **LOST, unfit=("stale",)), window(2, **LOST), window(3)]
    assert decided(seen).action == "watch"


@pytest.mark.parametrize(
    ("windows", "action", "due"),
    [
        ([window(1), window(2, staleness=STALE)], "retrain", "fresh"),
        ([window(1), window(2, staleness=FRESH)], "nothing", None),
        # Sure, and too small
        ([window(1), window(2, staleness=Estimate(0.009, 0.007, 0.011))], "nothing", None),
        # Large, and not sure
        ([window(1), window(2, staleness=Estimate(0.015, -0.001, 0.03))], "nothing", None),
        # a fresh model has seen little of a world that has just changed: a loss asks all the same
        ([window(1, **LOST), window(2, **LOST, staleness=FRESH)], "retrain", "no loss"),
        (
            [window(at, label_drifted=True, staleness=FRESH) for at in (1, 2)],
            "retrain",
            "no label drift",
        ),
        # Not measured: the loss stands in
        ([window(1, **LOST), window(2, **LOST)], "retrain", "no loss"),
        # The newest batch counts
        ([window(1, staleness=STALE), window(2, staleness=FRESH)], "nothing", None),
        ([window(1), window(2, staleness=STALE, unfit=("odd",))], "nothing", None),
    ],
)
def test_measured_staleness_decides(windows, action, due):
    decision = decided(windows)
    assert decision.action == action
    if due:
        assert due in broken(decision)


def test_brakes_hold_a_stale_champion_too():
    decision = decided([window(1), window(2, staleness=STALE)], champion(new_rows=10))
    assert (decision.action, broken(decision)) == ("watch", {"fresh", "new rows"})


@pytest.mark.parametrize(
    ("learnt", "new", "params", "action"),
    [
        (20_000, 5_001, {}, "retrain"),
        (20_000, 5_000, {}, "nothing"),  # a quarter is allowed
        (20_000, 5_001, {"max_growth": 0.3}, "nothing"),
        (20_000, 5_001, {"max_growth": None}, "nothing"),
        (2_000, 900, {}, "watch"),  # too few rows are new, whatever their share
    ],
)
def test_a_history_that_has_grown_asks_for_a_retraining_without_any_loss(
    learnt, new, params, action
):
    decision = decided(each(1), champion(learnt_rows=learnt, new_rows=new), **params)
    assert decision.action == action
    assert ("growth" in broken(decision)) == (action in ("retrain", "watch"))


def test_that_growth_is_switched_off_is_told():
    assert says(decided(each(), max_growth=None), "growth").startswith(
        "SWITCHED OFF (retrain.max_growth)"
    )
