"""Calibration error."""

from __future__ import annotations

import numpy as np
import pytest
from simulated import simulate

from evergreen.evaluation.calibration import calibration_error
from evergreen.metrics.metric import TASKS

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


@pytest.mark.parametrize(
    ("quantile", "p", "expected"),
    [
        (0.5, np.full(100, 50.5), 0),
        (0.9, np.full(100, 90.5), 0),
        (0.9, np.full(100, 50.5), 0.4),
        (0.1, np.full(100, 50.5), 0.4),
        (0.5, np.full(100, 50.0), 0.005),  # a tie counts half
        (0.5, np.arange(1, 101) + 0.5, 0.5),
        (0.5, np.arange(1, 101), 0),
    ],
)
def test_a_quantile_is_calibrated_where_its_share_of_labels_lies_below(quantile, p, expected):
    y = np.random.default_rng(0).permutation(np.arange(1, 101)).astype(np.float32)
    p = p if np.ptp(p) == 0 else p[y.astype(int) - 1]
    found = calibration_error("regression", y, p.astype(np.float32), quantile=quantile)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("task", TASKS)
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
