"""Trained models: what a run made, as the gate sees it, and which faces the champion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recipes.people import candidate, people
from recipes.plain import params_of

from evergreen.params import Train
from evergreen.project import Project
from evergreen.promotion.trained_models import TrainedModel, face
from evergreen.scoring.package import Learnt, read_package
from evergreen.training import linear
from evergreen.training.cross_validation import fold_by_key, join_bytes
from evergreen.training.tables import Tables


def fit(tables: Tables) -> bytes:
    return join_bytes(
        [
            linear.train(linear.build_matrix(part, Train()), Train(), 0).booster
            for part in tables.parts()
        ]
    )


@pytest.fixture
def tables(world: Any, make_tables: Callable[..., Tables]) -> Tables:
    """Rows that are all learnt from and all judge."""
    found = make_tables("regression")
    keys = np.random.default_rng(0).integers(0, 2**64, len(found.train), dtype=np.uint64)
    whole = replace(found.train, keys=keys)
    return replace(
        found,
        train=whole,
        validation=whole.none(),
        holdout=whole,
        encoder=world.better("regression").model.encoder,
    )


def trained(tables: Tables) -> TrainedModel:
    learnt = Learnt.of(tables, "2024-01-01", ("a",))
    return TrainedModel(tables, {0: fit(tables)}, (0,), learnt, "linear", None, "way")


def test_without_folds_it_is_its_own_model(tables: Tables, tmp_path: Path) -> None:
    made = trained(tables)
    assert made.candidate("1").held_out is None
    assert made.candidate("1").seeds == (made.boosters[0],)
    with made.package(Project(tmp_path)) as folder:
        packaged = read_package(folder)
        assert (packaged.learner, packaged.way, packaged.refit) == ("linear", "way", False)
        assert packaged.boosters == made.boosters
    assert not folder.exists()


@pytest.mark.slow
def test_of_a_cross_validation_each_fold_speaks_for_its_own_rows(tables: Tables) -> None:
    folded = replace(tables, folds=fold_by_key(tables.train.keys, stopping=False))  # type: ignore[arg-type]
    said = trained(folded).candidate("1").held_out
    assert said is not None
    at = said().find(folded.holdout.keys)  # type: ignore[arg-type]
    for part, fold in zip(folded.parts(), folded.folds, strict=True):
        own = linear.load(fit(part)).predict(part.holdout.x)
        np.testing.assert_array_equal(said().packaged[at][fold.holdout], own)
        assert not np.isin(part.train.keys, part.holdout.keys).any()  # type: ignore[arg-type]


@pytest.mark.parametrize(("way", "refresh"), [("a", True), ("b", False)])
def test_only_what_is_trained_as_the_champion_was_is_a_refresh(way: str, refresh: bool) -> None:
    rows = people("regression", 600, 7)
    params = params_of(task="regression", sweep={"seeds": 3})
    trees = candidate("regression", 1.0, "2", way="a")
    linear = candidate("regression", 0.3, "linear", way="l")
    live = candidate("regression", 0.6, "1", way=way)
    baselines = {"constant": np.full(600, 0.1), "linear": linear.model.predict_rows(rows)}
    chosen, judged = face(rows, trees, linear, baselines, live, params, ())
    assert chosen is trees
    assert judged.evidence.refresh is refresh
    first = face(rows, trees, linear, baselines, None, params, ())[1]
    assert first.evidence.refresh is False


@pytest.mark.parametrize(("way", "refresh"), [("a", False), ("l", True)])
def test_the_way_that_counts_is_that_of_the_model_that_faces_the_champion(
    way: str, refresh: bool
) -> None:
    rows = people("regression", 600, 7)
    params = params_of(task="regression", sweep={"seeds": 3})
    trees = candidate("regression", 0.3, "trees", way="a")
    linear = candidate("regression", 1.0, "2", way="l")
    baselines = {"constant": np.full(600, 0.1), "linear": linear.model.predict_rows(rows)}
    live = candidate("regression", 0.6, "1", way=way)
    chosen, judged = face(rows, trees, linear, baselines, live, params, ())
    assert chosen is linear
    assert judged.evidence.refresh is refresh
