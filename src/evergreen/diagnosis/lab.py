"""Lab: trials of one change at a time, all judged on the same rows, and compared beyond luck.

The rows that judge are older than the newest batch, which judges the model of a run: whoever mends
a model by what is found here has not looked at what its gate will ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from evergreen.evaluation.baselines import predict_constant
from evergreen.metrics.table import LIBRARY
from evergreen.params import Train
from evergreen.training.cross_validation import fit_side_by_side
from evergreen.training.learner import Trained, find_learner
from evergreen.training.tables import Places, Table, Tables

Array = np.ndarray[Any, np.dtype[Any]]
SURE = 3.0  # standard errors: some twenty changes are tried, and none may win by luck
LEAST = 0.003  # smallest gain that matters, as a share of the loss of a constant prediction
OF_REST = 0.05  # and of what the model saves of that loss, or of what it leaves, the smaller


@dataclass(frozen=True)
class Trial:
    """What a few seeds made of some rows and parameters.

    `losses`: of each seed for each judged row, shape (seeds, rows). `fitted`: the mean loss on the
    rows learnt from. `p`: the mean prediction over seeds for the judged rows.
    """

    losses: Array = field(repr=False)
    fitted: float
    p: Array = field(repr=False)
    trained: tuple[Trained, ...] = field(repr=False)

    @property
    def loss(self) -> float:
        """The mean loss on the judged rows."""
        return float(self.losses.mean())

    @property
    def rounds(self) -> int:
        """How many rounds were kept, the median over seeds."""
        return int(np.median([model.rounds for model in self.trained]))

    @property
    def spread(self) -> float:
        """The variance of the mean loss of a seed."""
        seeds = self.losses.mean(axis=1)
        return float(seeds.var(ddof=1)) if len(seeds) > 1 else 0.0


@dataclass(frozen=True)
class Gain:
    """How much less the loss is, as a share of the loss of a constant prediction.

    `error`: its standard error, of rows and of seeds.
    """

    value: float
    error: float

    @property
    def low(self) -> float:
        """What it is at least."""
        return self.value - SURE * self.error

    @property
    def high(self) -> float:
        """What it is at most."""
        return self.value + SURE * self.error


@dataclass(frozen=True)
class Lab:
    """Rows to learn from, rows that stop a training (`tables.validation`), and rows that judge.

    The judging ones are `tables.holdout` here, though they are not the newest batch. `in_time`:
    whether rows are in the order of time. `days`: of the judging rows, which err alike within one,
    shape (rows,); None: each row does so alone.
    """

    tables: Tables
    params: Train
    seeds: tuple[int, ...] = (0, 1, 2)
    jobs: int = 1
    in_time: bool = True
    days: Array | None = field(repr=False, default=None)
    _seen: dict[str, Trial] = field(default_factory=dict, repr=False)
    _spreads: list[float] = field(default_factory=list, repr=False)

    def with_params(self, **changes: Any) -> Lab:
        """Return a lab that goes by other parameters; what was tried with them is remembered."""
        return replace(self, params=self.params.model_copy(update=changes))

    @property
    def base(self) -> Trial:
        """The trial of the parameters as they are; made once."""
        known = self.params.model_dump_json()
        if known not in self._seen:
            self._seen[known] = self.fit(self.tables)
            self._spreads.append(self._seen[known].spread)
        return self._seen[known]

    def on(self, train: Table) -> Trial:
        """Train on other rows, stopped and judged by the same."""
        return self.fit(replace(self.tables, train=train))

    def fit(self, tables: Tables) -> Trial:
        """Train on other tables."""
        params = self.params
        trained = fit_side_by_side(
            tables, params, self.seeds, device="cpu", jobs=self.jobs, threads=1
        )
        load = find_learner(params.learner).load
        models = [load(model.booster) for model in trained]
        said = [model.predict(tables.holdout.x) for model in models]
        fitted = models[0].predict(tables.train.x)
        return Trial(
            np.stack([losses_of(tables.task, tables.holdout.y, p) for p in said]),
            float(losses_of(tables.task, tables.train.y, fitted).mean()),
            np.mean(said, axis=0),
            tuple(trained),
        )

    @cached_property
    def constant(self) -> float:
        """The loss of a constant prediction, that of the rows learnt from."""
        return float(constant_losses(self.tables).mean())

    def skill(self, trial: Trial) -> float:
        """Return which share of the loss of a constant prediction a model saves."""
        return 1 - trial.loss / self.constant

    def gain(self, better: Trial, worse: Trial) -> Gain:
        """Return how much better a trial is than another."""
        return self.gain_of_losses(better.losses.mean(axis=0), worse.losses.mean(axis=0))

    def gain_of_losses(
        self, better: Array, worse: Array, *, seeds: bool = True, days: Array | None = None
    ) -> Gain:
        """Return how much less the losses `better` are than `worse`, both of shape (rows,).

        `seeds`: whether they are of models of different seeds. `days`: of the rows, where they are
        not all that judge. The variance over seeds is that of all trials of all rows so far: a few
        seeds alone do not tell it.
        """
        days = self.days if days is None and len(better) == len(self.tables.holdout) else days
        difference = worse.astype(np.float64) - better
        luck = 2 * float(np.mean(self._spreads or [0.0])) / len(self.seeds) if seeds else 0.0
        error = float(np.sqrt(variance_of_mean(difference, days) + luck))
        return Gain(float(difference.mean()) / self.constant, error / self.constant)

    def matters(self, gain: Gain) -> bool:
        """Return whether a gain is sure, and large enough to act on."""
        return gain.low > 0 and gain.value >= self.least

    @property
    def least(self) -> float:
        """The smallest gain that matters."""
        skill = self.skill(self.base)
        return max(LEAST, OF_REST * min(skill, 1 - skill))


def losses_of(task: str, y: Array, p: Array) -> Array:
    """Return the loss of each row, shape (rows,): log loss, or the squared error."""
    metric = LIBRARY[LIBRARY.loss(task)]
    assert metric.losses
    return metric.losses(y, p)


def constant_losses(tables: Tables) -> Array:
    """Return the loss of each judged row for the mean of the rows learnt from, shape (rows,)."""
    return losses_of(tables.task, tables.holdout.y, predict_constant(tables))


def variance_of_mean(values: Array, days: Array | None = None) -> float:
    """Return the variance of the mean of `values`, shape (rows,); those of one day vary together.

    Source: Liang and Zeger, Longitudinal data analysis using generalized linear models, 1986.
    """
    if len(values) < 2:
        return float("inf")
    plain = float(values.var(ddof=1)) / len(values)
    if days is None:
        return plain
    which = np.unique(days, return_inverse=True)[1]
    sums = np.bincount(which, values - values.mean())
    if len(sums) < 2:
        return plain
    together = float((sums**2).sum()) / len(values) ** 2 * len(sums) / (len(sums) - 1)
    return max(plain, together)


def thin(count: int, rows: int, seed: int = 0) -> Places:
    """Return the places of at most so many of `count` rows, drawn at random, in their order."""
    if count <= rows:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, rows, replace=False))


def subsets(table: Table, shares: Sequence[float], seed: int = 0) -> list[Table]:
    """Return a random part of the rows for each share, each within the next larger."""
    order = np.random.default_rng(seed).permutation(len(table))
    return [table.take(np.sort(order[: max(1, round(share * len(table)))])) for share in shares]
