"""check_metric: lets what the library brings pass, and stops each way to be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evergreen.metrics.expected import expect_roc_auc
from evergreen.metrics.metric import Metric
from evergreen.metrics.table import LIBRARY
from evergreen.testing import check_metric


@pytest.mark.slow
@pytest.mark.parametrize("metric", LIBRARY.known, ids=lambda metric: metric.name)
def test_the_librarys_own_pass(metric: Metric) -> None:
    check_metric(metric)


def distances(y: Any, p: Any) -> Any:
    return np.abs(y - p)


def cost(**given: Any) -> Metric:
    usual = {"tasks": ("regression",), "losses": distances, "lower_is_better": True, "low": 0}
    return Metric("cost", **usual | given)


def changing(y: Any, p: Any) -> Any:
    p *= 1
    return distances(y, p)


BROKEN = {
    "the wrong direction": (cost(lower_is_better=False), "turn lower_is_better round"),
    "beyond its bounds": (cost(high=0.1), "beyond its low and high"),
    "one value for all rows": (cost(losses=lambda y, p: distances(y, p).mean()[None]),
                               "a value|match|same size|dimension"),
    "its value is another": (cost(value=lambda y, p: 7.0),
                             "its form with equal weights gives another value|form"),
    "a sum, not a mean": (cost(of=lambda s: s[:, 0]), "with each row twice"),
    "not a number": (cost(losses=lambda y, p: distances(y, p) * np.nan), "it is nan"),
    "the order of rows counts": (
        cost(losses=lambda y, p: distances(y, p) * np.arange(len(y))),
        "another order of the rows",
    ),
    "one resample at a time": (cost(of=lambda s: np.array([s[0, 0] / s[0, 1]])), "not \\(2,\\)"),
    "it changes what it is given": (cost(losses=changing), "read-only"),
    "it expects something else": (
        Metric(
            "own", tasks=("binary",), value=LIBRARY["roc_auc"].value, form=LIBRARY["roc_auc"].form,
            expect=lambda p, said: expect_roc_auc(p, 1 - said),
        ),
        "correct expect, or leave it out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_one_is_stopped(case: str) -> None:
    metric, told = BROKEN[case]
    with pytest.raises((AssertionError, ValueError), match=told):
        check_metric(metric)


def test_what_is_no_metric_is_stopped() -> None:
    with pytest.raises(AssertionError, match=r"is no Metric: write Metric"):
        check_metric(distances)  # type: ignore[arg-type]
