"""Rates: the range test on real boosting, above a rate of 1 as well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import refusal

from evergreen.params import Params
from evergreen.training.tables import Table
from evergreen.tuning.cuts import Cut
from evergreen.tuning.rates import find_range

EXACT = {
    "device": "cpu", "max_depth": 1, "min_child_weight": 0, "reg_lambda": 0, "subsample": 1.0,
    "colsample_bytree": 1.0,
}  # fmt: skip


@pytest.mark.slow
def test_boosting_on_a_quadratic_diverges_at_two(make_tables):
    """A feature tells all, so that each leaf is gradient descent on (x - y) ** 2 / 2: L is 1."""
    y = np.array([0.0, 2.0] * 60, np.float32)
    rows = Table(np.ascontiguousarray(np.column_stack([y] * 4)), y)
    tables = replace(make_tables("regression"), train=rows, validation=rows, holdout=rows)
    found = find_range([Cut("all", tables)], Params(task="regression", train=EXACT))
    assert found.start < 2 < found.diverges_at == pytest.approx(2.56)
    assert found.start == pytest.approx(1.28)
    assert len(found.tried[0].losses) == 31


@pytest.mark.slow
def test_it_is_of_all_cuts_and_the_same_again(make_tables):
    params = Params(task="regression", train={"device": "cpu", "max_depth": 3})
    cuts = [Cut(f"b{seed}", make_tables("regression", seed=seed)) for seed in (1, 2)]
    found, alone = find_range(cuts, params, rounds=10), find_range(cuts[:1], params, rounds=10)
    assert found == find_range(cuts, params, rounds=10)
    assert found.tried[0].losses != alone.tried[0].losses
    assert found.tried[0].rate == 0.01
    stops = [rate.rate for rate in found.tried]
    assert stops == [0.01 * 2**at for at in range(len(stops))]


def test_a_learner_without_a_rate_is_refused(make_tables):
    params = Params(train={"learner": "linear"})
    refusal(
        lambda: find_range([Cut("b1", make_tables("binary"))], params),
        "linear has no learning rate",
    )
