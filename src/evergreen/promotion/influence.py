"""Influence: what learning from the newest batch does to predictions for the rows before it.

The live model cannot show it: it fits the rows that it has learnt from, whether their labels were
right or wrong. So a few seeds learn from the training rows and the newest batch, without the rows
between, and as many from the training rows alone, which lack the newest batch. Both are trained in
the same way, as often as so many rows bear. Beside each other they show what the batch teaches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.features.split import LABEL
from evergreen.promotion.candidate import days_of, resampling_of
from evergreen.promotion.compare import Difference, Rows, Side, difference
from evergreen.training.cross_validation import fit_side_by_side
from evergreen.training.learner import find_learner, is_seedless
from evergreen.training.rounds import ROUND_SEEDS

if TYPE_CHECKING:
    import polars as pl

    from evergreen.params import Params
    from evergreen.training.seeds import Slots
    from evergreen.training.tables import Tables

Array = np.ndarray[Any, np.dtype[Any]]


def teach(
    tables: Tables, rounds: int, name: str, params: Params, device: str, slots: Slots
) -> list[bytes]:
    """Return models of the training rows of `tables`, by the learner `name`, of so many rounds."""
    how = params.train.model_copy(update={"rounds": rounds, "learner": name})
    seeds = params.sweep.seed_list()[: 1 if is_seedless(name) else ROUND_SEEDS]
    taught = fit_side_by_side(
        tables, how, seeds, device=device, jobs=slots.jobs, threads=slots.threads
    )
    return [trained.booster for trained in taught]


def find_influence(
    tables: Tables,
    rows: pl.DataFrame,
    without: Sequence[bytes],
    taught: Sequence[bytes],
    name: str,
    params: Params,
) -> Difference | None:
    """Return how much better `rows` are predicted by models that know the newest batch.

    `taught`: those models; `without`: those that lack the batch. `rows`: of a features file, which
    none has learnt from; `tables`: with the encoder of both; `name`: their learner.
    """
    encoder, load = tables.encoder, find_learner(name).load
    assert encoder
    x = encoder.transform(rows)

    def side(models: Sequence[bytes]) -> Side:
        return Side(np.asarray(np.mean([load(model).predict(x) for model in models], axis=0)))

    # The number: both sides are the mean prediction of a few seeds, compared on rows that neither
    # has learnt from, as champion and challenger are. Below zero with its whole interval, the
    # newest batch makes predictions for its neighbours surely worse: its labels may be wrong.
    y, days = encoder.transform_label(rows[LABEL]), days_of(rows)
    known = Rows(encoder.task, y, blocks=days, metrics=params.metrics)
    metric = params.metrics.pick(params.gate.metric, encoder.task)
    return difference(known, metric, side(without), side(taught), resampling_of(params))
