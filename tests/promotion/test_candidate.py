"""Candidate: what a version predicts, and which rows can judge it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from promotion.relearnt import refit_of

pytestmark = pytest.mark.usefixtures("same_resamples")


def test_rows_that_it_has_not_learnt_from_are_predicted_by_the_live_model(world):
    rows = world.holdout("binary")
    live = refit_of(world.champion("binary"), rows[:700], world)
    side, whole = live.predict_unseen(rows), live.predict(rows)
    # Here both are of the same boosters
    np.testing.assert_array_equal(side.prediction, whole.prediction)
    shifted = replace(live.held_out(), packaged=live.held_out().packaged + 1)
    moved = replace(live, held_out=lambda: shifted).predict_unseen(rows)
    np.testing.assert_array_equal(
        np.flatnonzero(moved.prediction != side.prediction), np.arange(700)
    )
