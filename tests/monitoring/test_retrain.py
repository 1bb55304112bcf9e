"""Retrain: every rule with a case that meets it and one that breaks it, at each edge; and what must
never matter.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from monitoring.retraining import (
    BAD,
    CASES,
    GOOD,
    LOST,
    START,
    around,
    broken,
    champion,
    decided,
    each,
    unlabelled,
    window,
)

from evergreen.errors import InputError
from evergreen.evaluation.intervals import Estimate
from evergreen.metrics.table import LIBRARY
from evergreen.monitoring.windows import find_loss
from evergreen.params import Retrain

DEFAULT = Retrain()


# --- all rules

NAMES = [
    "new batch",
    "fit",
    "fresh",
    "no loss",
    "no label drift",
    "no expected loss",
    "growth",
    "age",
    "no drift",
    "no sign",
    "order",
    "cooldown",
    "new rows",
    "budget",
]


# --- edges


# --- properties

values = st.one_of(st.none(), st.floats(0.5, 0.75).map(around))
windows_of = st.lists(
    st.builds(
        lambda at, real, estimated, drifted, moved, unfit: window(
            at,
            real=real,
            labelled=900 * (real is not None),
            estimated=estimated,
            drifted=("a",) * drifted,
            label_drifted=moved,
            unfit=("stale",) * unfit,
        ),
        st.integers(-1, 8),
        values,
        values,
        st.booleans(),
        st.booleans(),
        st.integers(0, 9).map(lambda at: at == 9),
    ),
    max_size=8,
)
ACTIONS = ("nothing", "watch", "retrain")


# --- a history that has grown


def test_where_all_is_well_nothing_is_done_and_every_rule_is_shown():
    decision = decided(each())
    assert (decision.action, broken(decision)) == ("nothing", set())
    assert decision.reasons == ("no reason to replace the champion, version 3",)
    assert [rule["name"] for rule in decision.rules] == NAMES


@pytest.mark.parametrize(("action", "windows", "rules", "reason"), CASES)
def test_neither_order_nor_a_flood_of_the_same_windows_plays_a_part(action, windows, rules, reason):
    decision = decided(windows)
    assert decided(windows[::-1]) == decision
    assert decided(windows * 50) == decision


def test_times_with_and_without_zone_are_an_error_and_all_with_zone_are_not():
    zoned = [replace(batch, end=batch.end.replace(tzinfo=UTC)) for batch in each(**LOST)]
    with pytest.raises(
        InputError, match=r"with a time zone .* and without .* give all batches times of one kind"
    ):
        decided(zoned)
    start = START.replace(tzinfo=UTC)
    assert decided(zoned, champion(learnt_until=start, retrainings=(start,))).action == "retrain"


@pytest.mark.slow
@given(windows_of, st.floats(0, 0.3))
@example([unlabelled(1, estimated=GOOD), unlabelled(2, estimated=BAD)], 0.1)  # two to be watched
def test_more_loss_never_makes_it_less_urgent(seen, more):
    def worse(estimate: Estimate | None) -> Estimate | None:
        return estimate and Estimate(
            estimate.value - more, estimate.low - more, estimate.high - more
        )

    # One entry of each batch: else another may come to count
    order = {batch.batch: batch for batch in seen}
    fallen = [
        replace(batch, real=worse(batch.real), estimated=worse(batch.estimated))
        for batch in order.values()
    ]
    before, after = decided(list(order.values())), decided(fallen)
    assert ACTIONS.index(after.action) >= ACTIONS.index(before.action)


@pytest.mark.slow
@given(windows_of, st.randoms())
def test_the_order_of_the_input_plays_no_part(seen, chance):
    shuffled = [*seen, *seen]
    chance.shuffle(shuffled)
    assert decided(shuffled) == decided(seen)


@pytest.mark.parametrize("windows", [each(), each(**LOST), []])
def test_a_decision_is_kept_as_plain_values(windows):
    decision = decided(windows)
    plain = json.loads(json.dumps(decision.as_plain()))
    assert plain["evidence"]["rules"] == decision.rules
    assert plain["evidence"]["retrain"] == DEFAULT.model_dump()
    assert [window["batch"] for window in plain["evidence"]["windows"]] == [
        window.batch for window in windows
    ]
    assert plain["evidence"]["life"]["learnt_until"] == START.isoformat()
    assert len(decision.as_markdown().splitlines()) == 4 + len(decision.rules)


def test_values_are_frozen():
    for value, name in (
        (window(1), "rows"),
        (champion(), "version"),
        (find_loss(LIBRARY["mae"], GOOD, BAD), "low"),
    ):
        with pytest.raises(AttributeError):
            setattr(value, name, 1)
