"""Windows: how much is lost, and which windows count."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from monitoring.retraining import (
    LOST,
    MOVED,
    NAN,
    broken,
    champion,
    decided,
    each,
    exact,
    says,
    unlabelled,
    window,
)

from evergreen.evaluation.intervals import Estimate
from evergreen.metrics.table import LIBRARY
from evergreen.monitoring.windows import find_loss


@pytest.mark.parametrize(
    ("metric", "expected", "real", "min_loss", "lost"),
    [
        # The smallest loss that matters is enough
        ("roc_auc", exact(0.75), exact(0.625), 0.125, True),
        ("roc_auc", exact(0.75), exact(math.nextafter(0.625, 1)), 0.125, False),
        ("roc_auc", exact(0.75), exact(0.875), 0.125, False),
        ("roc_auc", exact(0.75, 0.09), exact(0.5, 0.1), 0.125, True),
        # Each sure alone, not both together
        ("roc_auc", exact(0.75, 0.2), exact(0.5, 0.2), 0.125, False),
        ("rmse", exact(8.0), exact(9.0), 0.125, True),  # errors: a share of what was expected
        ("rmse", exact(8.0), exact(8.99), 0.125, False),
        ("rmse", exact(8.0), exact(7.0), 0.125, False),
        ("log_loss", exact(0.5, 0.2), exact(0.8, 0.25), 0.125, False),
        ("roc_auc", exact(0.75), exact(0.75), 0.0, False),
        ("roc_auc", exact(0.75), exact(NAN), 0.0, False),
        ("roc_auc", exact(NAN), exact(0.5), 0.0, False),
    ],
)
def test_the_edges_of_a_loss(metric, expected, real, min_loss, lost):
    decision = decided(
        each(real=real), champion(metric=metric, expected=expected), min_loss=min_loss
    )
    assert ("no loss" in broken(decision)) == lost
    assert (decision.action == "retrain") == lost


def test_noise_of_both_estimates_is_added_by_squares():
    loss = find_loss(LIBRARY["roc_auc"], Estimate(0.8, 0.77, 0.83), Estimate(0.7, 0.66, 0.74))
    assert (loss.value, loss.low, loss.high) == pytest.approx((0.1, 0.05, 0.15))
    assert find_loss(
        LIBRARY["rmse"], Estimate(2.0, 1.7, 2.0), Estimate(3.0, 2.6, 3.0)
    ).low == pytest.approx(0.6)


def test_the_newest_entry_of_a_batch_counts_and_of_these_the_one_with_most_labels():
    early = [unlabelled(at, **MOVED) for at in (1, 2, 3)]
    late = [window(at, **LOST) for at in (1, 2, 3)]
    assert decided([*late, *early]).action == "retrain"
    longer = [replace(batch, end=batch.end + timedelta(hours=1)) for batch in early]
    assert decided([*late, *longer]).action == "watch"


def test_a_late_batch_counts_at_its_own_time():
    decision = decided([window(1), window(3), window(4), window(2, **LOST), window(5, **LOST)])
    assert decision.action == "watch"
    assert "2013-11 is newer" in says(decision, "new batch")
