"""Refit: the model that goes live beside the one that was judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from evergreen.features.split import LABEL
from evergreen.params import Params
from evergreen.promotion.candidate import days_of, resampling_of
from evergreen.promotion.compare import Difference, Rows, Side, difference
from evergreen.promotion.evidence import Refit
from evergreen.scoring.package import Model

Array = np.ndarray[Any, np.dtype[Any]]


def compare_refit(
    live: Model,
    judged: Model,
    predicted: Array,
    earlier: pl.DataFrame | None,
    holdout: pl.DataFrame,
    rounds: int,
    params: Params,
) -> Refit:
    """Return how the model that goes live does beside the one that was judged.

    They are compared on `earlier` rows, which both have learnt from, and on the `holdout`, which
    only the live one has. `predicted`: what the judged one predicted for the holdout. `earlier`:
    None where each fold of a cross-validation has learnt from other rows.
    """
    task = judged.encoder.task
    metric = params.metrics.pick(params.gate.metric, task)
    how = resampling_of(params)

    def beside(rows: pl.DataFrame, before: Array) -> Difference | None:
        whole = Rows(
            task, judged.encoder.transform_label(rows[LABEL]), {}, days_of(rows), params.metrics
        )
        return difference(whole, metric, Side(before), Side(live.predict_rows(rows)), how)

    old = beside(earlier, judged.predict_rows(earlier)) if earlier is not None else None
    new = beside(holdout, predicted)
    sign = params.metrics[metric].sign
    # How much better the judged model is on rows that were in its training data than on others
    optimism = sign * (old.champion - new.champion) if old and new else 0.0
    slack = max(0.0, optimism) * max(0.0, 1 - len(judged.learnt.keys) / len(live.learnt.keys))
    return Refit(len(live.learnt.keys), live.learnt.newest, rounds, old, new, slack)


def distance(first: Array, other: Array) -> float:
    """Return the largest distance between predictions: 0 only where they are equal bit for bit."""
    if first.shape != other.shape:
        return float("inf")
    return (
        0.0
        if first.tobytes() == other.tobytes()
        else float(np.max(np.abs(first.astype(float) - other.astype(float)))) or 1e-300
    )
