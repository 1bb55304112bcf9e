"""The whole diagnosis: a fault that is planted comes first; of sound rows nothing is found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from diagnosis.sick import SICK, lab_of, sound

from evergreen.diagnosis.diagnose import diagnose
from evergreen.diagnosis.fault import STALE
from evergreen.diagnosis.lab import Lab
from evergreen.diagnosis.stale import Live

CASES = [
    (task, *case)
    for kind, tasks, make in SICK.values()
    for task in tasks
    for case in [(kind, make)]
]
NAMES = [f"{name}-{task}" for name, (_, tasks, _) in SICK.items() for task in tasks]


@pytest.mark.long
@pytest.mark.parametrize(("task", "kind", "make"), CASES, ids=NAMES)
def test_a_planted_fault_comes_first(task: str, kind: str, make: Callable[[str, int], Lab]) -> None:
    found = diagnose(make(task, 0))
    assert found.faults
    assert found.faults[0].kind == kind, [fault.kind for fault in found.faults]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_of_sound_rows_nothing_is_found(task: str, seed: int) -> None:
    found = diagnose(lab_of(sound(task, seed)))
    assert [fault.says for fault in found.faults] == []


@pytest.mark.long
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_stale_champion_comes_first(task: str) -> None:
    lab = lab_of(sound(task))
    old = lab.with_params(rounds=5).base.p  # of a champion that knows little yet
    live = Live("3", "2013-01-31", old, np.zeros(len(old), bool))
    assert [fault.kind for fault in diagnose(lab, live=live).faults] == [STALE]


@pytest.mark.slow
def test_another_learner_is_diagnosed_without_the_knobs_of_trees() -> None:
    told: list[str] = []
    lab = lab_of(sound(rows=(150, 60, 150)), 1, learner="linear")
    found = diagnose(lab, tell=told.append)
    assert found.paths == ()
    assert found.explained is None
    assert "Is the learning rate right?" not in dict(found.answers)
    assert len(told) == 3
