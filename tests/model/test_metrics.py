"""Metrics: the quick forms equal scikit-learn, and the intervals are what a bootstrap should give."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sklearn.metrics as skm
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from evergreen.model.metrics import LOWER_IS_BETTER, METRICS, bootstrap, measure, weighted

REFERENCES = {
    ("binary", "roc_auc"): lambda y, p, w: skm.roc_auc_score(y, p, sample_weight=w),
    ("binary", "average_precision"): lambda y, p, w: skm.average_precision_score(y, p, sample_weight=w),
    ("binary", "log_loss"): lambda y, p, w: skm.log_loss(y, p, labels=[0, 1], sample_weight=w),
    ("binary", "brier"): lambda y, p, w: skm.brier_score_loss(y, p, labels=[0, 1], sample_weight=w),
    ("multiclass", "accuracy"): lambda y, p, w: skm.accuracy_score(y, p.argmax(axis=1), sample_weight=w),
    ("multiclass", "log_loss"): lambda y, p, w: skm.log_loss(y, p, labels=range(p.shape[1]), sample_weight=w),
    ("regression", "rmse"): lambda y, p, w: skm.root_mean_squared_error(y, p, sample_weight=w),
    ("regression", "mae"): lambda y, p, w: skm.mean_absolute_error(y, p, sample_weight=w),
    ("regression", "r2"): lambda y, p, w: skm.r2_score(y, p, sample_weight=w),
}
PAIRS = [(task, name) for task, names in METRICS.items() for name in names]
calm = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}  # on a busy machine
quickly = settings(max_examples=40, **calm)
seldom = settings(max_examples=15, **calm)


def balanced(y, p, w):
    """Mean recall over the classes that have weight."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class without weight may still be predicted
        return skm.balanced_accuracy_score(y, p.argmax(axis=1), sample_weight=w)


REFERENCES["multiclass", "balanced_accuracy"] = balanced


def as_binary(rows, dtype):
    y, score, w = (np.array(column) for column in zip(*rows, strict=True))
    return y.astype(np.float32), (score / 8).astype(dtype), w.astype(np.float64)  # chances 0 and 1 among them


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("task", METRICS)
def test_quick_forms_equal_scikit_learn_for_any_weights(task, dtype):
    @quickly
    @given(st.lists(ROWS[task][0], min_size=2, max_size=30))
    def check(rows):
        y, p, w = ROWS[task][1](rows, dtype)
        assume(w.sum() > 1)
        assume(defined(task, y[w > 0]))
        for name in METRICS[task]:
            expected = REFERENCES[task, name](y, p, w)
            assert weighted(name, y, p)(w) == pytest.approx(expected, rel=1e-5, abs=1e-6), name

    check()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("task", METRICS)
def test_a_weight_is_a_count_of_rows(task, dtype):
    @seldom
    @given(st.lists(ROWS[task][0], min_size=2, max_size=30))
    def check(rows):
        y, p, w = ROWS[task][1](rows, dtype)
        assume(w.sum() > 1)
        times = w.astype(int)
        assume(defined(task, np.repeat(y, times)))
        expected = measure(task, np.repeat(y, times), np.repeat(p, times, axis=0))
        found = {name: weighted(name, y, p)(w) for name in METRICS[task]}
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)

    check()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("task", METRICS)
def test_weights_of_one_give_what_measure_gives(task, dtype):
    @seldom
    @given(st.lists(ROWS[task][0], min_size=2, max_size=30))
    def check(rows):
        y, p, _ = ROWS[task][1](rows, dtype)
        assume(defined(task, y))
        found = {name: weighted(name, y, p)(np.ones(len(y))) for name in METRICS[task]}
        assert found == pytest.approx(measure(task, y, p), rel=1e-5, abs=1e-6)

    check()


@pytest.mark.parametrize("task", METRICS)
def test_many_rows_without_ties(task):
    draw = np.random.default_rng(3)
    y, p = simulate(task, 3000, draw)
    w = np.bincount(draw.integers(0, 3000, 3000), minlength=3000).astype(float)
    for name in METRICS[task]:
        assert weighted(name, y, p)(w) == pytest.approx(REFERENCES[task, name](y, p, w), rel=1e-5)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_one_class_leaves_them_undefined(name):
    y, p = np.array([0, 0, 1], np.float32), np.array([0.1, 0.2, 0.9], np.float32)
    form = weighted(name, y, p)
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(form(np.array([2.0, 1.0, 0.0])))
    assert np.isfinite(form(np.array([2.0, 0.0, 1.0])))


@pytest.mark.parametrize("constant", [0.0, 0.1, 3.3, 37.1, -1234.567])
def test_r2_is_undefined_where_all_weight_is_on_equal_labels(constant):
    for rows in range(5, 300, 10):
        y = np.full(rows, constant, np.float32)
        y[0] += 30
        w = np.random.default_rng(rows).integers(1, 5, rows).astype(float)
        form = weighted("r2", y, np.full(rows, constant - 1, np.float32))
        assert np.isfinite(form(w))
        w[0] = 0
        with np.errstate(divide="ignore", invalid="ignore"):
            assert not np.isfinite(form(w)), rows


def test_resamples_of_equal_labels_are_left_out_of_the_interval_of_r2():
    y = np.full(100, 0.1, np.float32)
    y[0] = 30  # 37% of the resamples lack this row
    found = run("regression", y, {"m": np.full(100, 0.099, np.float32)}, 1000)["m"]["r2"]
    assert -1 < found.low <= found.high < 0


