"""Challenge: what is trained, which of its seeds are packaged, and by what learner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from evergreen import params
from evergreen.params import Params
from evergreen.replay.challenge import fit_seeds, linear_of, trees_of
from evergreen.scoring.package import Learnt
from evergreen.training.learner import find_learner
from evergreen.training.tables import Tables
from late_flights.dataset import dataset


def params_of(**sweep: Any) -> Params:
    train = {"device": "cpu", "rounds": 8, "max_depth": 2, "early_stopping_rounds": 4}
    plain = {"source": {"kind": "files", "path": "."}, "train": train, "sweep": sweep}
    return params.parse(plain, "params.yaml")


@pytest.fixture
def tables(make_tables: Callable[..., Tables]) -> Tables:
    return make_tables("binary")


@pytest.mark.parametrize("rounds", [None, 3])
def test_seeds_are_trained_in_their_order_for_as_many_rounds_as_are_asked(
    rounds: int | None, tables: Tables
) -> None:
    found = fit_seeds(tables, params_of(seeds=3), "cpu", (5, 3, 4), rounds)
    assert [trained.seed for trained in found] == [5, 3, 4]
    assert all(trained.rounds <= (rounds or 8) for trained in found)


@pytest.mark.parametrize(("model", "packaged"), [("median", 1), ("mean", 3)])
def test_the_trees_of_a_sweep_package_its_median_seed_or_all(
    model: str, packaged: int, tables: Tables
) -> None:
    chosen = params_of(seeds=3, model=model)
    learnt = Learnt(np.empty(0, np.uint64), "2013-01-01")
    trained = fit_seeds(tables, chosen, "cpu", (0, 1, 2))
    made = trees_of(tables, trained, dataset, chosen, learnt)
    assert sorted(made.boosters) == [0, 1, 2]
    assert len(made.chosen) == packaged
    assert made.rounds == int(np.median([seed.rounds for seed in trained]))
    again = trees_of(tables, trained, dataset, chosen, learnt, (2,), refit=True)
    assert (again.chosen, again.refit, made.refit) == ((2,), True, False)


def test_the_linear_model_is_of_one_seed_and_of_its_own_learner(tables: Tables) -> None:
    chosen = params_of(seeds=3)
    made = linear_of(tables, dataset, chosen, Learnt(np.empty(0, np.uint64), "2013-01-01"))
    assert (made.learner, made.chosen) == ("linear", (chosen.sweep.first_seed,))
    model = find_learner("linear").load(made.boosters[chosen.sweep.first_seed])
    assert model.predict(tables.holdout.x).shape == (len(tables.holdout),)
    assert (
        made.way
        != trees_of(
            tables, fit_seeds(tables, chosen, "cpu", (0,)), dataset, chosen, made.learnt
        ).way
    )
