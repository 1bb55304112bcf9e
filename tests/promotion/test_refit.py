"""Refit: the live model beside the judged one, and beside itself as the registry holds it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from promotion.gated import broken

from evergreen.features.split import LABEL
from evergreen.promotion.refit import compare_refit

pytestmark = pytest.mark.usefixtures("same_resamples")


@pytest.mark.parametrize(
    ("change", "distance"),
    [
        (lambda p: p.copy(), 0.0),
        (lambda p: np.r_[np.nextafter(p[:1], np.float32(2)), p[1:]], pytest.approx(1e-6, abs=1e-6)),
        (lambda p: p + np.float32(0.25), pytest.approx(0.25, rel=1e-5)),
        (lambda p: p[:-1], math.inf),
        (lambda p: p[:, None], math.inf),
        (lambda p: p[:0], math.inf),
        (
            lambda p: np.where(np.arange(len(p)) == 3, np.float32("nan"), p),
            pytest.approx(math.nan, nan_ok=True),
        ),
        (lambda p: p.astype(np.float64), 1e-300),  # other bytes, whatever they mean
    ],
)
def test_what_is_loaded_afresh_must_say_the_same_bit_for_bit(change, distance, world, settle):
    challenger, rows = world.better("regression"), world.holdout("regression")
    reloaded = change(challenger.model.predict_rows(rows))
    judged, decision = settle(
        "regression", challenger, world.champion("regression"), reloaded=reloaded
    )
    assert judged.evidence.reload == distance
    assert broken(decision) == (
        set() if isinstance(distance, float) and distance == 0 else {"reload"}
    )


@pytest.mark.slow
@pytest.mark.parametrize(("spoilt", "worse"), [(False, False), (True, True)])
def test_a_refit_is_compared_with_what_was_judged(spoilt, worse, world):
    judged, rows = world.better("binary").model, world.holdout("binary")
    live = world.learn("binary", spoil(world, spoilt)).model
    earlier, said = world.draw_rows("binary", 3000, 2), judged.predict_rows(rows)
    found = compare_refit(live, judged, said, earlier, rows, 40, world.params("binary"))
    assert (found.rows, found.rounds) == (len(live.learnt.keys), 40)
    assert (found.earlier.high < -0.005 - found.slack) is worse
    assert (found.holdout.high < 0) is worse
    # What the judged model did better on rows that it knows, by the share of rows that are new
    optimism = max(0, found.earlier.champion - found.holdout.champion)
    new = 1 - len(judged.learnt.keys) / len(live.learnt.keys)
    assert found.slack == pytest.approx(optimism * new)
    assert found.slack > 0


def spoil(world: Any, spoilt: bool) -> pl.DataFrame:
    """Training rows with the holdout's beside them; or all with labels that say nothing."""
    rows = pl.concat([world.draw_rows("binary", 3000, 2), world.holdout("binary")])
    return rows.with_columns(pl.col(LABEL).shuffle(1)) if spoilt else rows