@pytest.mark.parametrize(("task", "name"), PAIRS)
def test_the_better_direction(task, name):
    draw = np.random.default_rng(5)
    y, p = simulate(task, 400, draw)
    shuffled = p[draw.permutation(len(p))]
    good, bad = measure(task, y, p)[name], measure(task, y, shuffled)[name]
    assert (good < bad) == (name in LOWER_IS_BETTER)
    assert good != bad


def simulate(task, rows, draw):
    """Labels, and predictions that know something of them."""
    if task == "binary":
        p = draw.random(rows)
        return (draw.random(rows) < p).astype(np.float32), p.astype(np.float32)
    if task == "multiclass":
        p = draw.dirichlet([0.5] * 4, rows)
        y = (p.cumsum(axis=1) > draw.random(rows)[:, None]).argmax(axis=1)
        return y.astype(np.float32), p.astype(np.float32)
    p = draw.normal(size=rows)
    return (p + draw.normal(size=rows)).astype(np.float32), p.astype(np.float32)


def run(task, y, predictions, resamples=200, confidence=0.95, seed=0):
    return bootstrap(task, y, predictions, resamples=resamples, confidence=confidence, seed=seed)


@pytest.mark.parametrize("task", METRICS)
def test_the_seed_decides_the_interval(task):
    y, p = simulate(task, 150, np.random.default_rng(1))
    first, again, other = (run(task, y, {"m": p}, seed=seed)["m"] for seed in (4, 4, 5))
    assert first == again
    assert {name: one.value for name, one in first.items()} == measure(task, y, p)
    assert first != other


@pytest.mark.parametrize("task", METRICS)
def test_the_interval_contains_the_value_and_grows_with_confidence(task):
    y, p = simulate(task, 300, np.random.default_rng(2))
    narrow, wide = (run(task, y, {"m": p}, confidence=level)["m"] for level in (0.8, 0.99))
    assert tuple(narrow) == METRICS[task]
    for name in METRICS[task]:
        assert wide[name].low < narrow[name].low < narrow[name].value < narrow[name].high < wide[name].high


@pytest.mark.parametrize("task", METRICS)
def test_models_meet_the_same_resamples(task):
    draw = np.random.default_rng(6)
    y, p = simulate(task, 150, draw)
    other = p[draw.permutation(len(p))]
    alone = run(task, y, {"m": p})
    both = run(task, y, {"other": other, "m": p, "twin": p.copy()})
    assert both["m"] == both["twin"] == alone["m"]
    assert both["m"] != both["other"]


def test_a_shifted_model_has_a_shifted_interval():
    y = np.abs(np.random.default_rng(7).normal(size=100)).astype(np.float64)
    found = run("regression", y, {"zero": np.zeros(100), "below": np.full(100, -2.0)})
    zero, below = found["zero"]["mae"], found["below"]["mae"]
    assert (below.low - zero.low, below.high - zero.high) == pytest.approx((2.0, 2.0), abs=1e-12)


def test_the_interval_is_that_of_scipy():
    rows, resamples, confidence = 500, 4000, 0.95
    draw = np.random.default_rng(8)
    y, p = simulate("regression", rows, draw)
    found = run("regression", y, {"m": p}, resamples, confidence)["m"]["mae"]
    distances = np.abs(y.astype(float) - p)
    theirs = stats.bootstrap(
        (distances,), np.mean, n_resamples=resamples, confidence_level=confidence, method="percentile", rng=draw
    )
    tail = (1 - confidence) / 2
    # The error of one quantile of `resamples` nearly normal values, and of the difference of two such.
    error = np.sqrt(tail * (1 - tail) / resamples) / stats.norm.pdf(stats.norm.ppf(tail)) * theirs.standard_error
    near = 4.5 * np.sqrt(2) * error
    assert near < 0.15 * (found.high - found.low)
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=near)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=near)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    trials, confidence, truth = 200, 0.9, np.sqrt(2 / np.pi)  # E|y| of a standard normal
    covered = 0
    for trial in range(trials):
        y = np.random.default_rng(100 + trial).normal(size=80)
        one = run("regression", y, {"m": np.zeros(80)}, 150, confidence, trial)["m"]["mae"]
        covered += one.low <= truth <= one.high
    # A percentile interval from 80 rows and 150 resamples covers between 86% and 91% in the long run.
    low, high = stats.binom.ppf(1e-4, trials, 0.86), stats.binom.ppf(1 - 1e-4, trials, 0.91)
    assert low <= covered <= high


@pytest.mark.parametrize("label", [0, 1])
def test_a_holdout_of_one_class_gives_no_auc_and_no_error(label):
    y = np.full(50, label, np.float32)
    p = np.random.default_rng(9).random(50).astype(np.float32)
    found = run("binary", y, {"m": p})["m"]
    for name in ("roc_auc", "average_precision"):
        assert np.isnan([found[name].value, found[name].low, found[name].high]).all()
    for name in ("log_loss", "brier"):
        assert found[name].low < found[name].value < found[name].high


def test_resamples_of_one_class_are_left_out_of_the_interval():
    y = np.array([1] + [0] * 11, np.float32)  # 35% of the resamples lack the positive
    p = np.linspace(0.9, 0.1, 12).astype(np.float32)
    found = run("binary", y, {"m": p})["m"]
    assert (found["roc_auc"].low, found["roc_auc"].high) == (1.0, 1.0)


def test_a_class_missing_in_the_holdout():
    y, p = np.array([0, 0, 1, 1], np.float32), np.eye(3, dtype=np.float32)[[0, 1, 1, 2]]
    found = run("multiclass", y, {"m": p})["m"]
    assert (found["accuracy"].value, found["balanced_accuracy"].value) == (0.5, 0.5)
    assert np.isfinite(found["log_loss"].high)
