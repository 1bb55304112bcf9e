"""Own rules: added to the gate's, whatever they do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from promotion.test_gate import evidence

from evergreen.decision import PROMOTE, REFUSE, Rule
from evergreen.extensions import Extensions
from evergreen.params import Gate
from evergreen.promotion.gate import decide

GATE = Gate()


def many(asked: Any, gate: Gate) -> Iterator[Rule]:
    yield Rule("many", met=asked.comparison.rows > 500, says=f"{asked.comparison.rows} rows")
    yield Rule("sure", met=gate.min_probability > 0.5, says="sure enough")


def test_they_stand_after_the_gates_own_and_all_are_shown() -> None:
    alone, both = decide(evidence(), GATE), decide(evidence(), GATE, Extensions(rules=[many]))
    assert both.action == PROMOTE
    assert both.rules[: len(alone.rules)] == alone.rules
    added = [
        {"name": "many", "met": True, "says": "1000 rows"},
        {"name": "sure", "met": True, "says": "sure enough"},
    ]
    assert both.rules[len(alone.rules) :] == added
    assert both.reasons == alone.reasons
    assert "| many | met | 1000 rows |" in both.as_markdown()


def test_one_that_is_broken_refuses_with_its_sentence() -> None:
    few = evidence(rows=20)
    assert decide(few, GATE).action == PROMOTE
    decision = decide(few, GATE, Extensions(rules=[many]))
    assert (decision.action, decision.reasons) == (REFUSE, ("20 rows",))


def test_none_can_take_one_of_the_gates_away() -> None:
    def lenient(asked: Any, gate: Gate) -> Iterator[Rule]:
        yield Rule("all is well", met=True, says="let it pass")

    worse = evidence(reload=0.5)
    decision = decide(worse, GATE, Extensions(rules=[lenient]))
    assert decision.action == REFUSE
    assert decision.reasons == decide(worse, GATE).reasons


def raising(asked: Any, gate: Gate) -> Iterator[Rule]:
    yield Rule("first", met=True, says="fine")
    raise ValueError("cannot reach https://me:secret@store")


BROKEN = {
    "raises": (raising,
               "the rule raising of extensions.py failed (ValueError: cannot reach"),
    "no rules": (lambda asked, gate: None,
                 "(TypeError: 'NoneType' object is not iterable): correct it"),
    "no rule": (lambda asked, gate: ["yes"], "it gave 'yes', which is no Rule"),
    "a name of the gate": (lambda asked, gate: [Rule("better", met=True, says="yes")],
                           "is the name of a rule of the library"),
    "changes what it is given": (lambda asked, gate: setattr(asked, "reload", 0.0),
                                 "FrozenInstanceError"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_one_that_cannot_be_asked_refuses(case: str) -> None:
    rule, told = BROKEN[case]
    decision = decide(evidence(), GATE, Extensions(rules=[rule]))
    assert decision.action == REFUSE
    assert len(decision.reasons) == 1
    assert told in decision.reasons[0]
    assert "secret" not in str(decision.as_plain())
