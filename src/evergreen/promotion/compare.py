"""Compare: is the challenger better than the champion beyond the noise, on rows new to both?

Two kinds of noise meet in every difference: which rows the holdout happens to hold, and which seed
the training had. Rows are resampled, both models meeting the same resamples (a paired bootstrap);
the seeds of both sweeps show how far a seed moves the metric. What is compared is therefore the
*way of training*: its mean over seeds, or its ensemble where that is what is registered. The two
packaged models are compared as well, by rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from evergreen.errors import InputError
from evergreen.evaluation.intervals import interval
from evergreen.metrics.metric import Metrics
from evergreen.metrics.table import LIBRARY
from evergreen.promotion.noise import (
    Noise,
    Resampling,
    blocks_of,
    draw_seed_noise,
    resample_rows,
    widen,
)

Array = np.ndarray[Any, np.dtype[Any]]
FEWEST_ROWS = 30  # below, no metric of a slice means anything
FEWEST_OF_CLASS = 5  # of either class of a binary label


@dataclass(frozen=True)
class Side:
    """One model on the holdout: its own predictions, and those of every seed of its sweep.

    `prediction`: shape (rows,) or (rows, classes), of the packaged model. `seeds`: as many arrays
    of that shape as the sweep has models. `averaged`: the packaged model is the mean of all seeds,
    not one of them.
    """

    prediction: Array = field(repr=False)
    seeds: tuple[Array, ...] = field(repr=False, default=())
    averaged: bool = False


@dataclass(frozen=True)
class Difference:
    """How much better the challenger is in one metric, so that more is better, with its interval.

    `champion` and `challenger` are the metric's values. `probability`: that a challenger trained
    with some seed beats a champion trained with some seed on some such rows (Bouthillier et al.,
    Accounting for variance in machine learning benchmarks, 2021, recommend acting from 0.75 on).
    `chance_better`: the share of the interval's draws above zero.
    """

    champion: float
    challenger: float
    value: float
    low: float
    high: float
    probability: float
    chance_better: float


@dataclass(frozen=True)
class Lead:
    """A metric's value of either side, and draws of the lead, so that more is better, shape (resamples,).

    `means`: of the way of training; `singles`: of one model of either.
    """

    before: float
    after: float
    means: Array = field(repr=False)
    singles: Array = field(repr=False)


@dataclass(frozen=True)
class Comparison:
    """How the challenger does on the rows beside the champion, and beside the baselines."""

    task: str
    metric: str  # the one that decides
    rows: int
    # Metric -> over all rows, rows' and seeds' noise; empty without a champion
    whole: dict[str, Difference]
    models: Difference | None  # the two packaged models in `metric`, rows' noise only
    slices: dict[str, Difference | None]  # "carrier=AA" -> in `metric`; None: too few rows to judge
    # "constant", "linear" -> the challenger beside it, in `metric`
    baselines: dict[str, Difference]
    by_seed: dict[str, tuple[float, ...]]  # "champion", "challenger" -> `metric` of each seed


@dataclass(frozen=True)
class Rows:
    """The rows of a comparison: labels, shape (rows,), and a mask of that shape for each slice."""

    task: str
    y: Array = field(repr=False)
    slices: Mapping[str, Array] = field(repr=False, default_factory=dict)
    # Rows of one block, a day say, vary together
    blocks: Array | None = field(repr=False, default=None)
    metrics: Metrics = field(repr=False, default=LIBRARY)


def check_unseen(keys: Array, **seen: Array) -> None:
    """Raise InputError where a model has learnt from one of the rows.

    `keys`: hashes of the rows' keys, shape (rows,). `seen`: by model, the hashes of its training
    and early-stopping rows.
    """
    for model, learnt in seen.items():
        if common := int(np.isin(keys, learnt).sum()):
            raise InputError(
                f"{common:,} of {len(keys):,} rows of the comparison were in the training data "
                f"of the {model}, so that it would be biased: compare on newer rows "
                "(`evergreen ingest --next`), or look for rows that came in two batches"
            )


def compare(
    rows: Rows,
    champion: Side | None,
    challenger: Side,
    baselines: Mapping[str, Array],
    metric: str,
    how: Resampling,
) -> Comparison:
    """Return how the challenger does beside the champion, if any, and beside each baseline.

    `baselines`: their predictions. Where the rows cannot judge a model there is no difference, and
    no seed has a value.
    """
    sides = {"challenger": challenger} | ({"champion": champion} if champion else {})
    if not is_defined(rows.task, rows.y):
        unknown = {name: (float("nan"),) * len(side.seeds) for name, side in sides.items()}
        return Comparison(rows.task, metric, len(rows.y), {}, None, {}, {}, unknown)
    # Many slices are compared: each interval is as much wider as keeps the chance of one false
    # alarm among all of them where it was for a single one (Bonferroni's correction).
    apart = replace(how, confidence=1 - (1 - how.confidence) / max(1, len(rows.slices)))
    return Comparison(
        task=rows.task,
        metric=metric,
        rows=len(rows.y),
        whole=_each(
            rows.metrics.of(rows.task),
            lambda name: difference(rows, name, champion, challenger, how),
        )
        if champion
        else {},
        models=difference(rows, metric, Side(champion.prediction), Side(challenger.prediction), how)
        if champion
        else None,
        slices={
            name: difference(rows, metric, champion, challenger, apart, np.flatnonzero(mask))
            if champion
            else None
            for name, mask in rows.slices.items()
        },
        baselines=_each(
            baselines, lambda name: difference(rows, metric, Side(baselines[name]), challenger, how)
        ),
        by_seed={
            name: tuple(
                rows.metrics[metric].weighted(rows.y, seed)(np.ones(len(rows.y)))
                for seed in side.seeds
            )
            for name, side in sides.items()
        },
    )


def difference(
    rows: Rows,
    metric: str,
    champion: Side,
    challenger: Side,
    how: Resampling,
    at: Array | None = None,
) -> Difference | None:
    """Return the challenger's lead in `metric` on the rows `at` (indices; None: all).

    None where the rows cannot judge a model.
    """
    lead = draw_lead(rows, metric, champion, challenger, how, at)
    if lead is None:
        return None
    return Difference(
        lead.before,
        lead.after,
        rows.metrics[metric].sign * (lead.after - lead.before),
        *interval(lead.means, how.confidence),
        share_above(lead.singles),
        share_above(lead.means),
    )


def draw_lead(
    rows: Rows,
    metric: str,
    champion: Side,
    challenger: Side,
    how: Resampling,
    at: Array | None = None,
) -> Lead | None:
    """Return the draws behind `difference`; None where the rows cannot judge a model."""
    y = rows.y if at is None else rows.y[at]
    if not is_defined(rows.task, y):
        return None
    blocks = rows.blocks
    if at is not None and blocks is not None:
        blocks = blocks_of(blocks[at])
        if blocks is None:  # with four days, one slice in sixteen is worse on all of them by chance
            return None
    sides = (champion, challenger)
    members = [
        side.seeds if side.seeds and not side.averaged else (side.prediction,) for side in sides
    ]
    forms = [
        rows.metrics[metric].weighted(y, prediction if at is None else prediction[at])
        for group in members
        for prediction in group
    ]
    values = np.array([form(np.ones(len(y))) for form in forms])
    draws = widen(
        resample_rows(forms, len(y), blocks, how), values[:, None], blocks, how.confidence
    )
    unknown = [bool(np.isnan(prediction).any()) for group in members for prediction in group]
    # A rank or a class would be found for what is no number
    values[unknown] = draws[unknown] = np.nan
    cut = len(members[0])
    old = Noise(values[:cut], draws[:cut], *_spread(rows, metric, champion, at, values[:cut]))
    new = Noise(values[cut:], draws[cut:], *_spread(rows, metric, challenger, at, values[cut:]))
    sign = rows.metrics[metric].sign
    # How the interval comes about: the same resampled rows give a value of either side, which
    # differ less than either varies (paired). To each such difference a random amount is added, as
    # large as the seeds of both sweeps scatter. The middle 95% of these draws are the interval.
    draw = np.random.default_rng([how.seed, 1])
    means = sign * (new.rows() - old.rows() + draw_seed_noise(old, new, draw))
    singles = sign * (new.singles(draw) - old.singles(draw))
    before, after = float(old.values.mean()), float(new.values.mean())
    return Lead(before, after, means, singles)


def _spread(
    rows: Rows, metric: str, side: Side, at: Array | None, values: Array
) -> tuple[float, int]:
    if len(side.seeds) < 2:
        return 0.0, 0
    if side.averaged:
        chosen = slice(None) if at is None else at
        ones = np.ones(len(rows.y[chosen]))
        values = np.array(
            [
                rows.metrics[metric].weighted(rows.y[chosen], seed[chosen])(ones)
                for seed in side.seeds
            ]
        )
    return float(values.std(ddof=1)), len(side.seeds)


def _each(names: Iterable[str], find: Callable[[str], Difference | None]) -> dict[str, Difference]:
    return {name: found for name in names if (found := find(name)) is not None}


def is_defined(task: str, y: Array) -> bool:
    """Return True if labels `y` can judge a model: 30 rows, and 5 of either of two classes."""
    if len(y) < FEWEST_ROWS:
        return False
    return task != "binary" or bool(min((y == 1).sum(), (y != 1).sum()) >= FEWEST_OF_CLASS)


def share_above(draws: Array) -> float:
    """Return the share of `draws` above zero, ties counting half."""
    known = draws[np.isfinite(draws)]
    return float((known > 0).mean() + (known == 0).mean() / 2) if len(known) else float("nan")
