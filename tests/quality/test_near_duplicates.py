"""Near duplicates: training rows moved a little are found in the holdout, chance is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evergreen.params import Leaks
from evergreen.quality.leaks import find_leaks
from evergreen.quality.near_duplicates import find_near_copies
from evergreen.training.tables import Table, Tables

TASKS = ("binary", "multiclass", "regression")
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}
ROWS = (1500, 500, 500)  # training, validation, holdout


def jittered(tables: Tables, share: float, how: str) -> Tables:
    """A `share` of holdout rows become copies of training rows, moved a little or in one value."""
    draw, count = np.random.default_rng(4), int(share * len(tables.holdout))
    x, y = tables.holdout.x.copy(), tables.holdout.y.copy()
    at = draw.choice(len(tables.train), count, replace=False)
    x[:count], y[:count] = tables.train.x[at], tables.train.y[at]
    if how == "a value":
        x[np.arange(count), draw.integers(0, x.shape[1], count)] += draw.normal(size=count)
    else:
        x[:count] += 1e-3 * draw.normal(size=(count, x.shape[1]))
    return replace(tables, holdout=replace(tables.holdout, x=x.astype(np.float32), y=y))


def draw_wide(task: str) -> Tables:
    """Rows with seven features, of which one is helpful; no two rows are alike."""
    draw, total = np.random.default_rng(0), sum(ROWS)
    hidden = draw.normal(size=total)
    y = {
        "binary": hidden > 0.8,
        "multiclass": np.digitize(hidden, [-0.5, 0.5]),
        "regression": hidden,
    }[task]
    x = np.column_stack([hidden + draw.normal(size=total), draw.normal(size=(total, 6))]).astype(
        np.float32
    )
    cuts = np.cumsum(ROWS)[:-1]
    parts = zip(np.split(x, cuts), np.split(y.astype(np.float32), cuts), strict=True)
    return Tables(task, tuple("abcdefg"), (), CLASSES[task], *(Table(x, y) for x, y in parts))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("how", ["a value", "all a little"])
def test_near_copies_of_training_rows_are_found(task, how):
    wide = draw_wide(task)
    assert find_leaks(wide, Leaks(max_single_score=None, stand_out=None)) == ()
    (leak,) = find_leaks(jittered(wide, 0.5, how), Leaks(max_single_score=None, stand_out=None))
    assert (leak.kind, leak.name) == ("duplicate", "holdout")
    assert "but for one feature and for rounding" in leak.says
    assert leak.value == pytest.approx(0.5, abs=0.05)
    assert find_leaks(jittered(wide, 0.02, how), Leaks(max_single_score=None, stand_out=None)) == ()


def test_rows_that_come_again_are_no_copies() -> None:
    """Features with few values make rows alike in every block."""
    wide = draw_wide("binary")
    few = {
        role: replace(part, x=np.clip(part.x[:, :4].round(), -1, 1))
        for role in ("train", "validation", "holdout")
        for part in [getattr(wide, role)]
    }
    count, chance = find_near_copies(replace(wide, features=tuple("abcd"), **few))
    assert count / ROWS[2] == pytest.approx(chance, abs=0.05)
