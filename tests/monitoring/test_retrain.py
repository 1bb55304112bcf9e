"""Retrain: every rule with a case that meets it and one that breaks it, at each edge; and what must never matter."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.decision import Decision
from evergreen.errors import InputError
from evergreen.evaluation.metrics import Estimate
from evergreen.monitoring.retrain import Life, Window, decide_retraining, find_loss
from evergreen.params import Retrain

NAN = float("nan")
START = datetime(2013, 6, 1)  # noqa: DTZ001
DEFAULT = Retrain()


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def around(value: float, wide: float = 0.005) -> Estimate:
    return Estimate(value, value - wide, value + wide)


GOOD, BAD = around(0.7), around(0.65)


def window(at: int, **changes: Any) -> Window:
    """The batch of month `at` after the champion's newest row: labelled, and as expected."""
    known: dict[str, Any] = {
        "batch": f"2013-{6 + at:02}",
        "end": day(30 * at),
        "rows": 900,
        "labelled": 900,
    }
    return Window(**known | {"real": GOOD} | changes)


def unlabelled(at: int, **changes: Any) -> Window:
    return window(at, **{"labelled": 0, "real": None} | changes)


def life(**changes: Any) -> Life:
    known: dict[str, Any] = {
        "version": "3",
        "learnt_until": START,
        "expected": GOOD,
        "metric": "roc_auc",
    }
    return Life(
        **known | {"retrainings": (START,), "new_rows": 5000, "learnt_rows": 50_000} | changes
    )


def each(count: int = 3, **changes: Any) -> list[Window]:
    return [window(at + 1, **changes) for at in range(count)]


def decided(seen: list[Window], what: Life | None = None, **params: Any) -> Decision:
    return decide_retraining(seen, what or life(), Retrain(**params))


def broken(decision: Decision) -> set[str]:
    return {rule["name"] for rule in decision.rules if not rule["met"]}


def says(decision: Decision, name: str) -> str:
    return next(rule["says"] for rule in decision.rules if rule["name"] == name)


# --- all rules
# --------------------------------------------------------------------------------------------------

NAMES = [
    "new batch", "fit", "fresh", "no loss", "no label drift", "no expected loss", "growth", "age", "no drift", "no sign", "order",
    "cooldown", "new rows", "budget",
]  # fmt: skip


def test_where_all_is_well_nothing_is_done_and_every_rule_is_shown():
    decision = decided(each())
    assert (decision.action, broken(decision)) == ("nothing", set())
    assert decision.reasons == ("nothing speaks against the champion, version 3",)
    assert [rule["name"] for rule in decision.rules] == NAMES


LOST, MOVED = {"real": BAD}, {"drifted": ("distance",)}
UNSURE = Estimate(0.65, 0.5, 0.8)
GUESSED = {"labelled": 0, "real": None, "estimated": BAD}
CASES: list[tuple[str, list[Window], set[str], str]] = [
    ("retrain", [window(1), window(2, **LOST), window(3, **LOST)], {"no loss"}, "(concept drift)"),
    ("retrain", [window(1, **LOST), window(2), window(3, **LOST)], {"no loss"}, "2 of the newest 3 batch"),
    ("retrain", [window(1, **LOST), window(2, **LOST), unlabelled(3)], {"no loss"}, "with labels; needed are 2"),
    ("watch", [window(1), window(2), window(3, **LOST)], {"no sign"}, "one more batch with loss is enough"),
    ("nothing", [window(1, **LOST), *(window(at) for at in (2, 3, 4))], set(), "nothing speaks"),
    ("watch", [window(1), window(2, **MOVED), window(3, **MOVED)], {"no drift"}, "drifted, but no loss was seen"),
    ("watch", [window(1), window(2), window(3, **MOVED)], {"no sign"}, "one more batch with drift of inputs"),
    ("watch", [window(1), *(window(at, together=True) for at in (2, 3))], {"no drift"}, "no loss was seen"),
    ("watch", [window(1), *(window(at, prediction_drifted=True) for at in (2, 3))], {"no drift"}, "no loss was seen"),
    ("retrain", [window(1), *(window(at, label_drifted=True) for at in (2, 3))], {"no label drift"}, "label drifted"),
    ("watch", [window(1), window(2), window(3, label_drifted=True)], {"no sign"}, "one more batch with label drift"),
    ("retrain", [window(at, **GUESSED, **MOVED) for at in (1, 2)], {"no expected loss", "no drift"}, "by estimate"),
    ("watch", [window(at, **GUESSED) for at in (1, 2)], {"no sign"}, "expected though inputs did not drift"),
    ("watch", [unlabelled(at, estimated=GOOD, **MOVED) for at in (1, 2)], {"no drift"}, "but no loss is expected"),
    ("watch", [unlabelled(at, **MOVED) for at in (1, 2)], {"no drift"}, "neither labels nor an estimate"),
    ("watch", [unlabelled(at, estimated=UNSURE, **MOVED) for at in (1, 2)], {"no drift"}, "no loss is"),
    # Labels decide
    ("watch", [window(at, estimated=BAD, **MOVED) for at in (1, 2)], {"no drift"}, "no loss was seen"),
    ("retrain", [window(1, **LOST, **MOVED), window(2, **GUESSED, **MOVED)],
     {"no expected loss", "no drift", "no sign"}, "by estimate"),
    ("nothing", [window(1), window(2), window(3, unfit=("2% bad rows",))], {"fit"}, "not fit to train on: 2% b"),
    ("nothing", [window(at, **LOST, unfit=("stale",)) for at in (1, 2, 3)], {"fit"}, "not fit"),
    ("nothing", [], {"new batch"}, "no batch is newer than what the champion, version 3"),
    ("nothing", [window(0, **LOST), window(-1, **LOST)], {"new batch"}, "2 batch(es) end no later"),
    ("nothing", [window(0, **LOST), window(-1, **LOST), window(1)], set(), "nothing speaks"),
]  # fmt: skip


