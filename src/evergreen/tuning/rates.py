"""Rates: the range test of the learning rate, on the rows before those that the gate judges by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from evergreen.errors import InputError
from evergreen.training.device import count_cores, pick_device
from evergreen.training.learner import find_learner
from evergreen.training.range_test import ROUNDS, RangeTest, find_start

if TYPE_CHECKING:
    from evergreen.params import Params
    from evergreen.tuning.cuts import Cut


def find_range(cuts: Sequence[Cut], params: Params, rounds: int = ROUNDS) -> RangeTest:
    """Return the range test of `params.train` on `cuts`, with the first seed.

    The loss is the one that early stopping watches, on the rows that would stop a training, the
    mean over cuts. Raises InputError where the learner has no learning rate.
    """
    train = params.train
    learner = find_learner(train.learner)
    if not getattr(learner, "SCHEDULED", False):
        raise InputError(f"the learner {train.learner} has no learning rate to be tested")
    threads, device = count_cores(), pick_device(train.device)
    binned = [learner.build_matrix(cut.tables, train, threads) for cut in cuts]
    fixed = train.with_schedule("constant").model_copy(
        update={"rounds": rounds + 1, "early_stopping_rounds": rounds + 1}
    )

    def losses(rate: float) -> Sequence[float]:
        tried = fixed.model_copy(update={"learning_rate": rate})  # above 1 as well
        curves = [
            learner.train(matrices, tried, params.sweep.first_seed, device=device, threads=threads)
            for matrices in binned
        ]
        return [*np.mean([curve.history["validation"] for curve in curves], axis=0)]

    return find_start(losses)
