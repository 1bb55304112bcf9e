"""Evaluate: the model beside its baselines on unseen rows, or an error where these say nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from evergreen.errors import InputError
from evergreen.evaluation.baselines import predict_baselines
from evergreen.evaluation.evaluate import check_holdout, evaluate, measure_seed, predict
from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY
from evergreen.params import Evaluate
from evergreen.training.seeds import summarize
from evergreen.training.tables import Table

FEW = Evaluate(resamples=100, confidence=0.9)


@pytest.fixture(scope="module")
def judge(make_tables, trained):
    """Judge the model of the `chosen` seeds; return the evaluation and the metrics of each seed."""

    @cache
    def run(task, seeds=(0, 1, 2), chosen=(1,), without=None):
        tables = make_tables(task)
        if without is not None:
            tables = cut(tables, "holdout", tables.holdout.y != without)
        boosters = {seed: trained(task, seed).booster for seed in seeds}
        metrics = [measure_seed(tables, boosters[seed], metrics=LIBRARY) for seed in seeds]
        baselines = predict_baselines(tables, 0)
        return evaluate(
            tables,
            {seed: boosters[seed] for seed in chosen},
            metrics,
            baselines,
            FEW,
            metrics=LIBRARY,
        ), metrics

    return run


def cut(tables, role, keep):
    part = getattr(tables, role)
    return replace(tables, **{role: Table(part.x[keep], part.y[keep])})


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_the_model_beats_the_constant_beyond_the_noise(task, judge):
    evaluation, _ = judge(task)
    assert list(evaluation.estimates) == ["model", "constant", "linear"]
    for name in LIBRARY.of(task):
        model, constant = (
            evaluation.estimates["model"][name],
            evaluation.estimates["constant"][name],
        )
        if LIBRARY[name].lower_is_better:
            assert model.high < constant.low, name
        else:
            assert model.low > constant.high, name


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_what_an_evaluation_holds(task, judge, make_tables, trained):
    tables = make_tables(task)
    evaluation, metrics = judge(task)
    assert (evaluation.task, evaluation.rows, evaluation.chosen) == (
        task,
        len(tables.holdout),
        (1,),
    )
    assert evaluation.classes == tables.classes
    np.testing.assert_array_equal(evaluation.y, tables.holdout.y)
    np.testing.assert_array_equal(
        evaluation.predictions["model"], predict(trained(task, 1).booster, tables.holdout.x)
    )
    values = {name: estimate.value for name, estimate in evaluation.estimates["model"].items()}
    assert values == pytest.approx(metrics[1])
    assert tuple(evaluation.spread) == tuple(LIBRARY.of(task))
    for name, spread in evaluation.spread.items():
        assert spread == summarize([metric[name] for metric in metrics], FEW.confidence)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_several_seeds_predict_their_mean(task, judge, make_tables, trained):
    tables = make_tables(task)
    evaluation, _ = judge(task, chosen=(0, 1, 2))
    singles = [predict(trained(task, seed).booster, tables.holdout.x) for seed in (0, 1, 2)]
    assert evaluation.chosen == (0, 1, 2)
    np.testing.assert_array_equal(evaluation.predictions["model"], np.mean(singles, axis=0))
    expected = LIBRARY.measure(task, tables.holdout.y, np.mean(singles, axis=0))
    assert {
        name: estimate.value for name, estimate in evaluation.estimates["model"].items()
    } == expected


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_an_evaluation_repeats_itself(task, judge):
    first, _ = judge(task, chosen=(0, 1, 2))
    again, _ = judge(task, chosen=(2, 0, 1))
    assert again.chosen == (0, 1, 2)
    for model, metrics in first.estimates.items():
        for name, estimate in metrics.items():
            assert again.estimates[model][name].value == pytest.approx(estimate.value, rel=1e-6)
    np.testing.assert_allclose(again.predictions["model"], first.predictions["model"], rtol=1e-6)


@pytest.mark.slow
def test_a_single_seed_has_no_spread(judge):
    evaluation, metrics = judge("binary", seeds=(0,), chosen=(0,))
    spread = evaluation.spread["roc_auc"]
    assert (spread.mean, spread.values) == (metrics[0]["roc_auc"], (metrics[0]["roc_auc"],))
    assert np.isnan([spread.deviation, spread.low, spread.high]).all()


@pytest.mark.slow
def test_a_class_missing_in_the_holdout(judge, make_tables):
    evaluation, _ = judge("multiclass", without=2)
    rows = int((make_tables("multiclass").holdout.y != 2).sum())
    assert all(p.shape == (rows, 3) for p in evaluation.predictions.values())
    model, constant = (
        evaluation.estimates[name]["balanced_accuracy"] for name in ("model", "constant")
    )
    assert constant.value == 0.5  # one of two classes
    assert model.low > constant.high


@pytest.mark.parametrize("task", TASKS)
def test_predictions_of_encoded_rows(task, make_tables, trained):
    p = predict(trained(task).booster, make_tables(task).holdout.x)
    assert p.shape == ((200, 3) if task == "multiclass" else (200,))
    if task != "regression":
        assert ((p >= 0) & (p <= 1)).all()
    if task == "multiclass":
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("train", "0 training and 200 holdout rows"),
        ("holdout", "600 training and 0 holdout rows"),
    ],
)
def test_an_empty_part_is_an_error(task, role, said, make_tables):
    with pytest.raises(InputError, match=said):
        check_holdout(cut(make_tables(task), role, slice(0)))


@pytest.mark.parametrize(
    ("task", "code", "said"),
    [
        ("binary", 0, "labels are no:"),
        ("binary", 1, "labels are yes:"),
        ("multiclass", 2, "labels are c:"),
    ],
)
def test_a_holdout_of_one_class_is_an_error(task, code, said, make_tables, trained):
    tables = make_tables(task)
    tables = cut(tables, "holdout", tables.holdout.y == code)
    for check in (
        check_holdout,
        lambda tables: measure_seed(tables, trained(task).booster, metrics=LIBRARY),
    ):
        with pytest.raises(InputError, match=said):
            check(tables)


@pytest.mark.parametrize("task", TASKS)
def test_a_usable_holdout(task, make_tables):
    check_holdout(make_tables(task))


def test_equal_numbers_may_be_the_labels_of_a_regression(make_tables):
    check_holdout(cut(make_tables("regression"), "holdout", slice(1)))


def test_an_evaluation_as_values_names_each_number_of_it(judge):
    found, _ = judge("binary")
    values = found.as_values()
    assert values["roc_auc"] == found.estimates["model"]["roc_auc"].value
    assert values["linear.roc_auc.low"] == found.estimates["linear"]["roc_auc"].low
    assert values["seeds.roc_auc.deviation"] == found.spread["roc_auc"].deviation
