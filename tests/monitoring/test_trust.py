"""Trust: what estimates without labels are blind to, and how past errors widen them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from monitoring.draws import QUICK, calibration_of, draw

from evergreen.evaluation.intervals import Estimate
from evergreen.metrics.metric import Metric
from evergreen.metrics.table import LIBRARY
from evergreen.monitoring.performance import (
    Trust,
    adjust,
    estimate,
    fit_calibration,
    measure_live,
    measure_trust,
)
from evergreen.params import Evaluate

NAN = float("nan")
pytestmark = pytest.mark.usefixtures("same_resamples")


@pytest.mark.slow
@pytest.mark.parametrize(("task", "metric"), [("binary", "roc_auc"), ("multiclass", "accuracy")])
def test_an_estimate_is_blind_to_concept_drift_until_labels_have_shown_it(task, metric):
    calibration = calibration_of(task)
    before = estimate(task, draw(task, 5000, 1)[1], calibration, None, QUICK, 0, metrics=LIBRARY)[
        metric
    ]
    (y, p), (later_y, later_p) = (draw(task, 5000, seed, turn=0.4) for seed in (2, 3))
    blind, truth = (
        estimate(task, p, calibration, None, QUICK, 0, metrics=LIBRARY)[metric],
        measure_live(task, y, p, None, QUICK, 0, metrics=LIBRARY),
    )
    assert blind.value == pytest.approx(before.value, abs=0.02)
    assert truth[metric].high < blind.low - 0.1
    later, real = (
        estimate(task, later_p, calibration, None, QUICK, 0, metrics=LIBRARY)[metric],
        LIBRARY.measure(task, later_y, later_p),
    )
    assert not later.low <= real[metric] <= later.high
    wiser = adjust(later, [(blind, truth[metric])])
    assert wiser.low <= real[metric] <= wiser.high
    assert wiser.value == later.value


ONE = Estimate(0.7, 0.69, 0.71)


def pair(real: float, said: Estimate = ONE) -> tuple[Estimate, Estimate]:
    return said, Estimate(real, real - 0.01, real + 0.01)


@pytest.mark.parametrize(
    ("past", "wide"),
    [
        ([], 0.0),
        ([pair(0.705)], 0.0),  # held: its noise is in the interval
        ([pair(0.69)], 0.0),
        ([pair(0.6)], 0.1),
        ([pair(0.8)], 0.1),
        ([pair(0.6), pair(0.5), pair(0.7)], 0.2),
        ([pair(0.5), *[pair(0.7)] * 17], 0.2),  # 18: the 19th of 18 is the largest
        ([pair(0.5), *[pair(0.7)] * 18], 0.2),
        ([pair(0.5), *[pair(0.7)] * 19], 0.2),
        ([pair(0.5), *[pair(0.7)] * 38], 0.0),  # 39: the 38th of 39
        ([pair(NAN), pair(0.6)], 0.1),
        ([pair(0.5, Estimate(NAN, NAN, NAN))], 0.0),
    ],
)
def test_an_interval_widens_by_how_wrong_estimates_were(past, wide):
    found = adjust(ONE, past)
    assert (found.value, found.low, found.high) == pytest.approx((0.7, 0.69 - wide, 0.71 + wide))
    assert adjust(ONE, past[::-1]) == found


def test_trust_is_how_past_estimates_did():
    found = measure_trust([pair(0.6), pair(0.71), pair(0.7), pair(NAN)])
    assert (found.batches, found.held) == (3, pytest.approx(2 / 3))
    assert found.mean_error == pytest.approx(0.03)
    assert found.typical_error == pytest.approx((0.0101 / 3) ** 0.5)
    nothing = measure_trust([])
    assert nothing.batches == 0
    assert np.isnan([nothing.mean_error, nothing.typical_error, nothing.held]).all()
    with pytest.raises(AttributeError):
        Trust(0, 0.0, 0.0, 0.0).held = 1.0  # type: ignore[misc]


# --- a metric of one's own

COST = Metric(
    "cost",
    tasks=("regression",),
    losses=lambda y, p: np.where(y > p, 3.0, 1.0) * np.abs(y - p),
    lower_is_better=True,
    low=0,
)


@pytest.mark.parametrize(
    ("metric", "inside"),
    [
        (COST, lambda found: 2 < found.low < found.value < found.high),
        (
            replace(COST, lower_is_better=False, low=-np.inf, of=lambda s: -s[:, 0] / s[:, 1]),
            lambda found: found.high < -2,
        ),
        (replace(COST, high=1), lambda found: found.high == 1),
    ],
    ids=["above 1", "below 0", "within its bounds"],
)
def test_the_interval_of_a_metric_of_ones_own(metric: Metric, inside: Any) -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=400)
    how, metrics = (None, Evaluate(resamples=200), 0), LIBRARY.add([metric])
    found = measure_live("regression", y, y + 2 * rng.normal(size=400), *how, metrics=metrics)
    assert inside(found["cost"]), found["cost"]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_mean_over_rows_is_expected_as_others_are(task: str) -> None:
    """A copy of a metric under another name: the same estimate, without a line more."""
    own = Metric("own", tasks=(task,), losses=LIBRARY["log_loss"].losses)  # type: ignore[arg-type]
    y, p = draw(task, 2000, 0)
    calibration = fit_calibration(task, y, p)
    how, metrics = (None, Evaluate(resamples=200), 0), LIBRARY.add([own])
    found = estimate(task, p, calibration, *how, metrics=metrics)
    assert found["own"].value == pytest.approx(found["log_loss"].value)
