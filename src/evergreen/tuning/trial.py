"""Trial: one way of training, tried with some seeds on some cuts, all in memory.

    cuts = find_cuts(project, params)
    now = run_trial(cuts, params, seeds=(0, 1, 2))
    deeper = run_trial(cuts, params.override(train={"max_depth": 9}), seeds=(0, 1, 2))
    print(compare_trials(cuts, now, deeper, params).says("now", "deeper"))

A model stops early on the rows before those that judge it, and is judged by what it has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evergreen.errors import InputError
from evergreen.params import Params, Train
from evergreen.params.train import WEIGHTED
from evergreen.training.device import count_cores, pick_device
from evergreen.training.learner import Trained, find_learner, is_librarys
from evergreen.training.seeds import share_cores
from evergreen.tuning.cuts import Cut

Array = np.ndarray[Any, np.dtype[Any]]
HELD = 2  # settings whose matrices are kept at a time


@dataclass(frozen=True)
class Fit:
    """The model of one seed on one cut, and what it says of the rows that judge.

    `metrics`: each of the task's, by name. `predictions`: shape (rows,) or (rows, classes).
    """

    cut: str
    trained: Trained = field(repr=False)
    metrics: Mapping[str, float]
    predictions: Array = field(repr=False)

    @property
    def seed(self) -> int:
        """The seed that it was trained with."""
        return self.trained.seed


@dataclass(frozen=True)
class Trial:
    """What became of one way of training; `fits`: seed by seed, of each cut in order."""

    train: Train
    fits: tuple[Fit, ...]

    def mean(self, metric: str) -> float:
        """Return the mean of a metric over seeds and cuts."""
        return float(np.mean([fit.metrics[metric] for fit in self.fits]))

    def of(self, cut: Cut) -> tuple[Fit, ...]:
        """Return what was fitted on a cut, seed by seed."""
        return tuple(fit for fit in self.fits if fit.cut == cut.name)


Report = Callable[[Sequence[Fit]], None]


class Matrices:
    """The binned rows of cuts, made once for all trials that bin them in the same way."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], dict[str, Any]] = {}

    def find(self, cut: Cut, params: Train, threads: int) -> Any:
        """Return the rows of a cut as the learner takes them."""
        # What decides on bins and weights; a learner of the user's own may look at any parameter
        own = () if is_librarys(params.learner) else (params.model_dump_json(),)
        weight = params.positive_weight if params.loss == WEIGHTED else None
        key = (params.learner, params.max_bin, params.loss == WEIGHTED, weight, *own)
        of_cut = self._known.setdefault(key, {})
        while len(self._known) > HELD:
            self._known.pop(next(known for known in self._known if known != key))
        if cut.name not in of_cut:
            of_cut[cut.name] = find_learner(params.learner).build_matrix(
                cut.tables, params, threads
            )
        return of_cut[cut.name]


def run_trial(
    cuts: Sequence[Cut],
    params: Params,
    seeds: Sequence[int],
    *,
    matrices: Matrices | None = None,
    report: Report | None = None,
) -> Trial:
    """Return what `params.train` is worth with each seed on each cut.

    `matrices`: shared by trials on the same cuts. `report` is called with all fits so far after
    each of them, seed by seed and cut by cut; what it raises ends the trial. The same input gives
    the same trial on a CPU. Raises InputError where a model predicts no number.
    """
    matrices, fits = matrices or Matrices(), list[Fit]()
    device = pick_device(params.train.device)
    slots = share_cores(params.sweep, count_cores(), device, models=len(cuts))
    binned = [matrices.find(cut, params.train, slots.threads) for cut in cuts]
    for seed in seeds:
        with ThreadPoolExecutor(slots.jobs) as pool:
            jobs = [
                pool.submit(_fit, cut, matrix, params, seed, device, slots.threads)
                for cut, matrix in zip(cuts, binned, strict=True)
            ]
        for job in jobs:
            fits.append(job.result())
            if report:
                report(fits)
    return Trial(params.train, tuple(fits))


def _fit(cut: Cut, matrix: Any, params: Params, seed: int, device: str, threads: int) -> Fit:
    learner, judging = find_learner(params.train.learner), cut.tables.holdout
    trained = learner.train(matrix, params.train, seed, device=device, threads=threads)
    said = learner.load(trained.booster).predict(judging.x)
    if not np.isfinite(said).all():
        raise InputError(
            f"{params.train.learner}, seed {seed}: it predicts no number for some rows of "
            f"{cut.name}; change the parameters of train that lead there"
        )
    return Fit(cut.name, trained, params.metrics.measure(cut.tables.task, judging.y, said), said)
