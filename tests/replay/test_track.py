"""Track: how long a policy has waited, and what is worked out only once."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from evergreen.replay.outcome import HELD, NOTHING, PROMOTED, REFUSED, STOPPED, WATCH
from evergreen.replay.track import Once, Track


@pytest.mark.parametrize(
    ("actions", "waited"),
    [
        ((), 1),
        ((NOTHING, WATCH, HELD), 4),
        ((PROMOTED,), 1),
        ((REFUSED, NOTHING), 2),
        ((PROMOTED, NOTHING, STOPPED, NOTHING, HELD), 3),
    ],
)
def test_a_policy_waits_since_its_last_retraining_whatever_became_of_it(
    actions: tuple[str, ...], waited: int
) -> None:
    steps: list[Any] = [SimpleNamespace(action=action) for action in actions]
    champion: Any = None
    assert Track("schedule", champion, [], steps).waited == waited


def test_who_asks_again_is_given_the_same_value_and_the_same_seconds() -> None:
    made, once = [], Once()

    def make() -> object:
        time.sleep(0.01)
        made.append(object())
        return made[-1]

    first, again, other = once("a", make), once("a", make), once("b", make)
    assert first == again
    assert first[1] >= 0.01
    assert other[0] is made[1]
    assert len(made) == 2
