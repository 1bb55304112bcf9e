"""The linear learner: scikit-learn's own figures, kept as numbers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evergreen.params import Train
from evergreen.training import linear
from evergreen.training.learner import is_seedless
from evergreen.training.tables import Table, Tables

TASKS = ("binary", "multiclass", "regression")
PARAMS = Train()


def fit(tables: Tables, seed: int = 0) -> bytes:
    return linear.train(linear.build_matrix(tables, PARAMS), PARAMS, seed).booster


def many_levels(tables: Tables, levels: int) -> Tables:
    """The same rows with a category of so many levels, some of which hardly a row has."""
    draw = np.random.default_rng(0)
    x = tables.train.x.copy()
    x[:, 2] = np.minimum(draw.geometric(4 / levels, len(x)), levels)
    return replace(tables, train=replace(tables.train, x=x))


@pytest.mark.slow
@pytest.mark.parametrize("levels", [6, 150])
@pytest.mark.parametrize("task", TASKS)
def test_the_numbers_say_what_scikit_learn_says(
    task: str, levels: int, make_tables: Callable[..., Tables]
) -> None:
    tables = many_levels(make_tables(task, rows=(1500, 10, 300)), levels)
    matrix = linear.build_matrix(tables, PARAMS)
    asked = tables.holdout.x.copy()
    asked[:40, 2] = levels + 7  # a code that no training row has
    fitted = linear._pipeline(matrix).fit(matrix.x, matrix.y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # scikit-learn tells of the unknown code
        theirs = fitted.predict(asked) if task == "regression" else fitted.predict_proba(asked)
    ours = linear.load(fit(tables)).predict(asked)
    assert ours == pytest.approx(theirs[:, 1] if task == "binary" else theirs, abs=1e-5)


def test_it_is_json_and_the_same_bytes_each_time(make_tables: Callable[..., Tables]) -> None:
    tables = make_tables("binary")
    first, again = fit(tables), fit(tables, seed=9)
    assert first == again
    assert set(json.loads(first)) == {
        "task",
        "classes",
        "names",
        "present",
        "intercept",
        "levels",
        "numbers",
    }
    assert is_seedless("linear")
    assert not is_seedless("xgboost")


def test_above_the_bound_a_draw_of_the_rows_is_fitted(
    make_tables: Callable[..., Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = make_tables("regression")
    whole = fit(tables)
    monkeypatch.setattr(linear, "MOST_ROWS", 200)
    drawn = [fit(tables, seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2] != whole


def test_a_class_that_no_training_row_has_gets_no_chance(
    make_tables: Callable[..., Tables],
) -> None:
    tables = make_tables("multiclass")
    known = tables.train.y != 1
    some = replace(tables, train=Table(tables.train.x[known], tables.train.y[known]))
    said = linear.load(fit(some)).predict(tables.holdout.x)
    assert said.shape == (200, 3)
    assert (said[:, 1] == 0).all()
    assert said.sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("categories", [(), ("first", "second", "place", "noise")])
def test_columns_may_all_be_of_one_kind(
    categories: tuple[str, ...], make_tables: Callable[..., Tables]
) -> None:
    tables = make_tables("binary")
    x = np.abs(np.nan_to_num(tables.train.x)).astype(int).astype(np.float32)
    one_kind: Any = replace(tables, categories=categories, train=replace(tables.train, x=x))
    model = linear.load(fit(one_kind))
    assert np.isfinite(model.predict(x)).all()
    assert set(model.gains()) == set(tables.features)


@pytest.mark.slow
def test_many_levels_are_few_columns_and_rows_are_predicted_in_parts(
    make_tables: Callable[..., Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    many = many_levels(make_tables("binary"), 5000)
    matrix = linear.build_matrix(many, PARAMS)
    encode = linear._pipeline(matrix).fit(matrix.x, matrix.y)[0]
    assert encode.transform(many.train.x).shape[1] <= linear.MOST_LEVELS + len(many.features)
    model = linear.load(fit(many))
    whole = model.predict(many.holdout.x)
    monkeypatch.setattr(linear, "AT_ONCE", 7)
    np.testing.assert_allclose(model.predict(many.holdout.x), whole, rtol=1e-12)


@pytest.mark.parametrize(("task", "label"), [("binary", 0), ("binary", 1), ("multiclass", 1)])
def test_rows_of_one_class_teach_its_share(
    task: str, label: int, make_tables: Callable[..., Tables]
) -> None:
    tables = make_tables(task)
    train = replace(tables.train, y=np.full_like(tables.train.y, label))
    said = linear.load(fit(replace(tables, train=train))).predict(tables.holdout.x)
    if task == "binary":
        assert said == pytest.approx(abs(label - 1 / (len(train) + 2)), rel=1e-6)
    else:
        assert (said[:, label] == 1).all()
