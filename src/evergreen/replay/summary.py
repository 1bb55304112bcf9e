"""Summary: the mean of one policy's steps with its interval, and the best in hindsight."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from evergreen.errors import InputError
from evergreen.evaluation.intervals import Estimate, interval
from evergreen.metrics.metric import Metric
from evergreen.replay.outcome import NOTHING, PROMOTED, TRAINED, Aged, PolicyOutcome, Step

Array = np.ndarray[Any, np.dtype[Any]]


def summarize(
    policy: str,
    steps: Sequence[Step],
    draws: Sequence[Array],
    seconds: float,
    uncounted: Collection[str],
    metric: str,
    confidence: float,
) -> PolicyOutcome:
    """Return the mean of `metric` over `steps`, weighted by rows, with its interval; the gain is 0.

    `draws`: of the metric of each step, shape (resamples,); `uncounted`: batches that are in no
    mean. Raises InputError where no step has a value.
    """
    counted = [
        (step, drawn)
        for step, drawn in zip(steps, draws, strict=True)
        if np.isfinite(step.value) and step.batch not in uncounted
    ]
    if not counted:
        raise InputError(f"no batch after the first champion could measure {metric}: add batches")
    weights = np.array([step.rows for step, _ in counted], float)
    mean = np.average([drawn for _, drawn in counted], axis=0, weights=weights)
    value = float(np.average([step.value for step, _ in counted], weights=weights))
    actions = [step.action for step in steps]
    return PolicyOutcome(
        policy=policy,
        steps=tuple(steps),
        retrainings=sum(action in TRAINED for action in actions),
        promotions=actions.count(PROMOTED),
        seconds=seconds,
        mean=Estimate(value, *interval(mean, confidence)),
        gain=Estimate(0.0, 0.0, 0.0),
        draws=mean,
    )


def best_in_hindsight(
    steps: Sequence[Step], ages: Sequence[Aged], metric: Metric, confidence: float
) -> tuple[list[Step], list[Array]]:
    """Return for each of `steps` the best of all champions made before its batch, and its draws."""

    def score(aged: Aged) -> float:
        return metric.sign * aged.value if np.isfinite(aged.value) else -np.inf

    best = [max((aged for aged in ages if aged.batch == step.batch), key=score) for step in steps]
    found = [
        Step(
            step.batch,
            step.rows,
            aged.value,
            *interval(aged.draws, confidence),
            aged.champion,
            NOTHING,
            "known afterwards only",
        )
        for step, aged in zip(steps, best, strict=True)
    ]
    return found, [aged.draws for aged in best]
