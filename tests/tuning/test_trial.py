"""Trial: what a way of training is worth, with each seed on each cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import refusal
from tuning.tried import TRAIN, prepare_batches

from evergreen.training.xgboost import build_matrix, load, train
from evergreen.tuning import trial as tried
from evergreen.tuning.cuts import find_cuts
from evergreen.tuning.trial import Matrices, run_trial


@pytest.fixture
def cuts_and_params(site: Any) -> tuple[Any, Any]:
    params = prepare_batches(site)
    return find_cuts(site.project, params, 2), params


@pytest.mark.slow
def test_each_seed_is_judged_on_each_cut_by_rows_it_has_not_seen(cuts_and_params: Any) -> None:
    cuts, params = cuts_and_params
    found = run_trial(cuts, params, (5, 3))
    assert [(fit.seed, fit.cut) for fit in found.fits] == [
        (5, "b4"),
        (5, "b5"),
        (3, "b4"),
        (3, "b5"),
    ]
    assert [fit.seed for fit in found.of(cuts[1])] == [5, 3]
    for fit in found.fits:
        tables = next(cut.tables for cut in cuts if cut.name == fit.cut)
        alone = train(build_matrix(tables, params.train), params.train, fit.seed)
        assert fit.trained.booster == alone.booster
        np.testing.assert_array_equal(
            fit.predictions, load(alone.booster).predict(tables.holdout.x)
        )
        assert fit.metrics == params.metrics.measure("binary", tables.holdout.y, fit.predictions)
        assert 0.6 < fit.metrics["roc_auc"] < 1
    values = [fit.metrics["log_loss"] for fit in found.fits]
    assert found.mean("log_loss") == pytest.approx(np.mean(values))


@pytest.mark.slow
def test_rows_are_binned_once_for_all_that_bin_alike(
    cuts_and_params: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts, params = cuts_and_params
    built: list[int] = []
    learner = tried.find_learner("xgboost")
    whole = learner.build_matrix
    monkeypatch.setattr(
        learner, "build_matrix", lambda *args: built.append(args[1].max_bin) or whole(*args)
    )
    matrices = Matrices()
    for changes in ({}, {"max_depth": 2}, {"max_bin": 16}, {"max_depth": 4}):
        run_trial(cuts, params.override(train=changes), (0,), matrices=matrices)
    assert built == [256, 256, 16, 16]
    for max_bin in (32, 64):  # so many settings are not held at a time
        run_trial(cuts, params.override(train={"max_bin": max_bin}), (0,), matrices=matrices)
    run_trial(cuts, params, (0,), matrices=matrices)
    assert built[4:] == [32, 32, 64, 64, 256, 256]


@pytest.mark.slow
def test_what_is_told_after_each_fit_may_end_the_trial(cuts_and_params: Any) -> None:
    cuts, params = cuts_and_params
    seen: list[int] = []

    def stop(fits: Any) -> None:
        seen.append(len(fits))
        if len(fits) == 3:
            raise StopIteration

    with pytest.raises(StopIteration):
        run_trial(cuts, params, (0, 1, 2), report=stop)
    assert seen == [1, 2, 3]


@pytest.mark.slow
def test_what_is_no_number_is_told(cuts_and_params: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cuts, params = cuts_and_params
    learner = tried.find_learner("xgboost")

    class Odd:
        def predict(self, x: Any) -> Any:
            return np.full(len(x), np.nan)

    monkeypatch.setattr(learner, "load", lambda content: Odd())
    refusal(lambda: run_trial(cuts, params, (0,)), "xgboost, seed 0", "predicts no number", "b4")


@pytest.mark.slow
def test_a_linear_model_is_tried_alike(cuts_and_params: Any) -> None:
    cuts, params = cuts_and_params
    found = run_trial(cuts, params.override(train={"learner": "linear"}), (0,))
    assert found.mean("roc_auc") > 0.55
    assert found.train.max_depth == TRAIN["max_depth"]
