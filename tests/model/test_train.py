"""Train: the same seed gives the same bytes, and the model that is kept is the one of the best round."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics as skm
import xgboost as xgb
from pydantic import ValidationError

from evergreen.model.matrix import build_matrix
from evergreen.model.train import LOSSES, OBJECTIVES, load_booster, settings, train
from evergreen.params import Train

TASKS = ("binary", "multiclass", "regression")


@pytest.mark.parametrize("task", TASKS)
def test_the_same_seed_gives_the_same_bytes_for_any_number_of_threads(task, make_matrix, quick):
    one = train(make_matrix(task), quick, 7, threads=1)
    two = train(make_matrix(task), quick, 7, threads=2)
    assert one.booster == two.booster
    assert (one.history, one.rounds, one.validation_loss) == (two.history, two.rounds, two.validation_loss)


@pytest.mark.parametrize("task", TASKS)
def test_seeds_trained_at_once_equal_seeds_trained_in_turn(task, make_matrix, quick):
    matrix, seeds = make_matrix(task), (1, 2, 3, 4)
    in_turn = [train(matrix, quick, seed).booster for seed in seeds]
    with ThreadPoolExecutor(2) as pool:
        at_once = [one.booster for one in pool.map(lambda seed: train(matrix, quick, seed), seeds)]
    assert at_once == in_turn


@pytest.mark.parametrize("task", TASKS)
def test_another_seed_gives_another_model(task, make_matrix, quick):
    first, second = (train(make_matrix(task), quick, seed) for seed in (0, 1))
    assert (first.seed, second.seed) == (0, 1)
    assert first.booster != second.booster
    assert first.history != second.history


@pytest.mark.parametrize("task", TASKS)
def test_a_matrix_built_anew_gives_the_same_bytes(task, make_tables, make_matrix, quick):
    again = build_matrix(make_tables(task), 64, threads=2)
    assert train(again, quick, 3).booster == train(make_matrix(task), quick, 3).booster


@pytest.mark.parametrize("task", TASKS)
def test_the_rounds_up_to_the_best_are_kept(task, make_matrix, quick):
    done = train(make_matrix(task), quick, 0)
    losses = done.history["validation"]
    assert set(done.history) == {"train", "validation"}
    assert len(done.history["train"]) == len(losses) <= quick.rounds
    assert done.rounds == int(np.argmin(losses)) + 1
    assert done.validation_loss == min(losses) == losses[done.rounds - 1]
    assert load_booster(done.booster).num_boosted_rounds() == done.rounds
    assert done.seconds > 0


@pytest.mark.parametrize("task", TASKS)
def test_the_kept_model_has_the_loss_it_says(task, make_tables, make_matrix, quick):
    done = train(make_matrix(task), quick, 0)
    rows = make_tables(task).validation
    p = load_booster(done.booster).inplace_predict(rows.x)
    loss = skm.root_mean_squared_error(rows.y, p) if task == "regression" else skm.log_loss(rows.y, p)
    assert loss == pytest.approx(done.validation_loss, rel=1e-5)


@pytest.mark.parametrize(
    ("rounds", "patience", "learning_rate", "stops"),
    [
        (300, 4, 1.0, True),  # learns fast, then only noise
        (300, 20, 1.0, True),
        (10, 50, 0.1, False),  # still learning when the rounds end
        (1, 1, 0.3, False),
    ],
)
def test_early_stopping(rounds, patience, learning_rate, stops, make_matrix, quick):
    params = quick.model_copy(
        update={"rounds": rounds, "early_stopping_rounds": patience, "learning_rate": learning_rate}
    )
    done = train(make_matrix("binary"), params, 0)
    assert len(done.history["validation"]) == (done.rounds + patience if stops else rounds)
    assert (len(done.history["validation"]) < rounds) == stops


@pytest.mark.parametrize("task", TASKS)
def test_what_xgboost_is_told(task, make_matrix, quick):
    told = settings(make_matrix(task), quick, 5, "cpu", 2)
    assert (told["objective"], told["eval_metric"]) == (OBJECTIVES[task], LOSSES[task])
    assert (told["seed"], told["device"], told["nthread"]) == (5, "cpu", 2)
    assert told.get("num_class") == (3 if task == "multiclass" else None)
    same = {"learning_rate", "max_depth", "min_child_weight", "subsample", "colsample_bytree", "reg_lambda", "max_bin"}
    assert {name: told[name] for name in same} == {name: getattr(quick, name) for name in same}
    assert set(told) - same <= {"objective", "eval_metric", "tree_method", "seed", "device", "nthread", "num_class"}


@pytest.mark.parametrize("name", sorted(set(Train.model_fields) - {"device", "early_stopping_rounds", "max_bin"}))
def test_each_parameter_reaches_the_model(name, make_matrix, quick):
    before = getattr(quick, name)
    changed = quick.model_copy(update={name: before / 2 if isinstance(before, float) else before - 1})
    matrix = make_matrix("regression")
    quiet = {"rounds": 5, "early_stopping_rounds": 5}
    base = quick.model_copy(update=quiet)
    changed = changed.model_copy(update={key: value for key, value in quiet.items() if key != name})
    if name == "rounds":
        changed = base.model_copy(update={"rounds": 4})
    assert train(matrix, base, 0).booster != train(matrix, changed, 0).booster


@pytest.mark.parametrize(
    "wrong", [{"learning_rate": 0}, {"max_depth": 0}, {"rounds": 0}, {"subsample": 1.5}, {"max_bin": 1}, {"leaves": 3}]
)
def test_a_wrong_parameter_is_refused_before_training(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Train(**wrong)


def test_what_xgboost_refuses_is_an_error(make_matrix, quick):
    with pytest.raises(xgb.core.XGBoostError, match="max_depth"):
        train(make_matrix("binary"), quick.model_copy(update={"max_depth": -3}), 0)
    with pytest.raises(xgb.core.XGBoostError):
        train(replace(make_matrix("multiclass"), classes=2), quick, 0)  # labels go up to 2
