"""Parity: how far the same training is apart on two devices, beside how far two seeds are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from evergreen.evaluation.evaluate import measure_seed
from evergreen.finding import count
from evergreen.params import Params
from evergreen.training.learner import find_learner
from evergreen.training.tables import Tables

Array = np.ndarray[Any, np.dtype[Any]]
SEEDS = 3
ROUNDS = 100  # at most: each tree adds to what rounding did to those before
ROWS = 100_000  # that train at most, the newest
OTHER = 2  # spreads of seeds that the metric may be apart


@dataclass(frozen=True)
class Trial:
    """What one way of training gave, by seed: bytes, predictions of the holdout, the metric."""

    models: Mapping[int, bytes] = field(repr=False)
    predicted: Mapping[int, Array] = field(repr=False)
    metric: Mapping[int, float]

    @property
    def spread(self) -> float:
        """The standard deviation of the metric over seeds."""
        return float(np.std([*self.metric.values()], ddof=1))

    @property
    def typical(self) -> float:
        """How far predictions of two seeds are apart: the mean over rows and neighbouring seeds."""
        pairs = pairwise(self.predicted.values())
        return float(np.mean([np.abs(first - second).mean() for first, second in pairs]))


@dataclass(frozen=True)
class Distance:
    """How far two ways are apart, seed by seed."""

    same: bool  # all bytes
    largest: float  # difference of two predictions for one row
    mean: float  # of all such
    metric: float  # the mean difference of the metric

    @classmethod
    def between(cls, first: Trial, second: Trial) -> Distance:
        """Return how far `second` is from `first`."""
        off = [np.abs(first.predicted[at] - second.predicted[at]) for at in first.predicted]
        moved = [second.metric[at] - first.metric[at] for at in first.metric]
        return cls(
            dict(first.models) == dict(second.models),
            float(max(far.max() for far in off)),
            float(np.mean([far.mean() for far in off])),
            float(np.mean(moved)),
        )


def try_way(tables: Tables, params: Params, device: str, seeds: Sequence[int]) -> Trial:
    """Train some seeds on a device, a fixed number of rounds, and judge them by the holdout."""
    how, learner = params.train, find_learner(params.train.learner)
    fixed = how.model_copy(update={"rounds": min(ROUNDS, how.rounds)})
    matrix = learner.build_matrix(replace(tables, validation=tables.train.none()), fixed)
    models = {seed: learner.train(matrix, fixed, seed, device=device).booster for seed in seeds}
    name = params.metrics.pick(params.gate.metric, tables.task)
    return Trial(
        models,
        {seed: learner.load(model).predict(tables.holdout.x) for seed, model in models.items()},
        {
            seed: measure_seed(tables, model, how.learner, metrics=params.metrics)[name]
            for seed, model in models.items()
        },
    )


def find_parity(tables: Tables, params: Params, other: str = "cuda") -> tuple[bool, str]:
    """Return whether a GPU learns what the CPU learns, and how far they are apart, in words.

    They do where the metric differs by at most twice what it differs between seeds. Bytes differ:
    a GPU adds in another order.
    """
    first = max(0, len(tables.train) - ROWS)
    if first:
        tables = replace(tables, train=tables.train.take(np.arange(first, len(tables.train))))
    start = params.sweep.first_seed
    seeds = range(start, start + SEEDS)
    here, there = (try_way(tables, params, device, seeds) for device in ("cpu", other))
    apart = Distance.between(here, there)
    name = params.metrics.pick(params.gate.metric, tables.task)
    same = "the same bytes" if apart.same else "other bytes"
    fine = abs(apart.metric) <= OTHER * here.spread
    return fine, (
        f"{count(SEEDS, 'seed')} on {len(tables.train):,} rows, on cpu and {other}: {same}; "
        f"predictions of {len(tables.holdout):,} rows differ by {apart.mean:.2g} on average and "
        f"{apart.largest:.2g} at most, those of two seeds by {here.typical:.2g} on average; {name} "
        f"by {apart.metric:+.2g}, where its spread over seeds is {here.spread:.2g}"
    )
