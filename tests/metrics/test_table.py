"""The library's metrics: the quick forms equal scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sklearn.metrics as skm
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from simulated import simulate

from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY

REFERENCES = {
    ("binary", "roc_auc"): lambda y, p, w: skm.roc_auc_score(y, p, sample_weight=w),
    ("binary", "average_precision"): lambda y, p, w: skm.average_precision_score(
        y, p, sample_weight=w
    ),
    ("binary", "log_loss"): lambda y, p, w: skm.log_loss(y, p, labels=[0, 1], sample_weight=w),
    ("binary", "brier"): lambda y, p, w: skm.brier_score_loss(y, p, labels=[0, 1], sample_weight=w),
    ("multiclass", "accuracy"): lambda y, p, w: skm.accuracy_score(
        y, p.argmax(axis=1), sample_weight=w
    ),
    ("multiclass", "log_loss"): lambda y, p, w: skm.log_loss(
        y, p, labels=range(p.shape[1]), sample_weight=w
    ),
    ("regression", "rmse"): lambda y, p, w: skm.root_mean_squared_error(y, p, sample_weight=w),
    ("regression", "mae"): lambda y, p, w: skm.mean_absolute_error(y, p, sample_weight=w),
    ("regression", "r2"): lambda y, p, w: skm.r2_score(y, p, sample_weight=w),
}
PAIRS = [(task, name) for task in TASKS for name in LIBRARY.of(task)]
# Whose forms are exact to first order around equal weights
RANKS = ("roc_auc", "average_precision")
calm = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}  # on a busy machine
quickly = settings(max_examples=40, **calm)
seldom = settings(max_examples=15, **calm)


def balanced(y, p, w):
    """Mean recall over the classes that have weight."""
    with warnings.catch_warnings():
        # A class without weight may still be predicted
        warnings.simplefilter("ignore", UserWarning)
        return skm.balanced_accuracy_score(y, p.argmax(axis=1), sample_weight=w)


REFERENCES["multiclass", "balanced_accuracy"] = balanced


def as_binary(rows, dtype):
    y, score, w = (np.array(column) for column in zip(*rows, strict=True))
    # Chances 0 and 1 among them
    return y.astype(np.float32), (score / 8).astype(dtype), w.astype(np.float64)


def as_multiclass(rows, dtype):
    y, scores, w = (np.array(column) for column in zip(*rows, strict=True))
    p = (scores / scores.sum(axis=1, keepdims=True)).astype(dtype)
    return y.astype(np.float32), p, w.astype(np.float64)


def as_regression(rows, dtype):
    y, p, w = (np.array(column) for column in zip(*rows, strict=True))
    return (y / 4).astype(np.float32), (p / 4).astype(dtype), w.astype(np.float64)


weights = st.integers(0, 4)
scores = st.tuples(*[st.integers(0, 5)] * 3).filter(any)
ROWS = {
    "binary": (st.tuples(st.integers(0, 1), st.integers(0, 8), weights), as_binary),
    "multiclass": (st.tuples(st.integers(0, 2), scores, weights), as_multiclass),
    "regression": (st.tuples(st.integers(-40, 40), st.integers(-40, 40), weights), as_regression),
}


def defined(task, y):
    return task == "multiclass" or y.min() < y.max()


def by_weight(task, y, p, w):
    return {name: REFERENCES[task, name](y, p, w) for name in LIBRARY.of(task)}


def by_count(task, y, p, w):
    times = w.astype(int)
    return LIBRARY.measure(task, np.repeat(y, times), np.repeat(p, times, axis=0))


# What the forms are asked with the weights that were drawn, what scikit-learn is asked, and what is
# left out.
WAYS = {
    "a weight is a weight": (lambda w: w, by_weight, RANKS),
    "a weight is a count of rows": (lambda w: w, by_count, RANKS),
    "ones": (np.ones_like, lambda task, y, p, _: LIBRARY.measure(task, y, p), ()),
    "all weights 2": (
        lambda w: np.full_like(w, 2),
        lambda task, y, p, _: LIBRARY.measure(task, y, p),
        (),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.long)])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("way", WAYS)
def test_forms_equal_scikit_learn(way, task, dtype):
    weigh, ask, left_out = WAYS[way]

    @(quickly if ask is by_weight else seldom)
    @given(st.lists(ROWS[task][0], min_size=2, max_size=30))
    def check(rows):
        y, p, drawn = ROWS[task][1](rows, dtype)
        w = weigh(drawn)
        assume(w.sum() > 1)
        assume(defined(task, y[w > 0]))
        expected = {
            name: value for name, value in ask(task, y, p, w).items() if name not in left_out
        }
        found = {name: LIBRARY[name].weighted(y, p)(w) for name in expected}
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", RANKS)
def test_forms_of_ranks_lean_as_scikit_learn_does(name, dtype):
    step = 1e-4  # a central difference errs by its square

    @seldom
    @given(st.lists(ROWS["binary"][0], min_size=2, max_size=12))  # nine scores at most: ties abound
    def check(rows):
        y, p, _ = as_binary(rows, dtype)
        assume(defined("binary", y))
        form = LIBRARY[name].weighted(y, p)
        for bump in step * np.eye(len(y)):
            ours, theirs = (
                (f(1 + bump) - f(1 - bump)) / (2 * step)
                for f in (form, lambda w: REFERENCES["binary", name](y, p, w))
            )
            assert ours == pytest.approx(theirs, abs=1e-6)

    check()


@pytest.mark.parametrize("task", TASKS)
def test_many_rows_without_ties(task):
    draw = np.random.default_rng(3)
    y, p = simulate(task, 3000, draw)
    w = np.bincount(draw.integers(0, 3000, 3000), minlength=3000).astype(float)
    for name in set(LIBRARY.of(task)) - set(RANKS):
        assert LIBRARY[name].weighted(y, p)(w) == pytest.approx(
            REFERENCES[task, name](y, p, w), rel=1e-5
        )


@pytest.mark.parametrize(
    ("w", "known"), [((2, 1, 0), False), ((0, 0, 3), False), ((2, 0, 1), True)]
)
@pytest.mark.parametrize("name", RANKS)
def test_one_class_leaves_ranks_undefined(name, w, known):
    y, p = np.array([0, 0, 1], np.float32), np.array([0.1, 0.2, 0.9], np.float32)
    assert np.isfinite(LIBRARY[name].weighted(y, p)(np.array(w, float))) == known


@pytest.mark.parametrize("constant", [0.0, 0.1, 3.3, 37.1, -1234.567])
def test_r2_is_undefined_where_all_weight_is_on_equal_labels(constant):
    for rows in range(5, 300, 10):
        y = np.full(rows, constant, np.float32)
        y[0] += 30
        w = np.random.default_rng(rows).integers(1, 5, rows).astype(float)
        form = LIBRARY["r2"].weighted(y, np.full(rows, constant - 1, np.float32))
        assert np.isfinite(form(w))
        w[0] = 0
        assert not np.isfinite(form(w)), rows


@pytest.mark.parametrize(("task", "name"), PAIRS)
def test_the_better_direction(task, name):
    draw = np.random.default_rng(5)
    y, p = simulate(task, 400, draw)
    shuffled = p[draw.permutation(len(p))]
    good, bad = LIBRARY.measure(task, y, p)[name], LIBRARY.measure(task, y, shuffled)[name]
    assert (good < bad) == (LIBRARY[name].lower_is_better)
    assert good != bad
