"""Seeds: how they share the machine, how their results are combined, and which model is kept.

The mean of all seeds averages out the luck of each. Where a single seed is registered it is the
median one, never the best: to pick the best of N is to select on noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from evergreen.errors import InputError
from evergreen.params import Sweep as SweepParams

# What a seed's model is for: to stop early, to be judged, to go live
ROUNDS, JUDGED, LIVE = "rounds", "judged", "live"


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

    def among(self, models: int) -> Slots:
        """Return them where there are only so many models: each gets more threads."""
        jobs = min(self.jobs, models)
        return replace(self, jobs=jobs, threads=self.jobs * self.threads // jobs)


@dataclass(frozen=True)
class Spread:
    """One metric over the seeds: its mean, standard deviation, and the interval of the mean."""

    mean: float
    deviation: float
    low: float
    high: float
    values: tuple[float, ...]  # in order of seed


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
