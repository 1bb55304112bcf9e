"""Staleness: a champion that lacks what came since is worse by what a fresh model shows."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from evergreen.errors import InputError
from evergreen.features.split import LABEL
from evergreen.monitoring.staleness import find_staleness
from evergreen.params import Retrain
from evergreen.promotion.candidate import Candidate
from evergreen.training.tables import Table, Tables


def tables_of(world: Any, task: str, rows: pl.DataFrame) -> Tables:
    encoder = world.encoder(task)
    table = Table(
        encoder.transform(rows), encoder.transform_label(rows[LABEL]), np.array(world.keys(rows))
    )
    return Tables(
        task, world.features, ("place",), world.classes[task], table, table.none(), table, encoder
    )


def turned(rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows in a world where a feature says the opposite."""
    return rows.with_columns(-pl.col("first"))


def stale(
    world: Any,
    champion: Candidate,
    rows: pl.DataFrame,
    later: pl.DataFrame,
    task: str,
    probability: float = 0.75,
) -> Any:
    retrain = {"min_probability": probability}
    params = world.params(task).override(retrain=retrain).model_copy(update={"train": world.quick})
    metric = "rmse" if task == "regression" else "roc_auc"
    how: dict[str, Any] = {"device": "cpu", "threads": 1}
    return find_staleness(champion, tables_of(world, task, rows), later, metric, params, **how)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_what_the_champion_lacks_is_what_it_costs(task: str, world: Any) -> None:
    champion = world.champion(task)
    newer = turned(world.draw_rows(task, 2000, 5))
    found = stale(world, champion, newer, turned(world.holdout(task)), task)
    assert found.low > 0.05
    assert found.low < found.value < found.high


@pytest.mark.slow
def test_how_sure_it_has_to_be_is_how_wide_it_is(world: Any) -> None:
    """Three quarters lie above the lower end of one interval, 97.5% above that of the other."""
    champion, newer, later = (
        world.champion("binary"),
        world.draw_rows("binary", 2000, 5),
        world.holdout("binary"),
    )
    likely, sure = (
        stale(world, champion, newer, later, "binary", probability) for probability in (0.75, 0.975)
    )
    assert likely.value == sure.value
    assert sure.value - sure.low == pytest.approx(
        (likely.value - likely.low) * 1.96 / 0.674, rel=0.2
    )


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_where_the_world_is_the_same_little_is_lost(seed: int, world: Any) -> None:
    """Too little to ask for a training."""
    champion, same = world.better("binary"), world.draw_rows("binary", 3000, seed)
    found = stale(world, champion, same, world.holdout("binary"), "binary")
    assert abs(found.value) < 0.03
    assert not (found.value >= Retrain().min_loss and found.low > 0)


def test_of_a_champion_that_predicts_other_classes_nothing_can_be_said(world: Any) -> None:
    champion = world.champion("binary")
    encoder = replace(champion.model.encoder, classes=champion.model.encoder.classes[::-1])
    other: Any = SimpleNamespace(**vars(champion.model) | {"encoder": encoder})
    newer, later = world.draw_rows("binary", 400, 5), world.holdout("binary")
    with pytest.raises(InputError, match=r"version 1\) predicts other classes than the newer"):
        stale(world, replace(champion, model=other), newer, later, "binary")


def test_a_champion_that_has_learnt_all_before_cannot_be_stale(world: Any) -> None:
    rows = world.draw_rows("binary", 400, 1)  # what the champion is trained on
    assert stale(world, world.champion("binary"), rows, world.holdout("binary"), "binary") is None


def test_too_few_rows_say_nothing(world: Any) -> None:
    newer = world.draw_rows("binary", 2000, 5)
    assert (
        stale(world, world.champion("binary"), newer, world.holdout("binary")[:20], "binary")
        is None
    )
