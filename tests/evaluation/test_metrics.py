"""Metrics: the quick forms equal scikit-learn, and the intervals are those of a plain bootstrap."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
import sklearn.metrics as skm
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from evergreen.errors import InputError
from evergreen.evaluation import metrics
from evergreen.evaluation.metrics import (
    LOWER_IS_BETTER,
    METRICS,
    Form,
    bootstrap,
    calibration_error,
    interval,
    measure,
    pick_metric,
    resample,
    weighted,
)

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
PAIRS = [(task, name) for task, names in METRICS.items() for name in names]
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
    return {name: REFERENCES[task, name](y, p, w) for name in METRICS[task]}


def by_count(task, y, p, w):
    times = w.astype(int)
    return measure(task, np.repeat(y, times), np.repeat(p, times, axis=0))


# What the forms are asked with the weights that were drawn, what scikit-learn is asked, and what is
# left out.
WAYS = {
    "a weight is a weight": (lambda w: w, by_weight, RANKS),
    "a weight is a count of rows": (lambda w: w, by_count, RANKS),
    "ones": (np.ones_like, lambda task, y, p, _: measure(task, y, p), ()),
    "all weights 2": (lambda w: np.full_like(w, 2), lambda task, y, p, _: measure(task, y, p), ()),
}


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("task", METRICS)
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
        found = {name: weighted(name, y, p)(w) for name in expected}
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", RANKS)
def test_forms_of_ranks_lean_as_scikit_learn_does(name, dtype):
    step = 1e-4  # a central difference errs by its square

    @seldom
    @given(st.lists(ROWS["binary"][0], min_size=2, max_size=12))  # nine scores at most: ties abound
    def check(rows):
        y, p, _ = as_binary(rows, dtype)
        assume(defined("binary", y))
        form = weighted(name, y, p)
        for bump in step * np.eye(len(y)):
            ours, theirs = (
                (f(1 + bump) - f(1 - bump)) / (2 * step)
                for f in (form, lambda w: REFERENCES["binary", name](y, p, w))
            )
            assert ours == pytest.approx(theirs, abs=1e-6)

    check()


@pytest.mark.parametrize("task", METRICS)
def test_many_rows_without_ties(task):
    draw = np.random.default_rng(3)
    y, p = simulate(task, 3000, draw)
    w = np.bincount(draw.integers(0, 3000, 3000), minlength=3000).astype(float)
    for name in set(METRICS[task]) - set(RANKS):
        assert weighted(name, y, p)(w) == pytest.approx(REFERENCES[task, name](y, p, w), rel=1e-5)


@pytest.mark.parametrize(
    ("w", "known"), [((2, 1, 0), False), ((0, 0, 3), False), ((2, 0, 1), True)]
)
@pytest.mark.parametrize("name", RANKS)
def test_one_class_leaves_ranks_undefined(name, w, known):
    y, p = np.array([0, 0, 1], np.float32), np.array([0.1, 0.2, 0.9], np.float32)
    assert np.isfinite(weighted(name, y, p)(np.array(w, float))) == known


@pytest.mark.parametrize("constant", [0.0, 0.1, 3.3, 37.1, -1234.567])
def test_r2_is_undefined_where_all_weight_is_on_equal_labels(constant):
    for rows in range(5, 300, 10):
        y = np.full(rows, constant, np.float32)
        y[0] += 30
        w = np.random.default_rng(rows).integers(1, 5, rows).astype(float)
        form = weighted("r2", y, np.full(rows, constant - 1, np.float32))
        assert np.isfinite(form(w))
        w[0] = 0
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
        assert (
            wide[name].low
            < narrow[name].low
            < narrow[name].value
            < narrow[name].high
            < wide[name].high
        )


@pytest.mark.parametrize("task", METRICS)
def test_models_meet_the_same_resamples(task):
    draw = np.random.default_rng(6)
    y, p = simulate(task, 150, draw)
    other = p[draw.permutation(len(p))]
    alone = run(task, y, {"m": p})
    both = run(task, y, {"other": other, "m": p, "twin": p.copy()})
    for name, one in alone["m"].items():
        for model in ("m", "twin"):
            # Equal but for the order in which a product of matrices adds up
            assert vars(both[model][name]) == pytest.approx(vars(one), rel=1e-12)
        assert both["other"][name].low != pytest.approx(one.low, rel=1e-3)


def test_a_shifted_model_has_a_shifted_interval():
    y = np.abs(np.random.default_rng(7).normal(size=100)).astype(np.float64)
    found = run("regression", y, {"zero": np.zeros(100), "below": np.full(100, -2.0)})
    zero, below = found["zero"]["mae"], found["below"]["mae"]
    assert (below.low - zero.low, below.high - zero.high) == pytest.approx((2.0, 2.0), abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("task", METRICS)
def test_the_interval_is_that_of_a_plain_bootstrap(task):
    rows, few, many, confidence = 400, 400, 5000, 0.8  # resamples of scikit-learn, and ours
    draw = np.random.default_rng(8)
    y, p = simulate(task, rows, draw)
    picks = draw.integers(0, rows, (few, rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        theirs = [measure(task, y[pick], p[pick]) for pick in picks]
    ours, tail = run(task, y, {"m": p}, many, confidence)["m"], (1 - confidence) / 2
    for name in METRICS[task]:
        values = np.array([one[name] for one in theirs])
        # The error of the difference of two quantiles of nearly normal values.
        error = (
            np.sqrt(tail * (1 - tail) * (1 / few + 1 / many))
            / stats.norm.pdf(stats.norm.ppf(tail))
            * values.std()
        )
        near = 4 * error
        # Else the test would let anything pass
        assert near < 0.15 * (ours[name].high - ours[name].low)
        assert (ours[name].low, ours[name].high) == pytest.approx(
            interval(values, confidence), abs=near
        ), name


@pytest.mark.slow
def test_the_interval_covers_the_truth_as_often_as_it_says():
    trials, confidence, truth = 200, 0.9, np.sqrt(2 / np.pi)  # E|y| of a standard normal
    covered = 0
    for trial in range(trials):
        y = np.random.default_rng(100 + trial).normal(size=80)
        one = run("regression", y, {"m": np.zeros(80)}, 150, confidence, trial)["m"]["mae"]
        covered += one.low <= truth <= one.high
    # A percentile interval from 80 rows and 150 resamples covers between 86% and 91% in the long
    # run.
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


# --- resamples
# --------------------------------------------------------------------------------------------------


def count_rows(rows, resamples, seed=0):
    """How often each row counts in each resample, shape (rows, resamples): the sums of forms that take one row each."""
    each = [Form(column[:, None], lambda sums: sums[:, 0]) for column in np.eye(rows)]
    return resample(each, rows, resamples=resamples, seed=seed)


@pytest.mark.parametrize(
    ("at_once", "cores"), [(1, 2), (30, 1), (100, 16), (1000, 1), (8_000_000, 16)]
)
def test_the_seed_alone_decides_the_resamples(at_once, cores, monkeypatch):
    expected = count_rows(30, 70, seed=3)
    monkeypatch.setattr(metrics, "AT_ONCE", at_once)
    monkeypatch.setattr(metrics, "count_cores", lambda: cores)
    np.testing.assert_array_equal(count_rows(30, 70, seed=3), expected)
    # More resamples change none
    np.testing.assert_array_equal(count_rows(30, 20, seed=3), expected[:, :20])
    assert (count_rows(30, 70, seed=4) != expected).any()


def test_a_row_counts_as_poisson_says():
    counts = count_rows(50, 4000)
    n = counts.size
    assert counts.mean() == pytest.approx(1, abs=4 * np.sqrt(1 / n))
    assert counts.var() == pytest.approx(1, abs=4 * np.sqrt(3 / n))  # the fourth moment is 4
    frequencies = np.bincount(np.minimum(counts, 6).astype(int).ravel(), minlength=7)
    expected = n * np.r_[stats.poisson.pmf(range(6), 1), stats.poisson.sf(5, 1)]
    assert stats.chisquare(frequencies, expected).pvalue > 1e-4


def test_rows_and_resamples_are_independent():
    counts = count_rows(50, 4000)
    for columns, other in ((counts, 4000), (counts[:, :50].T, 50)):
        apart = np.corrcoef(columns)[np.triu_indices(50, 1)]
        assert abs(apart).max() < 5 / np.sqrt(other)  # 1,225 pairs
        assert apart.mean() == pytest.approx(0, abs=4 / np.sqrt(other * len(apart)))


@pytest.mark.parametrize(("task", "name"), PAIRS)
def test_a_draw_is_the_form_of_its_counts(task, name):
    y, p = simulate(task, 40, np.random.default_rng(11))
    form = weighted(name, y, p)
    (draws,) = resample([form], 40, resamples=50, seed=0)
    assert draws == pytest.approx([form(w) for w in count_rows(40, 50).T], rel=1e-9)


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("roc_auc", lambda y, w: not w[y == 1].sum() or not w[y == 0].sum()),
        ("average_precision", lambda y, w: not w[y == 1].sum() or not w[y == 0].sum()),
        ("log_loss", lambda _, w: not w.sum()),
        ("r2", lambda y, w: not w[y == 1].sum() or not w[y == 0].sum()),
    ],
)
def test_a_resample_that_says_nothing_is_not_a_number(name, lost):
    y, p = np.array([1, 0, 0], np.float32), np.array([0.6, 0.7, 0.1], np.float32)
    (draws,) = resample([weighted(name, y, p)], 3, resamples=300, seed=0)
    expected = [lost(y, w) for w in count_rows(3, 300).T]
    np.testing.assert_array_equal(np.isnan(draws), expected)
    assert 0 < sum(expected) < 300


def test_memory_does_not_grow_with_the_resamples(monkeypatch):
    rows, at_once = 20_000, 200_000
    monkeypatch.setattr(metrics, "AT_ONCE", at_once)
    form = weighted("mae", *simulate("regression", rows, np.random.default_rng(12)))
    resample([form], rows, resamples=1, seed=0)  # what is made once
    tracemalloc.start()
    try:
        resample([form], rows, resamples=400, seed=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    whole, chunk = 8 * rows * 400, 8 * at_once
    assert chunk <= peak < 2 * chunk + 2 * form.rows.nbytes < whole / 10


@pytest.mark.parametrize(
    ("draws", "confidence", "expected"),
    [
        (np.arange(101), 0.9, (5, 95)),
        (np.arange(101)[::-1], 0.5, (25, 75)),
        ([3.0], 0.9, (3, 3)),
        ([np.nan, *range(101), np.inf, -np.inf], 0.9, (5, 95)),
        ([np.nan, np.nan], 0.9, (np.nan, np.nan)),
        ([], 0.9, (np.nan, np.nan)),
    ],
)
def test_the_percentiles_of_what_is_defined(draws, confidence, expected):
    assert interval(np.array(draws, float), confidence) == pytest.approx(expected, nan_ok=True)


# --- calibration
# --------------------------------------------------------------------------------------------------

HALF = np.tile([0.0, 1.0], 50)  # every bin of ten rows holds five of each
SURE = np.eye(3)[[0, 1, 2] * 10]
SPREAD = np.tile([-1.0, 1.0], 50)  # of standard deviation 1


@pytest.mark.parametrize(
    ("task", "y", "p", "expected"),
    [
        ("binary", HALF, HALF, 0),
        ("binary", HALF, 1 - HALF, 1),
        ("binary", HALF, np.full(100, 0.5), 0),
        ("binary", HALF, np.full(100, 0.7), 0.2),
        ("binary", HALF, np.full(100, 0.3), 0.2),
        # The mean of 0.2 and 0.1
        ("binary", np.r_[HALF, np.ones(100)], np.repeat([0.3, 0.9], 100), 0.15),
        ("binary", np.ones(4), np.array([0.6, 0.7, 0.8, 0.9]), 0.25),  # fewer rows than bins
        ("multiclass", np.tile([0, 1, 2], 10), SURE, 0),
        ("multiclass", np.tile([1, 2, 0], 10), SURE, 1),
        ("multiclass", HALF, np.tile([0.6, 0.3, 0.1], (100, 1)), 0.1),
        # Rounding may leave sums beside one
        ("multiclass", HALF, np.tile([1.2, 0.6, 0.2], (100, 1)), 0.1),
        ("regression", SPREAD, SPREAD, 0),
        ("regression", 3 * SPREAD, 3 * SPREAD + 6, 2),
        ("regression", 3 * SPREAD, 3 * SPREAD - 6, 2),
        ("regression", SPREAD, -SPREAD, 0),  # wrong, but not on average
        ("regression", np.ones(10), np.zeros(10), 0),  # labels without a spread have no unit
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_calibration_error(task, y, p, expected, dtype):
    assert calibration_error(task, y.astype(np.float32), p.astype(dtype)) == pytest.approx(
        expected, abs=1e-6
    )


@pytest.mark.parametrize("task", METRICS)
def test_an_honest_model_has_a_small_calibration_error_and_a_boastful_one_a_large(task):
    y, p = simulate(task, 20_000, np.random.default_rng(13))
    boastful = (
        p + 0.5
        if task == "regression"
        else p**4 / (p**4 + (1 - p) ** 4)
        if task == "binary"
        else p**4
    )
    assert calibration_error(task, y, p) < 0.02 < 0.05 < calibration_error(task, y, boastful)


def test_the_order_of_rows_does_not_change_the_calibration_error():
    # Half of the rows are positive, as predicted
    y, p = np.repeat([0.0, 1.0], 50), np.full(100, 0.5)
    assert calibration_error("binary", y, p) == pytest.approx(0)


@pytest.mark.parametrize(("name", "expected"), [(None, "roc_auc"), ("brier", "brier")])
def test_the_metric_that_decides(name, expected):
    assert pick_metric(name, "binary") == expected


def test_a_metric_of_another_task_is_an_error():
    with pytest.raises(
        InputError,
        match=r"gate\.metric: there is no 'accuracy' for task binary; there are roc_auc, ",
    ):
        pick_metric("accuracy", "binary")
