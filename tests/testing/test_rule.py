"""check_rule: stops each way to be wrong, before the gate refuses everything for it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest

from evergreen.decision import Rule
from evergreen.extensions import Extensions
from evergreen.metrics.metric import Metric
from evergreen.params import Gate
from evergreen.testing import check_rule

COUNT = count()


def enough_rows(evidence: Any, gate: Gate) -> Iterator[Rule]:
    rows = evidence.comparison.rows
    yield Rule("enough rows", met=rows >= 100, says=f"{rows:,} rows, at least 100")


def refuses(evidence: Any, gate: Gate) -> Iterator[Rule]:
    yield Rule("never", met=False, says="not this year")


@pytest.mark.slow
@pytest.mark.parametrize("rule", [enough_rows, refuses])
def test_one_that_judges_passes(rule: Any) -> None:
    check_rule(rule)


@pytest.mark.slow
def test_it_is_asked_with_the_metric_of_the_project() -> None:
    def of_cost(evidence: Any, gate: Gate) -> Iterator[Rule]:
        found = evidence.comparison
        if found.task == "regression":
            assert found.metric == "cost"
        yield Rule("of cost", met=True, says=f"judged by {found.metric}")

    cost = Metric(
        "cost", tasks=("regression",), losses=lambda y, p: np.abs(y - p), lower_is_better=True
    )
    check_rule(of_cost, Gate(metric="cost"), Extensions(metrics=[cost]))


def needs_champion(evidence: Any, gate: Gate) -> Iterator[Rule]:
    yield Rule("lead", met=evidence.comparison.whole["rmse"].value > 0, says="better")


BROKEN = {
    "raises": (needs_champion, r"raised KeyError .* without a champion: the gate would refuse it"),
    "says nothing": (lambda evidence, gate: (), "it judges nothing"),
    "no rule": (lambda evidence, gate: [True], "yields True"),
    "no verdict": (lambda evidence, gate: [Rule("a", met=None, says="b")],
                   "met must be True or False"),  # type: ignore[arg-type]
    "no name": (lambda evidence, gate: [Rule("", met=True, says="b")], "a rule needs a name"),
    "no sentence": (lambda evidence, gate: [Rule("a", met=True, says=" ")], "needs a sentence"),
    "luck": (lambda evidence, gate: [Rule("a", met=True, says=f"{next(COUNT)}")],
             "otherwise when asked again"),
    "a name of the gate": (lambda evidence, gate: [Rule("better", met=True, says="b")],
                           "is the name of a rule of the library"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_one_is_stopped(case: str) -> None:
    rule, told = BROKEN[case]
    with pytest.raises(AssertionError, match=told):
        check_rule(rule)
