"""The lab: what is better beyond luck, and what only seems so."""

from __future__ import annotations

import numpy as np
import pytest
from diagnosis.sick import lab_of, sound

from evergreen.diagnosis.lab import constant_losses, subsets, thin, variance_of_mean

SMALL = (400, 100, 300)


def test_a_gain_counts_in_the_loss_of_a_constant_prediction() -> None:
    lab = lab_of(sound(rows=SMALL))
    worse = constant_losses(lab.tables)
    gain = lab.gain_of_losses(worse * 0.75, worse, seeds=False)
    assert gain.value == pytest.approx(0.25)
    assert gain.low < 0.25 < gain.high


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_model_that_learns_beats_a_constant_and_none_beats_itself(task: str) -> None:
    lab = lab_of(sound(task, rows=SMALL), rounds=30)
    against = lab.gain_of_losses(lab.base.losses.mean(axis=0), constant_losses(lab.tables))
    assert lab.matters(against)
    assert against.value == pytest.approx(lab.skill(lab.base))
    assert not lab.matters(lab.gain(lab.base, lab.base))


def test_a_trial_is_made_once() -> None:
    lab = lab_of(sound(rows=SMALL), rounds=10)
    assert lab.base is lab.base
    assert lab.with_params(max_depth=2).base is not lab.base
    assert lab.with_params(max_depth=2).with_params(max_depth=3).base is lab.base


def test_a_seed_that_differs_widens_what_is_luck() -> None:
    lab = lab_of(sound(rows=SMALL), rounds=10)
    losses = constant_losses(lab.tables)
    alone = lab.gain_of_losses(losses * 0.9, losses).error
    lab._spreads[:] = [0.1]
    assert lab.gain_of_losses(losses * 0.9, losses).error > alone


def test_rows_of_a_day_that_err_alike_are_worth_less() -> None:
    draw = np.random.default_rng(0)
    days = np.repeat(np.arange(20), 50)
    apart, together = draw.normal(size=1000), draw.normal(size=20)[days] + draw.normal(size=1000)
    assert variance_of_mean(apart, days) < 2 * variance_of_mean(apart)
    assert variance_of_mean(together, days) > 10 * variance_of_mean(together)
    assert variance_of_mean(np.ones(1)) == float("inf")


def test_parts_of_rows_are_drawn_in_order_each_within_the_next() -> None:
    train = sound(rows=SMALL).train
    few, more = subsets(train, (0.1, 0.5))
    assert (len(few), len(more)) == (40, 200)
    assert few.keys is not None
    assert more.keys is not None
    assert np.isin(few.keys, more.keys).all()
    assert (np.diff(more.keys.astype(int)) > 0).all()


def test_rows_are_thinned_in_their_order() -> None:
    places = thin(400, 50)
    assert len(places) == 50
    assert (np.diff(places) > 0).all()
    np.testing.assert_array_equal(thin(40, 50), np.arange(40))
