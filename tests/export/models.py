"""Small models of every loss and learner."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from conftest import QUICK, draw_tables
from scoring.packages import LEARNT, encoder_of

from evergreen.scoring.package import Model
from evergreen.training import linear, xgboost
from evergreen.training.losses import TAKES

TREES = [(task, loss) for task, losses in TAKES.items() for loss in losses]
LINEAR = [(task, "linear") for task in TAKES]


@cache
def model_of(task, loss, seeds=(0, 1)):
    """A model of a loss, or of the linear learner."""
    tables = _tables(task, loss)
    learner = linear if loss == "linear" else xgboost
    params = QUICK if loss == "linear" else QUICK.model_copy(update={"loss": loss})
    matrix = learner.build_matrix(tables, params, threads=1)
    boosters = {seed: learner.train(matrix, params, seed).booster for seed in seeds}
    name = "linear" if loss == "linear" else "xgboost"
    return Model(encoder_of(tables), boosters, LEARNT, name)


def _tables(task, loss):
    tables = draw_tables(task)
    if loss not in ("gamma", "tweedie", "poisson"):
        return tables
    parts = {
        name: replace(part, y=np.exp(part.y / 3).round(0 if loss == "poisson" else 6) + 0.1)
        for name in ("train", "validation", "holdout")
        for part in (getattr(tables, name),)
    }
    if loss == "poisson":
        parts = {name: replace(part, y=part.y.round()) for name, part in parts.items()}
    return replace(tables, **parts)
