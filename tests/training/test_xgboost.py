"""Train: the same seed gives the same bytes, and the model that is kept is the one of the best
round.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics as skm
import xgboost as xgb
from pydantic import ValidationError

from evergreen.params import Train
from evergreen.training.tables import Table
from evergreen.training.xgboost import (
    LOSSES,
    build_matrix,
    load,
    settings,
    train,
)

TASKS = ("binary", "multiclass", "regression")


@pytest.mark.parametrize("task", TASKS)
def test_the_same_seed_gives_the_same_bytes_for_any_number_of_threads(task, make_matrix, quick):
    first = train(make_matrix(task), quick, 7, threads=1)
    two = train(make_matrix(task), quick, 7, threads=2)
    assert first.booster == two.booster
    assert (first.history, first.rounds, first.validation_loss) == (
        two.history,
        two.rounds,
        two.validation_loss,
    )


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_seeds_trained_at_once_equal_seeds_trained_in_turn(task, make_matrix, quick):
    matrix, seeds = make_matrix(task), (1, 2, 3, 4)
    in_turn = [train(matrix, quick, seed).booster for seed in seeds]
    with ThreadPoolExecutor(2) as pool:
        at_once = [
            trained.booster for trained in pool.map(lambda seed: train(matrix, quick, seed), seeds)
        ]
    assert at_once == in_turn


@pytest.mark.parametrize("task", TASKS)
def test_another_seed_gives_another_model(task, make_matrix, quick):
    first, second = (train(make_matrix(task), quick, seed) for seed in (0, 1))
    assert (first.seed, second.seed) == (0, 1)
    assert first.booster != second.booster
    assert first.history != second.history


@pytest.mark.parametrize("task", TASKS)
def test_a_matrix_built_anew_gives_the_same_bytes(task, make_tables, make_matrix, quick):
    again = build_matrix(make_tables(task), quick, threads=2)
    assert train(again, quick, 3).booster == train(make_matrix(task), quick, 3).booster


@pytest.mark.parametrize("task", TASKS)
def test_the_rounds_up_to_the_best_are_kept(task, make_matrix, quick):
    done = train(make_matrix(task), quick, 0)
    losses = done.history["validation"]
    assert set(done.history) == {"train", "validation"}
    assert len(done.history["train"]) == len(losses) <= quick.rounds
    assert done.rounds == int(np.argmin(losses)) + 1
    assert done.validation_loss == min(losses) == losses[done.rounds - 1]
    assert load(done.booster).booster.num_boosted_rounds() == done.rounds
    assert done.seconds > 0


@pytest.mark.parametrize("task", TASKS)
def test_the_kept_model_has_the_loss_it_says(task, make_tables, make_matrix, quick):
    done = train(make_matrix(task), quick, 0)
    rows = make_tables(task).validation
    p = load(done.booster).predict(rows.x)
    loss = (
        skm.root_mean_squared_error(rows.y, p) if task == "regression" else skm.log_loss(rows.y, p)
    )
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
    objectives = {"binary": "binary:logistic", "multiclass": "multi:softprob"}
    objective = objectives.get(task, "reg:squarederror")
    assert (told["objective"], told["eval_metric"]) == (objective, LOSSES[task])
    assert (told["seed"], told["device"], told["nthread"]) == (5, "cpu", 2)
    assert told.get("num_class") == (3 if task == "multiclass" else None)
    same = {
        "learning_rate",
        "max_depth",
        "min_child_weight",
        "subsample",
        "colsample_bytree",
        "reg_lambda",
        "max_bin",
    }
    assert {name: told[name] for name in same} == {name: getattr(quick, name) for name in same}
    assert set(told) - same <= {
        "objective",
        "eval_metric",
        "tree_method",
        "seed",
        "device",
        "nthread",
        "num_class",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0.2},
        {"max_depth": 2},
        {"min_child_weight": 40.0},
        {"subsample": 0.5},
        {"colsample_bytree": 1.0},
        {"reg_lambda": 50.0},
        {"rounds": 3},
    ],
)
def test_each_parameter_reaches_the_model(change, make_matrix, quick):
    base = quick.model_copy(update={"rounds": 4})
    boosters = [
        train(make_matrix("regression"), params, 0).booster
        for params in (base, base.model_copy(update=change))
    ]
    assert boosters[0] != boosters[1]


def test_more_bins_make_another_model(make_tables, quick):
    boosters = set()
    for bins in (4, 64):
        params = quick.model_copy(update={"max_bin": bins})
        boosters.add(train(build_matrix(make_tables("regression"), params), params, 0).booster)
    assert len(boosters) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": 0},
        {"max_depth": 0},
        {"rounds": 0},
        {"subsample": 1.5},
        {"max_bin": 1},
        {"leaves": 3},
    ],
)
def test_a_wrong_parameter_is_refused_before_training(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Train(**wrong)


def test_what_xgboost_refuses_is_an_error(make_matrix, quick):
    with pytest.raises(xgb.core.XGBoostError, match="max_depth"):
        train(make_matrix("binary"), quick.model_copy(update={"max_depth": -3}), 0)
    with pytest.raises(xgb.core.XGBoostError):
        train(replace(make_matrix("multiclass"), classes=2), quick, 0)  # labels go up to 2


@pytest.mark.gpu
@pytest.mark.parametrize("task", TASKS)
def test_a_gpu_learns_what_a_cpu_learns(task, make_tables, quick):
    """Not the same bytes: other sums, other rounding. The model predicts without a GPU."""
    tables = make_tables(task)
    matrix = build_matrix(tables, quick)
    on_cpu, on_gpu = (train(matrix, quick, 7, device=device) for device in ("cpu", "cuda"))
    assert on_gpu.validation_loss == pytest.approx(on_cpu.validation_loss, rel=0.05)
    p = load(on_gpu.booster).predict(tables.holdout.x)
    assert p.shape == load(on_cpu.booster).predict(tables.holdout.x).shape
    assert np.isfinite(p).all()


# --- the matrix


def binned(most: int) -> Train:
    return Train(max_bin=most)


def test_the_matrix_knows_its_rows_columns_and_classes(make_tables):
    tables = make_tables("multiclass")
    matrix = build_matrix(tables, binned(32))
    assert (matrix.task, matrix.classes) == ("multiclass", 3)
    for part, table in ((matrix.train, tables.train), (matrix.validation, tables.validation)):
        assert (part.num_row(), part.num_col()) == table.x.shape
        assert part.feature_names == list(tables.features)
        np.testing.assert_array_equal(part.get_label(), table.y)


@pytest.mark.parametrize("max_bin", [4, 32])
def test_bins_come_from_the_training_rows(max_bin, make_tables):
    tables = make_tables("binary")
    wild = replace(tables, validation=Table(tables.validation.x * 100, tables.validation.y))
    cuts = [
        build_matrix(part, binned(max_bin)).validation.get_quantile_cut() for part in (tables, wild)
    ]
    for (edges, values), (other_edges, other_values) in [cuts]:
        np.testing.assert_array_equal(edges, other_edges)
        np.testing.assert_array_equal(values, other_values)
        assert np.diff(edges).max() <= max_bin + 1


def test_threads_do_not_change_the_bins(make_tables):
    cuts = [
        build_matrix(make_tables("binary"), binned(16), threads).train.get_quantile_cut()
        for threads in (1, 2, 0)
    ]
    for edges, values in cuts[1:]:
        np.testing.assert_array_equal(edges, cuts[0][0])
        np.testing.assert_array_equal(values, cuts[0][1])
