"""Expected: the sums of a metric over labels that are not known are the means over the labels drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from evergreen.model.expected import Expected, expect_average_precision, expect_mean, expect_roc_auc
from evergreen.model.metrics import TABLE

ROWS, DRAWS = 400, 600


def value(found: Expected) -> float:
    return float(found.of(found.columns.sum(axis=0)[None])[0])


@pytest.mark.parametrize(
    ("name", "expect"),
    [
        (
            "log_loss",
            lambda p, c: expect_mean(TABLE["binary"]["log_loss"].losses, p, c, TABLE["binary"]["log_loss"].of),
        ),
        ("brier", lambda p, c: expect_mean(TABLE["binary"]["brier"].losses, p, c, TABLE["binary"]["brier"].of)),
        ("roc_auc", expect_roc_auc),
        ("average_precision", expect_average_precision),
    ],
)
def test_what_is_expected_is_the_mean_over_labels_drawn(name: str, expect: Callable[[Any, Any], Expected]) -> None:
    draw = np.random.default_rng(0)
    p = draw.beta(1.5, 3, ROWS)
    labels = draw.random((DRAWS, ROWS)) < p
    drawn = np.array([TABLE["binary"][name].measure(y.astype(float), p) for y in labels])
    expected = value(expect(p, p[:, None]))
    assert expected == pytest.approx(drawn.mean(), abs=5 * drawn.std() / DRAWS**0.5 + 0.003)
