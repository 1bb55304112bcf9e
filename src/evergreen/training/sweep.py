"""Sweep: how the seeds share the machine, how their results are combined, and which model is kept.

The mean of all seeds averages out the luck of each. Where a single seed is registered it is the
median one, never the best: to pick the best of N is to select on noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from evergreen import recipes
from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.files import sha256_of, sha256_of_own
from evergreen.params import Params
from evergreen.params import Sweep as SweepParams
from evergreen.training.learner import find_learner, is_librarys

# What a seed's model is for: to stop early, to be judged, to go live
ROUNDS, JUDGED, LIVE = "rounds", "judged", "live"
ROUND_SEEDS = 3  # that early stopping asks how many rounds to boost


@dataclass(frozen=True)
class Slots:
    """How many seeds train at once, with how many threads each.

    `on_disk`: their rows lie in files, which one of them reads at a time.
    """

    jobs: int
    threads: int
    on_disk: bool = False

    def in_turn(self) -> Slots:
        """Return them for rows that lie in files: one seed at a time gets all threads."""
        return Slots(1, self.jobs * self.threads, on_disk=True)


@dataclass(frozen=True)
class Spread:
    """One metric over the seeds: its mean, standard deviation, and the interval of the mean."""

    mean: float
    deviation: float
    low: float
    high: float
    values: tuple[float, ...]  # in order of seed


def seed_fingerprint(data: str, params: Params, device: str, seed: int) -> str:
    """Return the fingerprint of one seed's model: equal ones on a CPU mean equal bytes.

    `data`: what stands for the rows it learns from (`Tables.digest`, or the version of all
    features).
    """
    chosen = params.train.chosen(params.task, exclude={"device", "refit"})
    learner = find_learner(params.train.learner)
    versions = [version(library) for library in learner.LIBRARIES]
    return sha256_of(
        data, params.task, chosen, device, seed, versions, recipe_of(params.train.learner)
    )


def way_of(dataset: Dataset, params: Params, name: str) -> str:
    """Return the fingerprint of how the learner `name` trains, rows and seeds aside.

    Between models of equal fingerprints only the data differ. It is of the recipe (and an own
    learner's code), the learner's parameters, the task and what `dataset.py` makes of a row.
    """
    chosen: dict[str, Any] = (
        params.train.chosen(params.task, exclude={"device"}) if name == params.train.learner else {}
    )
    learner = find_learner(name)
    features = {
        name: feature.meta.serialize(format="json") for name, feature in dataset.features.items()
    }
    label, left_out = (
        dataset.label.meta.serialize(format="json"),
        [*map(str, dataset.left_out.values())],
    )
    versions = [version(library) for library in learner.LIBRARIES]
    how = (
        params.task,
        params.sweep.model,
        params.prepare.model_dump(),
        chosen,
        features,
        label,
        left_out,
        versions,
    )
    return sha256_of(name, how, recipe_of(name))


def recipe_of(name: str) -> str:
    """Return the fingerprint of the recipe of training by the learner `name`.

    It holds the code of a learner that is the user's own.
    """
    return sha256_of(
        recipes.TRAIN, None if is_librarys(name) else sha256_of_own(find_learner(name).__file__)
    )


def sweep_fingerprint(data: str, params: Params, device: str) -> str:
    """Return the fingerprint of a training run: its seeds, how they are judged and combined."""
    seeds = [seed_fingerprint(data, params, device, seed) for seed in params.sweep.seed_list()]
    gates = [
        section.model_dump()
        for section in (params.evaluate, params.leaks, params.bias, params.gate)
    ]
    how = (params.sweep.model, params.tracking.model, params.train.refit, gates)
    own = [params.extensions.code] if params.extensions.code else []
    return sha256_of(seeds, how, version("scikit-learn"), recipes.JUDGE, *own)


def share_cores(params: SweepParams, cores: int, device: str, models: int | None = None) -> Slots:
    """Return how many models to train side by side so that no core is asked for twice.

    `models`: how many there are; None: one for each seed.
    Seeds with one thread each waste the least: threads of one model wait for each other at every
    tree level. A GPU takes one at a time.
    """
    at_most = 1 if device == "cuda" else cores
    jobs = max(1, min(params.jobs or at_most, at_most, models or params.seeds))
    return Slots(jobs, max(1, cores // jobs))


def summarize(values: Iterable[float], confidence: float) -> Spread:
    """Return the spread of one metric over seeds, with Student's t interval of the mean.

    The interval is NaN for a single seed.
    """
    from scipy import stats

    array = np.asarray(tuple(values), dtype=float)
    mean, deviation = (
        float(array.mean()),
        float(array.std(ddof=1)) if len(array) > 1 else float("nan"),
    )
    half = float(stats.t.ppf((1 + confidence) / 2, len(array) - 1)) * deviation / len(array) ** 0.5
    return Spread(mean, deviation, mean - half, mean + half, tuple(array.tolist()))


def scale_rounds(found: Sequence[int], before: int, after: int, at_most: int) -> int:
    """Return how many rounds to boost on `after` rows.

    `found`: rounds that early stopping kept on `before` rows, by seed. The median over the seeds,
    as much more as there are more rows: more data bears more rounds, and a few too many cost less
    than a few too few (`python -m benchmarks.rounds`).
    """
    return max(1, min(at_most, round(float(np.median(found)) * max(1.0, after / before))))


def choose(trained: Mapping[int, float], model: str) -> tuple[int, ...]:
    """Return the seeds whose models are registered, given each seed's loss: the median one, or all.

    With an even number of seeds the better of the two middle ones is taken; ties go to the lower
    seed.
    """
    if not trained:
        raise InputError("no seed trained: see the log of each seed's task; nothing was registered")
    if model == "mean":
        return tuple(sorted(trained))
    ranked = sorted(trained, key=lambda seed: (trained[seed], seed))
    return (ranked[(len(ranked) - 1) // 2],)