@pytest.mark.parametrize(("action", "windows", "rules", "reason"), CASES)
def test_each_rule(action, windows, rules, reason):
    decision = decided(windows)
    assert (decision.action, broken(decision)) == (action, rules)
    assert reason in " ".join(decision.reasons)


@pytest.mark.parametrize(("action", "windows", "rules", "reason"), CASES)
def test_neither_order_nor_a_flood_of_the_same_windows_plays_a_part(action, windows, rules, reason):
    decision = decided(windows)
    assert decided(windows[::-1]) == decision
    assert decided(windows * 50) == decision


def test_loss_with_drift_is_not_called_concept_drift():
    decision = decided(each(**LOST, **MOVED))
    assert decision.action == "retrain"
    assert "concept drift" not in decision.as_markdown()
    assert "3 of these with a loss" in says(decision, "no drift")


# --- edges
# --------------------------------------------------------------------------------------------------


def exact(value: float, wide: float = 0.0) -> Estimate:
    return Estimate(value, value - wide, value + wide)


@pytest.mark.parametrize(
    ("metric", "expected", "real", "min_loss", "lost"),
    [
        # The smallest loss that matters is enough
        ("roc_auc", exact(0.75), exact(0.625), 0.125, True),
        ("roc_auc", exact(0.75), exact(math.nextafter(0.625, 1)), 0.125, False),
        ("roc_auc", exact(0.75), exact(0.875), 0.125, False),
        ("roc_auc", exact(0.75, 0.09), exact(0.5, 0.1), 0.125, True),
        # Each sure alone, not both together
        ("roc_auc", exact(0.75, 0.2), exact(0.5, 0.2), 0.125, False),
        ("rmse", exact(8.0), exact(9.0), 0.125, True),  # errors: a share of what was expected
        ("rmse", exact(8.0), exact(8.99), 0.125, False),
        ("rmse", exact(8.0), exact(7.0), 0.125, False),
        ("log_loss", exact(0.5, 0.2), exact(0.8, 0.25), 0.125, False),
        ("roc_auc", exact(0.75), exact(0.75), 0.0, False),
        ("roc_auc", exact(0.75), exact(NAN), 0.0, False),
        ("roc_auc", exact(NAN), exact(0.5), 0.0, False),
    ],
)
def test_the_edges_of_a_loss(metric, expected, real, min_loss, lost):
    decision = decided(each(real=real), life(metric=metric, expected=expected), min_loss=min_loss)
    assert ("no loss" in broken(decision)) == lost
    assert (decision.action == "retrain") == lost


def test_noise_of_both_estimates_is_added_by_squares():
    loss = find_loss("roc_auc", Estimate(0.8, 0.77, 0.83), Estimate(0.7, 0.66, 0.74))
    assert (loss.value, loss.low, loss.high) == pytest.approx((0.1, 0.05, 0.15))
    assert find_loss("rmse", Estimate(2.0, 1.7, 2.0), Estimate(3.0, 2.6, 3.0)).low == pytest.approx(
        0.6
    )


def test_an_expected_metric_that_is_no_number_is_told():
    decision = decided(each(), life(expected=exact(NAN)))
    assert decision.action == "watch"
    assert "no loss can be seen" in decision.reasons[0]


