"""The metric of a loss: scikit-learn's, least at what the loss aims at, first of its task."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as skm
from conftest import refusal

from evergreen.metrics.by_loss import SMALLEST, deviance, lead_by, pinball
from evergreen.metrics.metric import Metric
from evergreen.metrics.table import LIBRARY

draw = np.random.default_rng(0)
P = draw.gamma(2.0, 3.0, 400).astype(np.float32)
Y = draw.gamma(2.0, P / 2).astype(np.float32)
ZEROS = np.where(draw.random(400) < 0.3, 0, Y).astype(np.float32)
W = draw.integers(0, 4, 400).astype(float)
CASES = [
    (
        pinball(0.9),
        "pinball_0_9",
        Y,
        lambda y, p, w: skm.mean_pinball_loss(y, p, alpha=0.9, sample_weight=w),
    ),
    (
        pinball(0.025),
        "pinball_0_025",
        Y,
        lambda y, p, w: skm.mean_pinball_loss(y, p, alpha=0.025, sample_weight=w),
    ),
    (
        deviance("gamma", 2),
        "gamma_deviance",
        Y,
        lambda y, p, w: skm.mean_gamma_deviance(y, p, sample_weight=w),
    ),
    (
        deviance("poisson", 1),
        "poisson_deviance",
        ZEROS,
        lambda y, p, w: skm.mean_poisson_deviance(y, p, sample_weight=w),
    ),
    (
        deviance("tweedie", 1.3),
        "tweedie_deviance_1_3",
        ZEROS,
        lambda y, p, w: skm.mean_tweedie_deviance(y, p, power=1.3, sample_weight=w),
    ),
]


@pytest.mark.parametrize(
    ("metric", "name", "y", "reference"), CASES, ids=[case[1] for case in CASES]
)
def test_it_equals_scikit_learns(metric, name, y, reference):
    assert (metric.name, metric.tasks, metric.lower_is_better) == (name, ("regression",), True)
    p = P.astype(np.float64)
    expected = reference(y.astype(np.float64), p, None)
    assert metric.measure(y, P) == pytest.approx(expected, rel=1e-6)
    form = metric.weighted(y, P)
    assert form(np.ones(len(y))) == pytest.approx(expected, rel=1e-6)
    assert form(W) == pytest.approx(reference(y.astype(np.float64), p, W), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "aim"),
    [
        (pinball(0.9), np.quantile(Y, 0.9)),
        (pinball(0.5), np.median(Y)),
        (deviance("gamma", 2), Y.mean()),
        (deviance("poisson", 1), Y.mean()),
        (deviance("tweedie", 1.5), Y.mean()),
    ],
)
def test_it_is_least_at_what_the_loss_aims_at(metric, aim):
    values = np.linspace(0.5 * aim, 1.5 * aim, 401)
    costs = [metric.measure(Y, np.full_like(Y, value)) for value in values]
    assert values[int(np.argmin(costs))] == pytest.approx(aim, rel=0.03)


@pytest.mark.parametrize(("loss", "power"), [("gamma", 2), ("poisson", 1), ("tweedie", 1.5)])
def test_a_prediction_that_is_not_above_zero_counts_as_the_smallest(loss, power):
    metric = deviance(loss, power)
    low, least = np.full_like(Y, -3), np.full_like(Y, SMALLEST)
    assert metric.measure(Y, low) == metric.measure(Y, least) > 10 * metric.measure(Y, P)
    assert metric.weighted(Y, low)(np.ones(len(Y))) == pytest.approx(metric.measure(Y, least))


@pytest.mark.parametrize(
    ("loss", "power", "label"), [("gamma", 2, 0), ("poisson", 1, -1), ("tweedie", 1.5, -2)]
)
def test_a_label_that_the_loss_cannot_take_is_named(loss, power, label):
    """Monitoring meets such labels too, of batches that no training has seen."""
    bad = np.where(np.arange(len(Y)) == 3, np.float32(label), Y)
    for measure in (deviance(loss, power).measure, deviance(loss, power).weighted):
        refusal(
            lambda measure=measure: measure(bad, P),
            f"train.loss is {loss}",
            "row 4 of those that judge",
            f"is {label}",
        )


OWN = Metric("cost", tasks=("regression", "binary"), losses=lambda y, p: abs(y - p))


@pytest.mark.parametrize(
    ("loss", "number", "first", "guards"),
    [
        ("squared", None, "rmse", {"rmse", "mae", "r2", "cost"}),
        ("absolute", None, "mae", {"mae", "cost"}),
        ("pseudo_huber", None, "mae", {"mae", "cost"}),
        ("quantile", 0.9, "pinball_0_9", {"pinball_0_9", "cost"}),
        ("gamma", None, "gamma_deviance", {"gamma_deviance", "cost"}),
        ("tweedie", 1.5, "tweedie_deviance_1_5", {"tweedie_deviance_1_5", "cost"}),
        ("poisson", None, "poisson_deviance", {"poisson_deviance", "cost"}),
    ],
)
def test_what_leads_and_what_guards(loss, number, first, guards):
    known = LIBRARY.add([OWN])
    found = lead_by(known, loss, number).of("regression")
    assert next(iter(found)) == first
    assert set(found) == {first, *known.of("regression")}
    assert {name for name, metric in found.items() if metric.guards} == guards
    assert lead_by(known, loss, number).of("multiclass") == known.of("multiclass")


def test_of_two_classes_the_same_decides_and_focal_promises_no_probabilities():
    for loss in ("log_loss", "weighted_log_loss"):
        assert lead_by(LIBRARY, loss, None) is LIBRARY
    found = lead_by(LIBRARY, "focal", None).of("binary")
    assert [*found] == [*LIBRARY.of("binary")]
    shown = {name for name, metric in found.items() if not metric.guards}
    assert shown == {"log_loss", "brier"}
