"""Sanity: features that tell nothing apart, labels that nothing tells, and labels handed over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from diagnosis.sick import each_part, lab_of, sound

from evergreen.diagnosis import sanity
from evergreen.diagnosis.fault import ANY_LABELS, NO_MEMORY, NO_SKILL, Found
from evergreen.diagnosis.lab import Lab
from evergreen.diagnosis.sanity import find_memory, find_shuffled, find_skill
from evergreen.training.tables import Table

SMALL = (400, 100, 300)


def kinds(found: Found) -> list[str]:
    assert bool(found.faults) != bool(found.answers)
    return [fault.kind for fault in found.faults]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_sound_rows_pass(task: str) -> None:
    lab = lab_of(sound(task, rows=SMALL), rounds=30)
    assert [kinds(find(lab)) for find in (find_memory, find_shuffled, find_skill)] == [[], [], []]


def test_features_that_are_all_alike_are_found() -> None:
    tables = each_part(sound(rows=SMALL), lambda part: replace(part, x=np.zeros_like(part.x)))
    (fault,) = find_memory(lab_of(tables)).faults
    assert fault.kind == NO_MEMORY
    assert "100% of these have the features of another" in fault.says


def test_labels_that_have_nothing_to_do_with_features_are_found() -> None:
    draw = np.random.default_rng(1)

    def shuffle(part: Table) -> Table:
        return replace(part, y=draw.permutation(part.y))

    assert kinds(find_skill(lab_of(each_part(sound(rows=SMALL), shuffle), rounds=30))) == [NO_SKILL]


def test_a_model_that_knows_labels_in_spite_of_shuffling_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = lab_of(sound(rows=SMALL), rounds=30)
    knowing = lab.base
    monkeypatch.setattr(Lab, "fit", lambda *_: knowing)
    assert kinds(sanity.find_shuffled(lab)) == [ANY_LABELS]