@pytest.mark.parametrize(
    ("windows", "needed", "lost", "action"),
    [(3, 2, 1, "watch"), (3, 2, 2, "retrain"), (1, 1, 0, "nothing"), (1, 1, 1, "retrain"), (5, 4, 2, "nothing"),
     (5, 4, 3, "watch"), (5, 4, 4, "retrain")],
)  # fmt: skip
def test_so_many_of_the_newest_windows_are_needed(windows, needed, lost, action):
    seen = [window(at, **(LOST if at > 5 - lost else {})) for at in range(1, 6)]
    assert decided(seen, windows=windows, needed=needed).action == action


@pytest.mark.parametrize(
    ("until", "limit", "action"),
    [(-90, 180, "nothing"), (-90.01, 180, "retrain"), (-9000, None, "nothing")],
)
def test_the_edge_of_age(until, limit, action):
    decision = decided(each(), life(learnt_until=day(until)), max_age_days=limit)
    assert decision.action == action
    assert ("SWITCHED OFF (retrain.max_age_days)" in " ".join(decision.reasons)) == (limit is None)


@pytest.mark.parametrize(
    ("changes", "params", "name", "reason"),
    [
        (
            {"retrainings": (day(70.01),)},
            {},
            "cooldown",
            "days since the last retraining, at least 20",
        ),
        ({"new_rows": 999}, {}, "new rows", "999 labelled rows"),
        (
            {"retrainings": tuple(day(-at) for at in range(24))},
            {},
            "budget",
            "24 retraining(s) within 365 days, at most 24",
        ),
        ({}, {"budget": 0}, "budget", "SWITCHED OFF (retrain.budget is 0)"),
        (
            {"retrainings": (day(90),)},
            {"cooldown_days": 0},
            "order",
            "a retraining with 2013-09 was made already",
        ),
        (
            {"retrainings": (day(91),)},
            {"cooldown_days": 0},
            "order",
            "the clock of the data runs backwards",
        ),
    ],
)
def test_a_brake_turns_a_retraining_into_a_watch_and_says_why(changes, params, name, reason):
    decision = decided(each(**LOST), life(**changes), **params)
    assert (decision.action, broken(decision)) == ("watch", {"no loss", name})
    assert reason in decision.reasons[1]
    assert "beyond noise" in decision.reasons[0]


@pytest.mark.parametrize(
    ("changes", "params"),
    [
        ({"retrainings": (day(70),)}, {}),
        ({"retrainings": ()}, {}),
        ({"new_rows": 1000}, {}),
        ({"retrainings": tuple(day(-at) for at in range(11))}, {}),
        # A year ago to the day
        ({"retrainings": (*(day(-at) for at in range(11)), day(90 - 365))}, {}),
        ({"retrainings": (day(89.99),)}, {"cooldown_days": 0}),
    ],
)
def test_the_edges_of_the_brakes(changes, params):
    assert decided(each(**LOST), life(**changes), **params).action == "retrain"


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
    assert decided(windows, life(learnt_until=day(-200), **changes), **params).action == action


def test_no_cooldown_is_told():
    decision = decided(each(), cooldown_days=0)
    assert decision.reasons[1:] == (says(decision, "cooldown"),)
    assert decision.reasons[1].startswith("SWITCHED OFF (retrain.cooldown_days is 0)")


def test_nothing_is_switched_off_as_shipped():
    assert "OFF" not in decided(each()).as_markdown()


# --- fit
# --------------------------------------------------------------------------------------------------


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


# --- order
# --------------------------------------------------------------------------------------------------


def test_the_newest_entry_of_a_batch_counts_and_of_these_the_one_with_most_labels():
    early = [unlabelled(at, **MOVED) for at in (1, 2, 3)]
    late = [window(at, **LOST) for at in (1, 2, 3)]
    assert decided([*late, *early]).action == "retrain"
    longer = [replace(one, end=one.end + timedelta(hours=1)) for one in early]
    assert decided([*late, *longer]).action == "watch"


def test_a_late_batch_counts_at_its_own_time():
    decision = decided([window(1), window(3), window(4), window(2, **LOST), window(5, **LOST)])
    assert decision.action == "watch"
    assert "2013-11 is newer" in says(decision, "new batch")


def test_times_with_and_without_zone_are_an_error_and_all_with_zone_are_not():
    zoned = [replace(one, end=one.end.replace(tzinfo=UTC)) for one in each(**LOST)]
    with pytest.raises(
        InputError, match=r"with a time zone .* and without .* give all batches times of one kind"
    ):
        decided(zoned)
    start = START.replace(tzinfo=UTC)
    assert decided(zoned, life(learnt_until=start, retrainings=(start,))).action == "retrain"


