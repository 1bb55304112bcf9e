"""Courses: the table, the JSON and the sentence say what the numbers say, and no more."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evergreen.evaluation.intervals import Estimate
from evergreen.replay.outcome import (
    HINDSIGHT,
    PROMOTED,
    REFUSED,
    UNGATED,
    Aged,
    Options,
    PolicyOutcome,
    Replay,
    Step,
)

NOISE = np.random.default_rng(0).normal(size=400) * 0.001


def outcome_of(
    policy: str,
    gain: float,
    retrainings: int,
    *,
    promotions: int | None = None,
    shared: bool = True,
) -> PolicyOutcome:
    """A policy whose mean is 0.7 and `gain`; `shared`: with the very noise of the others, else far
    less sure.
    """
    passed = retrainings if promotions is None else promotions
    actions = (
        [PROMOTED] * passed + [REFUSED] * (retrainings - passed) + ["nothing"] * (4 - retrainings)
    )
    steps = tuple(
        Step(f"b{at}", 50, 0.7, 0.6, float("nan"), "b", action, "why")
        for at, action in enumerate(actions)
    )
    draws = 0.7 + gain + NOISE + (0 if shared else 10 * np.roll(NOISE, 7))
    return PolicyOutcome(
        policy,
        steps,
        retrainings,
        passed,
        1.0,
        Estimate(0.7 + gain, 0.69, 0.71),
        Estimate(0, 0, 0),
        draws,
    )


def replay_of(*outcomes: PolicyOutcome, metric: str = "roc_auc") -> Replay:
    names = tuple(step.batch for step in outcomes[0].steps)
    found = Replay(metric, 0.95, names, (), (), {}, outcomes)
    return replace(
        found,
        outcomes=tuple(
            replace(outcome, gain=found.gain(outcome, outcomes[0])) for outcome in outcomes
        ),
    )


NEVER = outcome_of("never", 0, 0)


def test_a_gain_is_paired() -> None:
    """What all policies share is not in the interval of a difference."""
    found = replay_of(NEVER, outcome_of("every batch", 0.0001, 4))
    gain = found.outcomes[1].gain
    assert (gain.low, gain.value, gain.high) == pytest.approx((0.0001,) * 3)


def test_more_is_better_whatever_the_metric() -> None:
    for metric, sign in (("roc_auc", 1), ("rmse", -1)):
        found = replay_of(NEVER, outcome_of("every batch", 0.02, 4), metric=metric)
        assert found.outcomes[1].gain.value == pytest.approx(sign * 0.02)


EVERY, DRIFT = outcome_of("every batch", 0.02, 4), outcome_of("on drift", 0.0199, 1, shared=False)
LESS, UNSURE = outcome_of("on drift", 0.01, 1), outcome_of("on drift", 0.001, 1, shared=False)
OPEN = outcome_of(UNGATED, 0.03, 4)
BEST = outcome_of(HINDSIGHT, 0.04, 0)
NONE = outcome_of("every batch", 0, 3, promotions=0)
FINDINGS: list[tuple[str, tuple[PolicyOutcome, ...], str]] = [
    ("never alone", (NEVER,), "Never retraining: roc_auc 0.7000 over 4 batches$"),
    (
        "one pays",
        (NEVER, EVERY),
        r"Retraining every batch pays: roc_auc better than never by \+0.02.*, 4 retrainings$",
    ),
    (
        "as good for less",
        (NEVER, EVERY, DRIFT),
        "Retraining on drift pays: .*1 retraining\nevery batch gains no more .* 4 ",
    ),
    (
        "less for less",
        (NEVER, EVERY, LESS),
        "Retraining every batch pays: .*4 retrainings\non drift surely gains less: .*1 retraining$",
    ),
    (
        "one unsure",
        (NEVER, EVERY, UNSURE),
        "Retraining every batch pays: .*\nnot surely better than never .*: on drift$",
    ),
    (
        "none sure",
        (NEVER, UNSURE),
        r"No policy beats never .* noise; the nearest, on drift: .* by \+0.0010 \(-",
    ),
    (
        "none promoted",
        (NEVER, NONE),
        "No policy gains: the gate promoted none of 3 challengers in 4 batches$",
    ),
    (
        "no gate is no policy",
        (NEVER, NONE, OPEN),
        r"No policy gains.*\nwithout the gate: .* by \+0.03.* 4 retr",
    ),
    (
        "nor with others",
        (NEVER, EVERY, OPEN),
        "Retraining every batch pays: .*, 4 retrainings\nwithout .* 4 retrainings$",
    ),
    (
        "nor is hindsight",
        (NEVER, EVERY, BEST),
        r"Retraining every batch pays: .*, 4 retrainings\nbest in hindsight: by \+0.0400 \(.*\)$",
    ),
]


@pytest.mark.parametrize(
    ("outcomes", "says"), [case[1:] for case in FINDINGS], ids=[case[0] for case in FINDINGS]
)
def test_the_finding_follows_from_the_numbers(
    outcomes: tuple[PolicyOutcome, ...], says: str
) -> None:
    finding = replay_of(*outcomes).finding
    assert re.match(says, finding), finding


def test_the_table_has_a_row_for_each_policy() -> None:
    never, every = replay_of(NEVER, EVERY).as_table()
    assert never == {
        "policy": "never",
        "mean roc_auc": "0.7000 (0.6900 to 0.7100)",
        "better than never by": "",
        "retrainings": "0",
        "promotions": "0",
        "seconds": "1",
    }
    assert every["better than never by"] == "+0.0200 (+0.0200 to +0.0200)"


def test_hindsight_retrains_nothing_that_could_be_told() -> None:
    best = replay_of(NEVER, EVERY, BEST).as_table()[2]
    assert (best["policy"], best["retrainings"], best["promotions"], best["seconds"]) == (
        HINDSIGHT,
        "",
        "",
        "",
    )


def aged(champion: int, batch: int, value: float, *, rows: int = 100) -> Aged:
    return Aged(f"b{champion}", f"b{batch}", batch - champion, rows, value, value + NOISE)


@pytest.mark.parametrize(("metric", "sign"), [("roc_auc", -1), ("rmse", 1)])
def test_age_costs_what_the_same_batch_lost_against_a_fresh_champion(
    metric: str, sign: int
) -> None:
    """Batches differ by far more than champions do: only pairs on one batch tell."""
    ages = (
        aged(0, 1, 0.9),
        aged(0, 2, 0.5),
        aged(1, 2, 0.52),
        aged(0, 3, 0.7, rows=300),
        aged(1, 3, 0.73, rows=300),
        aged(2, 3, 0.74, rows=300),
        aged(1, 4, 0.1),
    )
    found = replace(replay_of(NEVER, EVERY, metric=metric), ages=ages)
    two, three = found.costs()
    assert (two.age, two.batches, three.age, three.batches) == (2, 2, 3, 1)
    assert two.lost.value == pytest.approx(sign * (100 * (0.5 - 0.52) + 300 * (0.73 - 0.74)) / 400)
    assert three.lost.value == pytest.approx(sign * (0.7 - 0.74))
    # The days are shared
    assert (two.lost.low, two.lost.high) == pytest.approx((two.lost.value,) * 2)


def test_a_batch_that_counts_in_no_mean_tells_nothing_of_age() -> None:
    ages = (aged(0, 2, 0.5), aged(1, 2, 0.52))
    assert replace(replay_of(NEVER), ages=ages, uncounted=("b2",)).costs() == ()


def test_plain_values_are_json_without_draws() -> None:
    plain: dict[str, Any] = json.loads(
        json.dumps(replay_of(NEVER, EVERY).as_plain(), allow_nan=False)
    )
    assert [outcome["policy"] for outcome in plain["courses"]] == ["never", "every batch"]
    assert "draws" not in plain["courses"][0]
    assert plain["ages"] == plain["costs"] == []
    assert plain["courses"][0]["steps"][0]["high"] is None  # was not a number
    assert plain["finding"].startswith("Retraining every batch pays")


@pytest.mark.parametrize(
    ("policy", "title"),
    [
        ("never", "never"),
        ("every", "every batch"),
        ("schedule", "every 6 batches"),
        ("drift", "on drift"),
        ("ungated", UNGATED),
    ],
)
def test_a_policy_has_a_title(policy: Any, title: str) -> None:
    assert Options(every=6).title(policy) == title
