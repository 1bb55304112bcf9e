"""Baselines: a constant and a linear model, on any mix of columns, whatever is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evergreen.evaluation.baselines import predict_baselines
from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY
from evergreen.training import linear
from evergreen.training.tables import Table


def shape(tables):
    rows = len(tables.holdout)
    return (rows, len(tables.classes)) if tables.task == "multiclass" else (rows,)


@pytest.mark.parametrize("task", TASKS)
def test_the_constant_is_what_the_training_rows_say_on_average(task, make_tables):
    tables = make_tables(task)
    found = predict_baselines(tables, 0)["constant"]
    y = tables.train.y.astype(float)
    means = [np.mean(y == code) for code in range(3)] if task == "multiclass" else y.mean()
    assert found.shape == shape(tables)
    np.testing.assert_allclose(found, np.broadcast_to(means, found.shape), rtol=1e-5)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_the_constant_of_a_loss_that_aims_at_a_quantile_is_that(quantile, make_tables):
    tables = make_tables("regression")
    found = predict_baselines(tables, 0, quantile=quantile)
    expected = np.quantile(tables.train.y, quantile)
    np.testing.assert_allclose(found["constant"], expected, rtol=1e-4)
    assert found["constant"].shape == tables.holdout.y.shape
    np.testing.assert_array_equal(found["linear"], predict_baselines(tables, 0)["linear"])


@pytest.mark.parametrize("task", TASKS)
def test_the_linear_model_learns_what_the_constant_cannot(task, make_tables):
    tables = make_tables(task)
    found = predict_baselines(tables, 0)
    assert list(found) == ["constant", "linear"]
    assert found["linear"].shape == shape(tables)
    linear, constant = (
        LIBRARY.measure(task, tables.holdout.y, found[name]) for name in ("linear", "constant")
    )
    for name in LIBRARY.of(task):
        assert (linear[name] < constant[name]) == (LIBRARY[name].lower_is_better), name


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_the_linear_model_uses_the_category(task, make_tables):
    tables = make_tables(task)
    blind = replace(tables, categories=())  # the codes taken for numbers
    seeing, other = (
        LIBRARY.measure(task, tables.holdout.y, predict_baselines(shown, 0)["linear"])
        for shown in (tables, blind)
    )
    name = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}[task]
    assert seeing[name] < other[name]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("columns", [("place",), ("first", "second", "noise"), ("second",)])
def test_any_mix_of_columns(task, columns, make_tables):
    tables = make_tables(task)
    at = [tables.features.index(name) for name in columns]
    parts = {
        role: Table(getattr(tables, role).x[:, at], getattr(tables, role).y)
        for role in ("train", "holdout")
    }
    some = replace(tables, features=columns, categories=tuple({"place"} & set(columns)), **parts)
    assert np.isfinite(predict_baselines(some, 0)["linear"]).all()


@pytest.mark.parametrize("task", TASKS)
def test_a_column_without_values_and_an_unseen_category(task, make_tables):
    tables = make_tables(task)
    train, holdout = (Table(part.x.copy(), part.y) for part in (tables.train, tables.holdout))
    train.x[:, 3] = np.nan
    holdout.x[:, 3] = np.nan
    holdout.x[:50, 2] = 77
    found = predict_baselines(replace(tables, train=train, holdout=holdout), 0)
    assert np.isfinite(found["linear"]).all()


def test_a_class_without_training_rows_gets_no_chance(make_tables):
    tables = make_tables("multiclass")
    keep = tables.train.y != 1
    train = Table(tables.train.x[keep], tables.train.y[keep])
    for found in predict_baselines(replace(tables, train=train), 0).values():
        assert found.shape == shape(tables)
        assert (found[:, 1] == 0).all()
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_many_rows_are_thinned_for_the_linear_model_only(task, make_tables, monkeypatch):
    tables = make_tables(task)
    whole = predict_baselines(tables, 0)
    monkeypatch.setattr(linear, "MOST_ROWS", 200)
    first, again, other = (predict_baselines(tables, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first["linear"], again["linear"])
    assert (first["linear"] != other["linear"]).any()
    assert (first["linear"] != whole["linear"]).any()
    np.testing.assert_array_equal(first["constant"], whole["constant"])


def test_below_the_limit_the_seed_changes_nothing(make_tables):
    first, other = (predict_baselines(make_tables("binary"), seed) for seed in (1, 2))
    np.testing.assert_array_equal(first["linear"], other["linear"])


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_rows_that_can_be_told_apart_entirely(task, scale, make_tables):
    tables = make_tables(task)
    train, holdout = (Table(part.x.copy(), part.y) for part in (tables.train, tables.holdout))
    for part in (train, holdout):
        part.x[:, 0] = part.y * scale
    found = predict_baselines(replace(tables, train=train, holdout=holdout), 0)["linear"]
    top = (found > 0.5) if task == "binary" else found.argmax(axis=1)
    assert np.mean(top == holdout.y) > 0.99
