"""Intervals: they are those of a plain bootstrap."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from scipy import stats
from simulated import simulate

from evergreen.evaluation import intervals
from evergreen.evaluation.intervals import bootstrap, interval, resample
from evergreen.metrics.metric import TASKS, Form
from evergreen.metrics.table import LIBRARY

PAIRS = [(task, name) for task in TASKS for name in LIBRARY.of(task)]


def run(task, y, predictions, resamples=200, confidence=0.95, seed=0):
    return bootstrap(
        task, y, predictions, resamples=resamples, confidence=confidence, seed=seed, metrics=LIBRARY
    )


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_the_seed_decides_the_interval(task):
    y, p = simulate(task, 150, np.random.default_rng(1))
    first, again, other = (run(task, y, {"m": p}, seed=seed)["m"] for seed in (4, 4, 5))
    assert first == again
    assert {name: estimate.value for name, estimate in first.items()} == LIBRARY.measure(task, y, p)
    assert first != other


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_the_interval_contains_the_value_and_grows_with_confidence(task):
    y, p = simulate(task, 300, np.random.default_rng(2))
    narrow, wide = (run(task, y, {"m": p}, confidence=level)["m"] for level in (0.8, 0.99))
    assert tuple(narrow) == tuple(LIBRARY.of(task))
    for name in LIBRARY.of(task):
        assert (
            wide[name].low
            < narrow[name].low
            < narrow[name].value
            < narrow[name].high
            < wide[name].high
        )


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_models_meet_the_same_resamples(task):
    draw = np.random.default_rng(6)
    y, p = simulate(task, 150, draw)
    other = p[draw.permutation(len(p))]
    alone = run(task, y, {"m": p})
    both = run(task, y, {"other": other, "m": p, "twin": p.copy()})
    for name, estimate in alone["m"].items():
        for model in ("m", "twin"):
            # Equal but for the order in which a product of matrices adds up
            assert vars(both[model][name]) == pytest.approx(vars(estimate), rel=1e-12)
        assert both["other"][name].low != pytest.approx(estimate.low, rel=1e-3)


def test_a_shifted_model_has_a_shifted_interval():
    y = np.abs(np.random.default_rng(7).normal(size=100)).astype(np.float64)
    found = run("regression", y, {"zero": np.zeros(100), "below": np.full(100, -2.0)})
    zero, below = found["zero"]["mae"], found["below"]["mae"]
    assert (below.low - zero.low, below.high - zero.high) == pytest.approx((2.0, 2.0), abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    "task", ["binary", "regression", pytest.param("multiclass", marks=pytest.mark.long)]
)
def test_the_interval_is_that_of_a_plain_bootstrap(task):
    rows, few, many, confidence = 400, 400, 5000, 0.8  # resamples of scikit-learn, and ours
    draw = np.random.default_rng(8)
    y, p = simulate(task, rows, draw)
    picks = draw.integers(0, rows, (few, rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        theirs = [LIBRARY.measure(task, y[pick], p[pick]) for pick in picks]
    ours, tail = run(task, y, {"m": p}, many, confidence)["m"], (1 - confidence) / 2
    for name in LIBRARY.of(task):
        values = np.array([metrics[name] for metrics in theirs])
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
@pytest.mark.parametrize("trials", [60, pytest.param(200, marks=pytest.mark.long)])
def test_the_interval_covers_the_truth_as_often_as_it_says(trials):
    confidence, truth = 0.9, np.sqrt(2 / np.pi)  # E|y| of a standard normal
    covered = 0
    for trial in range(trials):
        y = np.random.default_rng(100 + trial).normal(size=80)
        estimate = run("regression", y, {"m": np.zeros(80)}, 150, confidence, trial)["m"]["mae"]
        covered += estimate.low <= truth <= estimate.high
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


def count_rows(rows, resamples, seed=0):
    """How often each row counts in each resample, shape (rows, resamples), by forms of one row."""
    each = [Form(column[:, None], lambda sums: sums[:, 0]) for column in np.eye(rows)]
    return resample(each, rows, resamples=resamples, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at_once", "cores"), [(1, 2), (30, 1), (100, 16), (1000, 1), (8_000_000, 16)]
)
def test_the_seed_alone_decides_the_resamples(at_once, cores, monkeypatch):
    expected = count_rows(30, 70, seed=3)
    monkeypatch.setattr(intervals, "AT_ONCE", at_once)
    monkeypatch.setattr(intervals, "count_cores", lambda: cores)
    np.testing.assert_array_equal(count_rows(30, 70, seed=3), expected)
    # More resamples change none
    np.testing.assert_array_equal(count_rows(30, 20, seed=3), expected[:, :20])
    assert (count_rows(30, 70, seed=4) != expected).any()


@pytest.mark.slow
def test_a_row_counts_as_poisson_says():
    counts = count_rows(50, 4000)
    n = counts.size
    assert counts.mean() == pytest.approx(1, abs=4 * np.sqrt(1 / n))
    assert counts.var() == pytest.approx(1, abs=4 * np.sqrt(3 / n))  # the fourth moment is 4
    frequencies = np.bincount(np.minimum(counts, 6).astype(int).ravel(), minlength=7)
    expected = n * np.r_[stats.poisson.pmf(range(6), 1), stats.poisson.sf(5, 1)]
    assert stats.chisquare(frequencies, expected).pvalue > 1e-4


@pytest.mark.slow
def test_rows_and_resamples_are_independent():
    counts = count_rows(50, 4000)
    for columns, other in ((counts, 4000), (counts[:, :50].T, 50)):
        apart = np.corrcoef(columns)[np.triu_indices(50, 1)]
        assert abs(apart).max() < 5 / np.sqrt(other)  # 1,225 pairs
        assert apart.mean() == pytest.approx(0, abs=4 / np.sqrt(other * len(apart)))


@pytest.mark.parametrize(("task", "name"), PAIRS)
def test_a_draw_is_the_form_of_its_counts(task, name):
    y, p = simulate(task, 40, np.random.default_rng(11))
    form = LIBRARY[name].weighted(y, p)
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
    (draws,) = resample([LIBRARY[name].weighted(y, p)], 3, resamples=300, seed=0)
    expected = [lost(y, w) for w in count_rows(3, 300).T]
    np.testing.assert_array_equal(np.isnan(draws), expected)
    assert 0 < sum(expected) < 300


@pytest.mark.slow
def test_memory_does_not_grow_with_the_resamples(monkeypatch):
    rows, at_once = 20_000, 200_000
    monkeypatch.setattr(intervals, "AT_ONCE", at_once)
    form = LIBRARY["mae"].weighted(*simulate("regression", rows, np.random.default_rng(12)))
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


@pytest.mark.slow
def test_resamples_of_equal_labels_are_left_out_of_the_interval_of_r2():
    y = np.full(100, 0.1, np.float32)
    y[0] = 30  # 37% of the resamples lack this row
    found = run("regression", y, {"m": np.full(100, 0.099, np.float32)}, 1000)["m"]["r2"]
    assert -1 < found.low <= found.high < 0
