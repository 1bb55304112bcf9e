"""Courses: the table, the JSON and the sentence say what the numbers say, and no more."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evergreen.life.courses import PROMOTED, REFUSED, UNGATED, Course, Options, Replay, Step
from evergreen.model.metrics import Estimate

NOISE = np.random.default_rng(0).normal(size=400) * 0.001


def course_of(
    policy: str, gain: float, retrainings: int, *, promotions: int | None = None, shared: bool = True
) -> Course:
    """A policy whose mean is 0.7 and `gain`; `shared`: with the very noise of the others, else far less sure."""
    passed = retrainings if promotions is None else promotions
    actions = [PROMOTED] * passed + [REFUSED] * (retrainings - passed) + ["nothing"] * (4 - retrainings)
    steps = tuple(Step(f"b{at}", 50, 0.7, 0.6, float("nan"), "b", action, "why") for at, action in enumerate(actions))
    draws = 0.7 + gain + NOISE + (0 if shared else 10 * np.roll(NOISE, 7))
    return Course(policy, steps, retrainings, passed, 1.0, Estimate(0.7 + gain, 0.69, 0.71), Estimate(0, 0, 0), draws)


def replay_of(*courses: Course, metric: str = "roc_auc") -> Replay:
    names = tuple(step.batch for step in courses[0].steps)
    found = Replay(metric, 0.95, names, (), (), {}, courses)
    return replace(found, courses=tuple(replace(one, gain=found.gain(one, courses[0])) for one in courses))


NEVER = course_of("never", 0, 0)


def test_a_gain_is_paired() -> None:
    """What all policies share is not in the interval of a difference."""
    found = replay_of(NEVER, course_of("every batch", 0.0001, 4))
    gain = found.courses[1].gain
    assert (gain.low, gain.value, gain.high) == pytest.approx((0.0001,) * 3)


def test_more_is_better_whatever_the_metric() -> None:
    for metric, sign in (("roc_auc", 1), ("rmse", -1)):
        found = replay_of(NEVER, course_of("every batch", 0.02, 4), metric=metric)
        assert found.courses[1].gain.value == pytest.approx(sign * 0.02)


EVERY, DRIFT = course_of("every batch", 0.02, 4), course_of("on drift", 0.0199, 1, shared=False)
LESS, UNSURE = course_of("on drift", 0.01, 1), course_of("on drift", 0.001, 1, shared=False)
OPEN = course_of(UNGATED, 0.03, 4)
NONE = course_of("every batch", 0, 3, promotions=0)
FINDINGS: list[tuple[str, tuple[Course, ...], str]] = [
    ("never alone", (NEVER,), "Never retraining: roc_auc 0.7000 over 4 batches$"),
    ("one pays", (NEVER, EVERY), r"Retraining every batch pays: roc_auc better than never by \+0.02.*, 4 retrainings$"),
    (
        "as good for less",
        (NEVER, EVERY, DRIFT),
        "Retraining on drift pays: .*1 retraining\nevery batch gains no more .* 4 ",
    ),
    (
        "less for less",
        (NEVER, EVERY, LESS),
        "Retraining every batch pays: .*4 retrainings\non drift gains surely less: .*1 retraining$",
    ),
    (
        "one unsure",
        (NEVER, EVERY, UNSURE),
        "Retraining every batch pays: .*\nnot surely better than never .*: on drift$",
    ),
    ("none sure", (NEVER, UNSURE), r"No policy beats never .* noise; the nearest, on drift: .* by \+0.0010 \(-"),
    ("none promoted", (NEVER, NONE), "No policy gains: the gate lets none of 3 challengers pass in 4 batches$"),
    (
        "no gate is no policy",
        (NEVER, NONE, OPEN),
        r"No policy gains.*\nhad the gate let each pass: .* by \+0.03.* 4 retr",
    ),
    (
        "nor with others",
        (NEVER, EVERY, OPEN),
        "Retraining every batch pays: .*, 4 retrainings\nhad .* 4 retrainings$",
    ),
]


@pytest.mark.parametrize(("courses", "says"), [one[1:] for one in FINDINGS], ids=[one[0] for one in FINDINGS])
def test_the_finding_follows_from_the_numbers(courses: tuple[Course, ...], says: str) -> None:
    finding = replay_of(*courses).finding
    assert re.match(says, finding), finding


def test_the_table_has_a_row_for_each_policy() -> None:
    never, every = replay_of(NEVER, EVERY).as_table()
    assert never == {"policy": "never", "mean roc_auc": "0.7000 (0.6900 to 0.7100)", "better than never by": "",
                     "retrainings": "0", "promotions": "0", "seconds": "1"}  # fmt: skip
    assert every["better than never by"] == "+0.0200 (+0.0200 to +0.0200)"


def test_plain_values_are_json_without_draws() -> None:
    plain: dict[str, Any] = json.loads(json.dumps(replay_of(NEVER, EVERY).as_plain(), allow_nan=False))
    assert [one["policy"] for one in plain["courses"]] == ["never", "every batch"]
    assert "draws" not in plain["courses"][0]
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
