"""TRAIN: what learners are given and asked for, by task, by time and by key, and of few rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
from recipes.farm import a_farm
from recipes.plain import (
    params_of,
    plain,
    within,
)

from evergreen.features import prepare
from evergreen.params import Params
from evergreen.project import Project
from evergreen.quality.held_batches import find_held
from evergreen.training import linear, tables, xgboost
from evergreen.training.rounds import Rounds, Stop
from evergreen.training.seeds import share_cores
from evergreen.training.tables import Tables


def encoded(given: Tables) -> Any:
    """Return what a learner is given."""
    parts = [[part.x, part.y, part.keys.tolist() if part.keys is not None else None, len(part)]
             for part in (given.train, given.validation, given.holdout)]  # fmt: skip
    places = [[fold.train, fold.validation, fold.holdout] for fold in given.folds]
    return plain(
        [
            given.task,
            given.features,
            given.categories,
            given.classes,
            parts,
            places,
            given.rows_learnt(),
        ]
    )


LOADERS: dict[str, Callable[[Project], Tables]] = {
    "tables": tables.load_tables, "stopping": tables.load_stopping, "judged": tables.load_judged,
    "before the holdout": tables.load_before_holdout, "all": tables.load_all,
}  # fmt: skip


@contextmanager
def noted() -> Iterator[list[Any]]:
    """Note what XGBoost is called with: its releases' results differ by more than rounding."""
    import xgboost as xgb

    asked: list[Any] = []

    def boost(how: Any, matrix: Any, num_boost_round: int, **more: Any) -> Any:
        stops = [[stop.rounds, stop.data, stop.save_best] for stop in more.get("callbacks", [])]
        rows = [
            [part.num_row(), part.num_col(), name]
            for part, name in more.get("evals", [(matrix, "")])
        ]
        asked.append(
            [
                how,
                num_boost_round,
                rows,
                stops,
                matrix.feature_names,
                matrix.get_label(),
            ]
        )
        return real(how, matrix, num_boost_round=num_boost_round, **more)

    real = xgb.train
    with mock.patch.object(xgb, "train", boost):
        yield asked


def boosted(given: Tables, params: Params) -> Any:
    """Return what XGBoost is asked for, and what of its answer no release changes."""
    found: list[Any] = []
    for part in given.parts()[:2]:
        with noted() as asked:
            matrix = xgboost.build_matrix(part, params.train, 1)
            model = xgboost.train(matrix, params.train, 1, threads=1)
        loaded, y = xgboost.load(model.booster), part.train.y
        said, losses = loaded.predict(part.train.x), model.history.get("validation", ())
        best = (
            losses.index(min(losses)) + 1 == model.rounds
            if losses
            else model.rounds == params.train.rounds
        )
        gap = said - y if said.ndim == 1 else said.argmax(axis=1) != y
        learnt = float(np.mean(gap.astype(float) ** 2)) < 0.7 * float(np.var(y))
        shown = [
            list(said.shape),
            str(said.dtype),
            sorted(model.history),
            best,
            learnt,
            bool(loaded.gains()),
        ]
        found.append(plain([asked, shown]))
    return found


def straight(given: Tables, params: Params) -> Any:
    """Return what the linear model says, and its weights, nearly: scikit-learn iterates."""
    found: list[Any] = []
    for part in given.parts()[:2]:
        model = linear.train(linear.build_matrix(part, params.train, 1), params.train, 1)
        said = linear.load(model.booster).predict(part.train.x)
        level = said.reshape(len(said), -1)
        shown = [level.mean(axis=0), level.std(axis=0), level[:3]]
        found.append(
            [
                model.rounds,
                list(said.shape),
                str(said.dtype),
                within(0.01, [shown, json.loads(model.booster)]),
            ]
        )
    return found


def models_of(variant: str) -> Any:
    """Return what learners are given of a project, and what they make of it."""
    with a_farm(variant) as (project, dataset, params):
        prepare.prepare(project, dataset, params, find_held)
        given = {name: load(project) for name, load in LOADERS.items()}
        boosts = [boosted(given[name], params) for name in ("tables", "stopping", "judged")]
        return [
            {name: encoded(part) for name, part in given.items()},
            boosts,
            straight(given["judged"], params),
        ]


def _shared(params: Params, cores: int, device: str) -> dict[str, int]:
    slots = share_cores(params.sweep, cores, device)
    return {"jobs": slots.jobs, "threads": slots.threads}


def a_sweep() -> Any:
    """Return how seeds share cores, and how many rounds are boosted."""
    machines = ((10, None, 4, "cpu"), (2, None, 8, "cpu"), (5, 3, 8, "cuda"))
    slots = [
        _shared(params_of(sweep={"seeds": seeds, "jobs": jobs}), cores, device)
        for seeds, jobs, cores, device in machines
    ]
    found = (([(3, 90), (9, 80), (4, 70)], 150, 50), ([(40, 10)], 90, 50), ([(0, 5)], 5, 9))
    scaled = [
        Rounds(tuple(Stop("", before, (kept,)) for kept, before in stops), at_most).on(rows)
        for stops, rows, at_most in found
    ]
    return plain([slots, scaled])


VARIANTS = ("binary", "multiclass", "regression", "neither", "few rows", "few rows, no time")
CASES: dict[str, Callable[[], Any]] = {
    **{name: partial(models_of, name) for name in VARIANTS},
    "a sweep": a_sweep,
}
