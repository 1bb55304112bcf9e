"""Rule: does one of the user's say what the gate can take?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from evergreen.decision import PROMOTE, Rule
from evergreen.extensions import Extensions, GateRule, name_of
from evergreen.metrics.metric import TASKS, Metrics, Task
from evergreen.params import Gate
from evergreen.promotion.evidence import Evidence
from evergreen.promotion.gate import decide
from evergreen.testing.made import draw

Array = np.ndarray[Any, np.dtype[Any]]


def check_rule(rule: GateRule, gate: Gate | None = None, own: Extensions | None = None) -> None:
    """Raise AssertionError where `rule` does not say what the gate can take.

    It is asked of challengers of each task: a first one, and one beside a champion. `own`: with the
    metric that `gate` names.
    """
    gate, own = gate or Gate(), own or Extensions()
    name, asked = name_of(rule), 0
    for task in TASKS:
        metric = gate.metric if gate.metric in own.all_metrics.of(task) else None
        for evidence in _evidences(task, own.all_metrics.pick(metric, task), own.all_metrics):
            said = _ask(rule, evidence, gate)
            asked += len(said)
            again = _ask(rule, evidence, gate)
            assert said == again, f"{name} says otherwise when asked again of the same: {again}"
            with_it = Extensions(metrics=own.metrics, rules=[rule])
            decision = decide(evidence, gate, with_it)
            shown = decision.rules[len(decision.rules) - len(said) :]
            assert [row["name"] for row in shown] == [answer.name for answer in said], (
                f"{name}: {decision.rules[-1]['says']}"
            )
            broken = not all(answer.met for answer in said)
            assert not broken or decision.action != PROMOTE, f"{name} is broken, and it is promoted"
    assert asked, f"{name} yields no Rule, whatever it is asked: it judges nothing"


def _ask(rule: GateRule, evidence: Evidence, gate: Gate) -> list[Rule]:
    name, where = name_of(rule), f"for a {evidence.comparison.task} challenger"
    try:
        said = list(rule(evidence, gate))
    except Exception as error:  # whatever it is
        beside = (
            f"beside version {evidence.champion}" if evidence.champion else "without a champion"
        )
        raise AssertionError(
            f"{name} raised {type(error).__name__} ({error}) {where} {beside}: the gate would "
            "refuse it"
        ) from error
    for answer in said:
        assert isinstance(answer, Rule), (
            f"{name} yields {answer!r} {where}: yield Rule(name, met, says)"
        )
        assert isinstance(answer.name, str), (
            f"{name}: the name of a rule must be a text: {answer.name!r}"
        )
        assert isinstance(answer.met, bool), (
            f"{name}: met must be True or False, not {answer.met!r}"
        )
        assert isinstance(answer.says, str), f"{name}: says must be a sentence, not {answer.says!r}"
        assert answer.name, f"{name}: a rule needs a name"
        assert answer.says.strip(), (
            f"{name}: the rule {answer.name!r} needs a sentence that it says"
        )
    return said


def _evidences(task: Task, metric: str, metrics: Metrics) -> Iterator[Evidence]:
    """Yield what the gate is told of a first model, and of one beside a champion."""
    from evergreen.promotion.compare import Rows, Side, compare
    from evergreen.promotion.noise import Resampling

    (y, p), chance = draw(task, 300), np.random.default_rng(2)
    order = chance.permutation(len(p))
    slices = {"place=ash": chance.random(len(y)) < 0.5}
    rows = Rows(task, y, slices, metrics=metrics)
    good, bad = Side(p, (p, p)), Side(p[order], (p[order], p[order]))
    baselines, how = {"constant": p[order], "linear": p[order]}, Resampling(100, 0.95, 0)
    for champion in (None, bad):
        found = compare(rows, champion, good, baselines, metric, how)
        calibration = (0.2 if champion else None, 0.01)
        version, age = ("1", 30.0) if champion else (None, None)
        yield Evidence(found, version, age, calibration, {}, reload=0.0, seeds_expected=2)
