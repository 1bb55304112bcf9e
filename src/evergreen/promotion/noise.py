"""Noise: how far a metric moves with the rows of a holdout, and with the seed of a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evergreen.evaluation.intervals import resample
from evergreen.metrics.metric import Form

Array = np.ndarray[Any, np.dtype[Any]]
FEWEST_DAYS = 5  # below, rows count as independent: how days differ cannot be seen
MANY_DAYS = 20  # below, a bootstrap of whole days is too sure of itself


@dataclass(frozen=True)
class Resampling:
    """How intervals are found: number of resamples, confidence, and the seed of the draws."""

    resamples: int
    confidence: float
    seed: int


@dataclass(frozen=True)
class Noise:
    """One side in one metric: its values, how they vary with rows, and how they vary with seeds.

    `values`: of each member, shape (members,); `draws`: of these, shape (members, resamples).
    """

    values: Array
    draws: Array
    deviation: float  # over seeds
    seeds: int  # behind the deviation; 0: it is not known

    def rows(self) -> Array:
        """Return draws of the mean over seeds, by rows alone."""
        return np.asarray(self.draws.mean(axis=0))

    def error(self) -> float:
        """Return the variance of the mean over seeds that comes from their number."""
        return max(0.0, self.deviation**2 - self._interaction()) / self.seeds if self.seeds else 0.0

    def _interaction(self) -> float:
        """Return the variance over seeds that comes from rows suiting some seeds more than others.

        A two-way analysis of variance, seeds by rows, both random. In plain words: if each seed is
        good on other rows, then seeds differ on this holdout by chance. That part is in the
        resampled rows already, and must not be counted twice.
        """
        members = len(self.values)
        if members == 1:
            return 0.0
        apart = self.draws - self.draws.mean(axis=0)
        known = apart[:, np.isfinite(apart).all(axis=0)]
        return float(known.var(axis=1).mean()) * members / (members - 1) if known.size else 0.0

    def singles(self, draw: np.random.Generator) -> Array:
        """Return draws of one model: some seed's, on resampled rows."""
        if len(self.values) == 1:
            return self.rows() + draw_seed_noise(self, self, draw) / 2**0.5
        which = draw.integers(0, len(self.values), self.draws.shape[1])
        return np.asarray(self.draws[which, np.arange(self.draws.shape[1])])


def resample_rows(forms: Sequence[Form], rows: int, blocks: Array | None, how: Resampling) -> Array:
    """Return draws of each form, by resampled rows; where there are blocks, whole ones are drawn.

    Source: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8.
    """
    if blocks is None:
        return resample(forms, rows, resamples=how.resamples, seed=how.seed)
    names, which = np.unique(blocks, return_inverse=True)
    summed = [
        Form(
            np.column_stack([np.bincount(which, column, len(names)) for column in form.rows.T]),
            form.of,
        )
        for form in forms
    ]
    return resample(summed, len(names), resamples=how.resamples, seed=how.seed)


def blocks_of(days: Array | None) -> Array | None:
    """Return the blocks that are drawn together: the day of each row, shape (rows,).

    None where days are too few; then each row is drawn by itself.
    """
    return days if days is not None and len(np.unique(days)) >= FEWEST_DAYS else None


def widen(draws: Array, values: Array, blocks: Array | None, confidence: float) -> Array:
    """Return `draws` of `values`, farther from them where blocks are few.

    For b blocks the factor is sqrt(b / (b - 1)) times Student's t over the normal quantile. A
    bootstrap of few blocks takes their spread for known, and for smaller than it is. Source:
    Hesterberg, What teachers should know about the bootstrap, 2015, section 3.4.
    """
    from scipy.stats import norm, t

    count = MANY_DAYS if blocks is None else len(np.unique(blocks))
    if count >= MANY_DAYS:
        return draws
    edge = (1 + confidence) / 2
    return np.asarray(
        values
        + (draws - values) * (count / (count - 1)) ** 0.5 * t.ppf(edge, count - 1) / norm.ppf(edge)
    )


def draw_seed_noise(old: Noise, new: Noise, draw: np.random.Generator) -> Array:
    """Return draws of what the seeds of both sides add to the difference, shape (resamples,).

    Few seeds know their own spread badly, so the draws are of Student's t, which is wider than a
    normal the fewer the seeds. How many degrees of freedom two sweeps of unequal spread have
    together: Welch, 1947, after Satterthwaite.
    """
    parts = [(side.error(), side.seeds) for side in (old, new)]
    total = sum(error for error, _ in parts)
    if not total:
        return np.zeros(old.draws.shape[1])
    freedom = total**2 / sum(error**2 / (seeds - 1) for error, seeds in parts if seeds > 1)
    return np.asarray(total**0.5 * draw.standard_t(freedom, old.draws.shape[1]))
