"""Influence: a newest batch with wrong labels is found by what it teaches, also where the refit
looks as good as before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from evergreen.features.keys import hash_rows
from evergreen.features.split import LABEL
from evergreen.metrics.metric import TASKS
from evergreen.promotion.influence import find_influence, teach
from evergreen.promotion.simplest import LINEAR
from evergreen.training.learner import XGBOOST
from evergreen.training.seeds import Slots
from evergreen.training.tables import Table, Tables

pytestmark = pytest.mark.usefixtures("same_resamples")
SLOTS = Slots(1, 1)


def tables_of(task: str, rows: pl.DataFrame, world: Any) -> Tables:
    encoder = world.encoder(task)
    train = Table(encoder.transform(rows), encoder.transform_label(rows[LABEL]), hash_rows(rows))
    return Tables(
        task,
        encoder.features,
        ("place",),
        encoder.classes,
        train,
        train.none(),
        train.none(),
        encoder,
    )


def influence_of(task: str, newest: pl.DataFrame, learner: str, world: Any) -> Any:
    params = world.params(task).model_copy(update={"train": world.quick})
    earlier, between = world.draw_rows(task, 1000, 1), world.draw_rows(task, 1500, 0, "validation")
    before, around = (
        tables_of(task, rows, world) for rows in (earlier, pl.concat([earlier, newest]))
    )
    without, taught = (
        teach(tables, 15, learner, params, "cpu", SLOTS) for tables in (before, around)
    )
    return find_influence(around, between, without, taught, learner, params)


def wrong(task: str, rows: pl.DataFrame, share: float, world: Any) -> pl.DataFrame:
    """Some labels are another class, or have the other sign."""
    chosen = pl.int_range(pl.len()) < share * pl.len()
    if task == "regression":
        return rows.with_columns(pl.when(chosen).then(-pl.col(LABEL)).otherwise(LABEL).alias(LABEL))
    classes = world.classes[task]
    other = pl.col(LABEL).replace_strict(dict(zip(classes, reversed(classes), strict=True)))
    return rows.with_columns(pl.when(chosen).then(other).otherwise(LABEL).alias(LABEL))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "learner"), [*((task, XGBOOST) for task in TASKS), ("regression", LINEAR)]
)
def test_wrong_labels_do_harm_and_right_ones_none(task, learner, world):
    newest = world.draw_rows(task, 1000, 3, "holdout")
    fair = influence_of(task, newest, learner, world)
    assert fair.value > -0.01 * abs(fair.champion)
    assert fair.high > 0
    poisoned = influence_of(task, wrong(task, newest, 0.7, world), learner, world)
    assert poisoned.high < 0
    assert poisoned.value < -0.03 * abs(poisoned.champion)
    assert poisoned.champion == fair.champion  # of the models without it


def test_rows_that_cannot_judge_a_model_say_nothing(world):
    tables, params = (
        tables_of("binary", world.draw_rows("binary", 200, 1), world),
        world.params("binary"),
    )
    models = teach(tables, 2, XGBOOST, params, "cpu", SLOTS)
    assert (
        find_influence(tables, world.holdout("binary")[:20], models, models, XGBOOST, params)
        is None
    )


def test_few_seeds_of_the_learner_are_taught_and_of_the_linear_model_the_only(world):
    tables = tables_of("binary", world.draw_rows("binary", 200, 1), world)
    params = world.params("binary", seeds=5)
    three = teach(tables, 2, XGBOOST, params, "cpu", Slots(2, 1))
    assert (len(three), len(set(three)), len(teach(tables, 1, LINEAR, params, "cpu", SLOTS))) == (
        3,
        3,
        1,
    )
    assert three == teach(tables, 2, XGBOOST, params, "cpu", SLOTS)
    other = replace(tables, train=replace(tables.train, y=np.float32(1) - tables.train.y))
    assert three != teach(other, 2, XGBOOST, params, "cpu", SLOTS)
