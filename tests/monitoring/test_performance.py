"""Performance: real metrics, estimates against the truth, their blind spots, and trust in them."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from monitoring.draws import QUICK, calibration_of, draw

from evergreen.errors import InputError
from evergreen.metrics.metric import TASKS
from evergreen.metrics.table import LIBRARY
from evergreen.monitoring.performance import (
    Calibration,
    Curve,
    estimate,
    fit_calibration,
    measure_live,
)
from evergreen.params import Evaluate

pytestmark = pytest.mark.usefixtures("same_resamples")


ESTIMATED = {
    "binary": tuple(LIBRARY.of("binary")),
    "multiclass": ("accuracy", "log_loss"),
    "regression": (),
}


# --- with labels


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("days", [None, np.arange(3000) // 100])
def test_each_metric_is_that_of_scikit_learn_with_an_interval_around_it(task, days):
    y, p = draw(task, 3000, 1)
    found = measure_live(task, y, p, days, QUICK, 0, metrics=LIBRARY)
    assert {name: shown.value for name, shown in found.items()} == LIBRARY.measure(task, y, p)
    assert all(shown.low < shown.value < shown.high for shown in found.values())


@pytest.mark.slow
def test_days_whose_rows_are_alike_make_the_interval_wider_from_5_of_them_on():
    rng = np.random.default_rng(0)
    wide = {}
    for days in (4, 5, 30):
        day = np.arange(4000) * days // 4000
        y = (rng.random(4000) < np.where(day % 3, 0.1, 0.9)).astype(int)
        p = np.where(day % 2, 0.7, 0.3) + rng.normal(size=4000) * 0.01
        whole, alone = (
            measure_live("binary", y, p, blocks, QUICK, 0, metrics=LIBRARY)["brier"]
            for blocks in (day, None)
        )
        wide[days] = (whole.high - whole.low) / (alone.high - alone.low)
    assert wide[4] == 1
    assert wide[5] > wide[30] > 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("days", "trials"),
    [(5, 80), *(pytest.param(days, 200, marks=pytest.mark.long) for days in (5, 7, 19))],
)
def test_the_interval_of_few_days_holds_the_truth(days, trials):
    """The Brier score over all days that might have been; a batch of a week shows seven."""
    rng = np.random.default_rng(days)

    def live(count, rows):
        day = np.repeat(np.arange(count), rows)
        y = (rng.random(len(day)) < 1 / (1 + np.exp(1 - rng.normal(0, 0.6, count)[day]))).astype(
            int
        )
        return y, np.full(len(day), 0.3), day

    y, p, _ = live(4000, 50)
    truth = float(np.mean((y - p) ** 2))
    held = {"days": 0, "rows": 0}
    for seed in range(trials):
        y, p, day = live(days, 100)
        for name, blocks in (("days", day), ("rows", None))[: 2 if seed % 4 == 0 else 1]:
            found = measure_live("binary", y, p, blocks, QUICK, seed, metrics=LIBRARY)["brier"]
            held[name] += found.low <= truth <= found.high
    assert held["days"] >= 0.9 * trials
    assert held["rows"] < 0.7 * trials / 4  # as if rows were independent


@pytest.mark.parametrize(
    ("task", "rows", "positive"),
    [("binary", 29, 10), ("binary", 100, 4), ("binary", 100, 96), ("regression", 29, 0)],
)
def test_too_few_rows_are_not_measured_nor_calibrated(task, rows, positive):
    y = (np.arange(rows) < positive).astype(int)
    p = np.linspace(0.1, 0.9, rows)
    assert measure_live(task, y, p, None, QUICK, 0, metrics=LIBRARY) == {}
    assert fit_calibration(task, y, p) is None


# --- calibration


def test_a_calibration_says_how_often_a_prediction_comes_true():
    found = calibration_of("binary", 50_000).apply(np.array([0.2, 0.5, 0.9]))[:, 0]
    y, p = draw("binary", 500_000, 5)
    real = [y[abs(p - at) < 0.01].mean() for at in (0.2, 0.5, 0.9)]
    assert found == pytest.approx(real, abs=0.03)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_calibration_is_kept_as_plain_values(task):
    calibration = calibration_of(task)
    plain = json.loads(json.dumps(calibration.as_plain()))
    assert Calibration.of_plain(plain) == calibration
    assert len(calibration.curves) == (1 if task == "binary" else 3)
    assert {sum(curve.yes) + sum(curve.no) for curve in calibration.curves} == {10_000}


def test_the_curve_rises_with_the_prediction_and_is_level_beyond_its_ends():
    curve = Curve((0.2, 0.4, 0.6), (1, 4, 3), (9, 6, 7))
    assert curve.apply(np.array([0.0, 0.2, 0.3, 0.5, 0.6, 1.0])) == pytest.approx(
        [0.1, 0.1, 0.225, 0.35, 0.35, 0.35]
    )


def test_equal_predictions_make_one_bin():
    y = np.arange(100) % 4 == 0
    calibration = fit_calibration("binary", y.astype(int), np.full(100, 0.7))
    assert calibration
    assert calibration.curves == (Curve((pytest.approx(0.7),), (25,), (75,)),)
    found = estimate("binary", np.full(100, 0.7), calibration, None, QUICK, 0, metrics=LIBRARY)
    assert found["roc_auc"].value == pytest.approx(0.5)
    assert found["brier"].value == pytest.approx(0.25 * 0.09 + 0.75 * 0.49, abs=0.005)


def test_regression_is_not_estimated():
    y, p = draw("regression", 1000, 0)
    assert fit_calibration("regression", y, p) is None
    assert estimate("regression", p, None, None, QUICK, 0, metrics=LIBRARY) == {}


# --- without labels


@pytest.mark.slow
@pytest.mark.parametrize("values", [(0.1, 0.3, 0.3, 0.8, 0.6, 0.2), (0.5, 0.5, 0.5, 0.5, 0.5, 0.5)])
def test_each_expected_metric_is_its_mean_over_all_labels_there_may_be(values):
    """By hand: each set of labels of six rows, weighted by probability; ratios of means."""
    from itertools import product

    from evergreen.monitoring.performance import _expect

    p, c = np.array(values), np.array([0.2, 0.3, 0.1, 0.9, 0.4, 0.7])
    found = {
        name: metric.of(metric.columns.sum(axis=0)[None])[0]
        for name, metric in _expect(LIBRARY, "binary", p, c[:, None]).items()
    }
    sums = dict.fromkeys(("pairs", "won", "hits", "precision", "log_loss", "brier"), 0.0)
    for labels in product((0, 1), repeat=6):
        y = np.array(labels)
        chance = float(np.prod(np.where(y == 1, c, 1 - c)))
        ahead = (p[:, None] > p[None]) + 0.5 * (p[:, None] == p[None])
        sums["won"] += chance * float((ahead * np.outer(y, 1 - y)).sum())
        sums["pairs"] += chance * float(np.outer(y, 1 - y).sum())
        sums["precision"] += chance * sum(y[p >= p[at]].mean() for at in range(6) if y[at])
        sums["hits"] += chance * float(y.sum())
        for name in ("log_loss", "brier"):
            sums[name] += chance * LIBRARY.measure("binary", y, p)[name]
    assert found["roc_auc"] == pytest.approx(sums["won"] / sums["pairs"])
    assert found["average_precision"] == pytest.approx(sums["precision"] / sums["hits"])
    assert (found["log_loss"], found["brier"]) == pytest.approx((sums["log_loss"], sums["brier"]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "shift"),
    [
        ("binary", 0.8),
        ("multiclass", 0.3),
        *(pytest.param(task, 0.0, marks=pytest.mark.long) for task in ("binary", "multiclass")),
    ],
)
def test_under_a_shift_of_inputs_the_real_value_lies_in_the_interval_about_as_often_as_it_says(
    task, shift
):
    held = dict.fromkeys(ESTIMATED[task], 0)
    for seed in range(25):
        y, p = draw(task, 2000, 100 + seed, shift)
        found = estimate(
            task, p, calibration_of(task, seed=seed), None, QUICK, seed, metrics=LIBRARY
        )
        real = LIBRARY.measure(task, y, p)
        for name in held:
            held[name] += found[name].low <= real[name] <= found[name].high
    assert min(held.values()) >= 21  # of 25 at 0.95: fewer has a chance of 1 in 100


@pytest.mark.slow
def test_the_interval_is_no_wider_than_noise_explains():
    """Real values of like batches spread about as far as the interval is wide."""
    calibration = calibration_of("binary", 100_000)
    real = [LIBRARY.measure("binary", *draw("binary", 2000, seed)) for seed in range(200)]
    found = estimate(
        "binary", draw("binary", 2000, 1)[1], calibration, None, Evaluate(), 0, metrics=LIBRARY
    )
    for name, shown in found.items():
        spread = float(np.ptp(np.quantile([each[name] for each in real], [0.025, 0.975])))
        assert 0.8 < (shown.high - shown.low) / spread < 1.25


@pytest.mark.slow
def test_a_calibration_of_few_rows_makes_the_interval_wider():
    p = draw("binary", 20_000, 3)[1]
    wide = {}
    for rows in (1000, 100_000):
        found = estimate(
            "binary", p, calibration_of("binary", rows), None, QUICK, 0, metrics=LIBRARY
        )["roc_auc"]
        wide[rows] = found.high - found.low
    assert wide[1000] > 2 * wide[100_000]


@pytest.mark.slow
def test_days_that_differ_make_the_interval_wider():
    p = np.sort(draw("binary", 3000, 3)[1])
    days = np.arange(3000) // 100  # each day has predictions of its own
    calibration = calibration_of("binary", 100_000)
    whole, alone = (
        estimate("binary", p, calibration, blocks, QUICK, 0, metrics=LIBRARY)["brier"]
        for blocks in (days, None)
    )
    assert whole.high - whole.low > 1.5 * (alone.high - alone.low)
    assert whole.value == pytest.approx(alone.value, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_the_estimate_is_that_of_the_labels_and_not_what_the_model_says_of_itself(task):
    y, p = draw(task, 50_000, 7)
    found, real = (
        estimate(task, p, calibration_of(task, 50_000), None, QUICK, 0, metrics=LIBRARY),
        LIBRARY.measure(task, y, p),
    )
    assert set(found) == set(ESTIMATED[task])
    for name, shown in found.items():
        assert shown.value == pytest.approx(real[name], abs=0.02)
        assert shown.low < shown.value < shown.high
    if task == "multiclass":
        assert float(p.max(axis=1).mean()) > real["accuracy"] + 0.05  # too sure of itself


@pytest.mark.parametrize("rows", [0, 29])
def test_below_30_rows_and_without_a_calibration_nothing_is_estimated(rows):
    p = draw("binary", 100, 0)[1]
    assert (
        estimate("binary", p[:rows], calibration_of("binary"), None, QUICK, 0, metrics=LIBRARY)
        == {}
    )
    assert estimate("binary", p, None, None, QUICK, 0, metrics=LIBRARY) == {}


@pytest.mark.parametrize(("task", "other"), [("binary", "multiclass"), ("multiclass", "binary")])
def test_a_calibration_of_another_task_is_an_error(task, other):
    with pytest.raises(InputError, match="fit it anew for this model"):
        estimate(
            task, draw(task, 100, 0)[1], calibration_of(other), None, QUICK, 0, metrics=LIBRARY
        )


@pytest.mark.slow
def test_the_same_seed_gives_the_same_estimate():
    p, calibration = draw("binary", 1000, 3)[1], calibration_of("binary")
    first, same, other = (
        estimate("binary", p, calibration, None, QUICK, seed, metrics=LIBRARY) for seed in (0, 0, 1)
    )
    assert first == same != other


@pytest.mark.slow
def test_a_class_that_was_never_seen_and_one_that_is_always_so_make_no_warning():
    y = np.tile([0, 1], 50)
    p = np.column_stack([np.full(100, 0.5), np.full(100, 0.5), np.zeros(100)])
    calibration = fit_calibration("multiclass", y, p)
    found = estimate(
        "multiclass", p.astype(np.float32), calibration, None, QUICK, 0, metrics=LIBRARY
    )
    assert found["accuracy"].value == pytest.approx(0.5, abs=0.05)
    never = Calibration("binary", (Curve((0.1, 0.9), (0, 0), (50, 50)),))
    lost = estimate("binary", np.linspace(0, 1, 100), never, None, QUICK, 0, metrics=LIBRARY)
    assert np.isnan(lost["roc_auc"].value)
    assert np.isnan(lost["average_precision"].value)
    assert np.isfinite(lost["brier"].value)


@pytest.mark.slow
def test_a_hundred_thousand_rows_are_estimated_at_once():
    p, calibration = draw("binary", 100_000, 0)[1], calibration_of("binary")
    start = time.process_time()
    estimate("binary", p, calibration, None, Evaluate(), 0, metrics=LIBRARY)
    assert time.process_time() - start < 4  # 0.7 s on an idle core
