"""A stale champion: judged by rows that it does not know, beside a model of all earlier ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diagnosis.sick import lab_of, sound

from evergreen.diagnosis.fault import STALE
from evergreen.diagnosis.lab import Lab
from evergreen.diagnosis.stale import Live, find_stale

ROWS = 600


@pytest.fixture(scope="module")
def lab() -> Lab:
    return lab_of(sound(rows=(1000, 200, ROWS)), rounds=60)


def live(p: Any, learnt: float = 0.0) -> Live:
    return Live("3", "2013-01-31", p, np.arange(ROWS) < learnt * ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("whole", [False, True], ids=["some rows", "all rows"])
def test_a_champion_that_knows_too_little_is_found(lab: Lab, whole: bool) -> None:
    (fault,) = find_stale(lab, live(np.full(ROWS, 0.5)), lab if whole else None).faults
    assert fault.kind == STALE
    assert "version 3" in fault.says


@pytest.mark.slow
@pytest.mark.parametrize(
    ("champion", "answer"),
    [
        (lambda _: None, "no champion yet"),
        (lambda lab: live(lab.base.p), "too little or too unsure"),
        (lambda _: live(np.full(ROWS, 0.5), learnt=0.9), "learnt from rows up to 2013-01-31"),
        (lambda _: live(None), "lack what version 3 was made with"),
    ],
    ids=["none", "as good", "knows them", "other features"],
)
def test_else_it_is_answered_why_not(lab: Lab, champion: Any, answer: str) -> None:
    found = find_stale(lab, champion(lab))
    assert found.faults == ()
    assert answer in found.answers[0][1]