# --- properties
# --------------------------------------------------------------------------------------------------

values = st.one_of(st.none(), st.floats(0.5, 0.75).map(around))
windows_of = st.lists(
    st.builds(
        lambda at, real, estimated, drifted, moved, unfit: window(
            at, real=real, labelled=900 * (real is not None), estimated=estimated, drifted=("a",) * drifted,
            label_drifted=moved, unfit=("stale",) * unfit,
        ),
        st.integers(-1, 8), values, values, st.booleans(), st.booleans(), st.integers(0, 9).map(lambda at: at == 9),
    ),
    max_size=8,
)  # fmt: skip
ACTIONS = ("nothing", "watch", "retrain")


@given(windows_of, st.floats(0, 0.3))
@settings(deadline=None, max_examples=200)
def test_more_loss_never_makes_it_less_urgent(seen, more):
    def worse(one: Estimate | None) -> Estimate | None:
        return one and Estimate(one.value - more, one.low - more, one.high - more)

    # One entry of each batch: else another may come to count
    order = {one.batch: one for one in seen}
    fallen = [
        replace(one, real=worse(one.real), estimated=worse(one.estimated)) for one in order.values()
    ]
    before, after = decided(list(order.values())), decided(fallen)
    assert ACTIONS.index(after.action) >= (2 if before.action == "retrain" else 0)


@given(windows_of, st.randoms())
@settings(deadline=None, max_examples=100)
def test_the_order_of_the_input_plays_no_part(seen, chance):
    shuffled = [*seen, *seen]
    chance.shuffle(shuffled)
    assert decided(shuffled) == decided(seen)


# --- what is kept
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("windows", [each(), each(**LOST), []])
def test_a_decision_is_kept_as_plain_values(windows):
    decision = decided(windows)
    plain = json.loads(json.dumps(decision.as_plain()))
    assert plain["evidence"]["rules"] == decision.rules
    assert plain["evidence"]["retrain"] == DEFAULT.model_dump()
    assert [one["batch"] for one in plain["evidence"]["windows"]] == [one.batch for one in windows]
    assert plain["evidence"]["life"]["learnt_until"] == START.isoformat()
    assert len(decision.as_markdown().splitlines()) == 4 + len(decision.rules)


def test_values_are_frozen():
    for one, name in (
        (window(1), "rows"),
        (life(), "version"),
        (find_loss("mae", GOOD, BAD), "low"),
    ):
        with pytest.raises(AttributeError):
            setattr(one, name, 1)


# --- what staleness costs
# -----------------------------------------------------------------------------------------------

STALE, FRESH = Estimate(0.012, 0.004, 0.02), Estimate(0.001, -0.002, 0.004)


@pytest.mark.parametrize(
    ("windows", "action", "due"),
    [
        ([window(1), window(2, staleness=STALE)], "retrain", "fresh"),
        ([window(1), window(2, staleness=FRESH)], "nothing", None),
        # Sure, and too small
        ([window(1), window(2, staleness=Estimate(0.009, 0.007, 0.011))], "nothing", None),
        # Large, and not sure
        ([window(1), window(2, staleness=Estimate(0.015, -0.001, 0.03))], "nothing", None),
        # a scout has seen little of a world that has just changed: a loss asks all the same
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
    decision = decided([window(1), window(2, staleness=STALE)], life(new_rows=10))
    assert (decision.action, broken(decision)) == ("watch", {"fresh", "new rows"})


# --- a history that has grown
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("learnt", "new", "params", "action"),
    [
        (20_000, 5_000, {}, "retrain"),
        (20_001, 5_000, {}, "nothing"),
        (20_000, 5_000, {"max_growth": 0.3}, "nothing"),
        (20_000, 5_000, {"max_growth": None}, "nothing"),
        (2_000, 900, {}, "watch"),  # too few rows are new, whatever their share
    ],
)
def test_a_history_that_has_grown_asks_for_a_retraining_without_any_loss(
    learnt, new, params, action
):
    decision = decided(each(1), life(learnt_rows=learnt, new_rows=new), **params)
    assert decision.action == action
    assert ("growth" in broken(decision)) == (action in ("retrain", "watch"))


def test_that_growth_is_switched_off_is_told():
    assert says(decided(each(), max_growth=None), "growth").startswith(
        "SWITCHED OFF (retrain.max_growth)"
    )
