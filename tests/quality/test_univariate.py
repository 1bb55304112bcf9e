"""Univariate leaks: scores are those of scikit-learn's target encoding, whatever the values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evergreen.quality.univariate import BINS, Score, _cuts, score_features
from evergreen.training.tables import Table, Tables

TASKS = ("binary", "multiclass", "regression")
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}
ROWS = (600, 200)  # training, validation
NAN = float("nan")


def draw_tables(
    task: str, column: Callable[[Any, Any], Any], *, category: bool = False, seed: int = 0
) -> Tables:
    """Rows with one feature, made of labels and random numbers."""
    draw, total = np.random.default_rng(seed), sum(ROWS)
    labels = {
        "binary": (draw.random(total) < 0.3) * 1.0,
        "multiclass": draw.integers(0, 3, total) * 1.0,
        "regression": draw.normal(size=total),
    }
    y, x = (
        labels[task].astype(np.float32),
        np.asarray(column(labels[task], draw), dtype=np.float32)[:, None],
    )
    train, validation = Table(x[: ROWS[0]], y[: ROWS[0]]), Table(x[ROWS[0] :], y[ROWS[0] :])
    names = ("feature",)
    return Tables(
        task, names, names if category else (), CLASSES[task], train, validation, validation
    )


def score(tables: Tables) -> Score:
    return score_features(tables)["feature"]


def related(y: Any, draw: np.random.Generator) -> Any:
    return y + 0.8 * draw.normal(size=len(y))


def told_by_scikit_learn(task: str, fitted: Table, met: Table, known: Any) -> float:
    """The score of `met`; `known` are the labels among which others have their rank."""
    from sklearn.metrics import r2_score, roc_auc_score
    from sklearn.preprocessing import TargetEncoder

    def told(y: Any) -> Any:
        encoder = TargetEncoder(smooth=0.0, target_type="continuous").fit(fitted.x.astype(int), y)
        return encoder.transform(met.x.astype(int))[:, 0]

    def rank(y: Any) -> Any:
        return (known < y[:, None]).mean(axis=1) + (known == y[:, None]).mean(axis=1) / 2

    if task == "regression":
        return max(r2_score(met.y, told(fitted.y)), r2_score(rank(met.y), told(rank(fitted.y))))
    codes = (1,) if task == "binary" else range(3)
    return float(
        np.mean([roc_auc_score(met.y == code, told((fitted.y == code) * 1.0)) for code in codes])
    )


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seed", range(3))
def test_the_score_is_that_of_scikit_learns_encoder(task, seed):
    tables = draw_tables(
        task, lambda y, draw: draw.integers(0, 12, len(y)) + 4 * (y > 0), category=True, seed=seed
    )
    train, found = tables.train, score(tables)
    even, odd = Table(train.x[::2], train.y[::2]), Table(train.x[1::2], train.y[1::2])
    assert found.validation == pytest.approx(
        told_by_scikit_learn(task, train, tables.validation, train.y)
    )
    assert found.training == pytest.approx(told_by_scikit_learn(task, even, odd, train.y))
    assert found.highest == max(found.validation, found.training)


@pytest.mark.slow
@given(st.tuples(st.floats(width=32), st.floats(width=32)), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_whatever_values_stand_for_two_classes_they_are_seen_through(values, seed):
    assume(str(values[0]) != str(values[1]) and values[0] != values[1])  # 0 is -0, NaN is NaN
    assert score(draw_tables("binary", lambda y, _: np.where(y == 1, *values), seed=seed)) == Score(
        1, 1
    )


@pytest.mark.parametrize("mark", [NAN, 1.0, -1.0, 0.5])
@pytest.mark.parametrize(
    "others", [lambda rows: np.zeros(rows), lambda rows: np.arange(rows) % 100 + 2.0]
)
def test_a_rare_value_that_marks_a_rare_label_is_a_bin_of_its_own(mark, others):
    y = (np.arange(4000) % 200 == 0) * 1.0  # fewer than would fill a bin
    part = Table(
        np.where(y == 1, mark, others(4000)).astype(np.float32)[:, None], y.astype(np.float32)
    )
    found = score(
        Tables("binary", ("feature",), (), CLASSES["binary"], part, part, part)
    ).validation
    assert found > 0.98 if np.isfinite(mark) and others(2).any() else found == 1


@pytest.mark.slow
@given(st.integers(-20, 20), st.sampled_from(TASKS))
@settings(max_examples=15, deadline=None)
def test_another_unit_changes_no_score(power, task):
    plain, scaled = (
        draw_tables(task, related),
        draw_tables(task, lambda *of: related(*of) * 2.0**power),
    )
    assert score(plain) == score(scaled)


@pytest.mark.parametrize("task", TASKS)
def test_the_other_direction_scores_as_high(task):
    up, down = (
        score(draw_tables(task, related)),
        score(draw_tables(task, lambda *of: -related(*of))),
    )
    assert up.highest == pytest.approx(down.highest, abs=0.03)
    assert up.highest > (0.4 if task == "regression" else 0.65)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("value", [0.0, NAN, float("inf"), -float("inf")])
def test_one_value_tells_nothing(task, value):
    nothing = 0 if task == "regression" else 0.5
    assert score(draw_tables(task, lambda y, _: np.full(len(y), value))).highest == pytest.approx(
        nothing, abs=0.02
    )


PRICES = np.random.default_rng(5).lognormal(size=60)
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "bins": lambda x: np.digitize(x, [5.2, 10.2, 40.2]),
    "a coarse rounding": lambda x: np.round(x, -1),
    "neither rising nor falling": lambda x: np.abs(x - 12),
    "what a code stands for": lambda x: PRICES[x.astype(int)],
}


def function_of(function: Callable[[Any], Any], noise: float = 0.0) -> Tables:
    """Rows whose label is a function of the feature."""
    draw = np.random.default_rng(0)
    x = draw.integers(0, 120, 2000) / 2  # many a value comes again
    y = function(x) * (1 + noise * draw.normal(size=2000))
    parts = [
        Table(x[rows, None].astype(np.float32), y[rows].astype(np.float32))
        for rows in (slice(1500), slice(1500, None))
    ]
    return Tables("regression", ("feature",), (), (), *parts, parts[1])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_number_that_is_a_function_of_another_is_seen_through(name):
    assert score(function_of(FUNCTIONS[name])).sure > 0.999
    assert score(function_of(FUNCTIONS[name], noise=0.1)).sure < 0.99


def test_a_level_that_no_training_row_has_counts_as_the_average():
    tables = draw_tables("binary", lambda y, _: 2 + y, category=True)
    tables.validation.x[:] = 77
    assert score(tables).validation == 0.5


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_class_with_few_rows_is_left_out(task):
    tables = draw_tables(task, related)
    few = np.flatnonzero(tables.validation.y == 1)[9:]
    tables.validation.y[few] = 0
    assert np.isnan(score(tables).validation) == (task == "binary")


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=5000),
        np.random.default_rng(0).integers(0, 50, 5000) ** 2,
        np.random.default_rng(0).integers(0, 9, 5000),
        np.zeros(5000),
        np.full(50, NAN),
        np.arange(5),
        np.array([]),
    ],
)
def test_a_number_gets_few_bins_and_a_frequent_value_one_of_its_own(values):
    cuts = _cuts(values.astype(np.float32))
    assert len(cuts) < BINS
    seen, counts = np.unique(values.astype(np.float32), return_counts=True)
    bins = np.searchsorted(cuts, seen, side="right")
    often = bins[counts > 2 * len(values) / BINS]
    assert len(set(often)) == len(often)
    assert len(set(often) & set(bins[counts <= len(values) / BINS])) == 0 or len(values) < BINS
