"""Slices: one that is predicted wrongly is found among many; one that is hard is only shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from diagnosis.sick import lab_of, sound

from evergreen.diagnosis.fault import SLICE
from evergreen.diagnosis.lab import Lab, Trial, losses_of
from evergreen.diagnosis.slices import find_slices, search

STRONGEST = [0, 1, 2, 3, 4]


def judged(task: str, where: Any = None, seed: int = 0, share: float = 0.5) -> Lab:
    """A lab whose model predicts as well as can be, but for a share of some rows."""
    draw = np.random.default_rng(seed)
    tables = sound(task, seed, rows=(50, 50, 6000))
    x, rows = tables.holdout.x, len(tables.holdout)
    chance = 1 / (1 + np.exp(-x[:, 0]))
    p: Any = chance if task == "binary" else x[:, 0]
    if task == "multiclass":
        p = np.column_stack([chance / 2, chance / 2, 1 - chance])
    y: Any = (
        (draw.random(rows) < chance) * 1.0 if task == "binary" else x[:, 0] + draw.normal(size=rows)
    )
    if task == "multiclass":
        y = (draw.random(rows)[:, None] > p.cumsum(axis=1)).sum(axis=1) * 1.0
    if where is not None:
        at = where(x) & (draw.random(rows) < share)
        y = np.where(at, 1.0 if task != "regression" else y + 2, y)
    tables = replace(tables, holdout=replace(tables.holdout, y=y.astype(np.float32)))
    lab = lab_of(tables, 1)
    lab._seen[lab.params.model_dump_json()] = Trial(losses_of(task, y, p)[None], 0.0, p, ())
    return lab


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_wrong_where_a_model_is_as_good_as_can_be(task: str, seed: int) -> None:
    found = find_slices(judged(task, seed=seed), STRONGEST)
    assert found.faults == ()
    assert len(found.tables[0].rows) == 12


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize(
    ("where", "share", "names"),
    [
        (lambda x: x[:, 4] == 3, 0.5, ["place = level 3"]),
        (lambda x: (x[:, 4] == 3) & (x[:, 1] > 0.68), 1.0, ["place = level 3", "second > "]),
    ],
    ids=["a level", "a pair"],
)
def test_a_slice_that_is_wrong_is_named(
    task: str, where: Any, share: float, names: list[str]
) -> None:
    (fault,) = find_slices(judged(task, where, share=share), STRONGEST).faults
    assert fault.kind == SLICE
    assert all(name in fault.says for name in names)
    assert "more than predicted" in fault.says or task == "multiclass"


def test_small_slices_are_left_alone() -> None:
    tables = sound(rows=(50, 50, 120))
    lab = lab_of(tables, 1, rounds=2)
    assert all(part.rows >= 50 for part in search(lab, STRONGEST))
