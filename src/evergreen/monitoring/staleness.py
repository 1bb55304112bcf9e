"""Staleness: what does it cost that the champion has not learnt from the newest batches?

A fresh model of one seed is trained as the champion was, on everything before the batch, and
both predict the batch. So the cost is measured, not inferred from drift, at the price of one
training. How sure it has to be follows from the price of being wrong: a false alarm costs a
training, and the gate stands behind it; a missed one costs worse predictions until the next batch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.errors import InputError
from evergreen.evaluation.intervals import Estimate
from evergreen.features.split import LABEL
from evergreen.promotion.candidate import Candidate, days_of, resampling_of
from evergreen.promotion.compare import Rows, Side, difference
from evergreen.training.learner import find_learner
from evergreen.training.rounds import Rounds, Stop

if TYPE_CHECKING:
    import polars as pl

    from evergreen.params import Params
    from evergreen.training.tables import Tables

Array = np.ndarray[Any, np.dtype[Any]]


def find_staleness(
    champion: Candidate,
    tables: Tables,
    rows: pl.DataFrame,
    metric: str,
    params: Params,
    *,
    device: str,
    threads: int,
) -> Estimate | None:
    """Return how much better a fresh model does on `rows` than the champion, with an interval.

    The champion loses more than the lower end with `retrain.min_probability`. `tables`: all rows
    before them, as training rows; `rows`: a features file, of which the champion has learnt none.
    None where the champion has learnt from all of them already, or the rows are too few.
    """
    model = champion.model
    assert tables.train.keys is not None
    if np.isin(tables.train.keys, model.learnt.keys).all():
        return None
    encoder = tables.encoder
    assert encoder
    if (encoder.task, encoder.classes) != (model.encoder.task, model.encoder.classes):
        raise InputError(
            f"the champion (version {champion.version}) predicts other classes than the newer "
            "batches hold: retrain it (`evergreen run`)"
        )
    seed = model.seeds[0]
    known = Stop("the champion", len(model.learnt.keys), (model.rounds,))
    rounds = Rounds((known,), params.train.rounds).on(len(tables.train))
    how = params.train.model_copy(update={"rounds": rounds, "learner": model.learner})
    learner = find_learner(model.learner)
    matrix = learner.build_matrix(replace(tables, validation=tables.train.none()), how)
    trained = learner.train(matrix, how, seed, device=device, threads=threads)
    fresh = learner.load(trained.booster).predict(encoder.transform(rows))
    stale = learner.load(model.boosters[seed]).predict(model.encoder.transform(rows))
    y, days = encoder.transform_label(rows[LABEL]), days_of(rows)
    asked = Rows(encoder.task, y, blocks=days, metrics=params.metrics)
    # Both models predict the same rows, which are resampled together by day. The interval is
    # used on one side: with confidence 2p - 1 its lower end is exceeded with probability p, which
    # is `retrain.min_probability`.
    how_sure = replace(resampling_of(params), confidence=2 * params.retrain.min_probability - 1)
    found = difference(asked, metric, Side(stale), Side(fresh), how_sure)
    return Estimate(found.value, found.low, found.high) if found else None
