"""Estimates without labels beside those of NannyML, on the same rows."""

from __future__ import annotations

import json

import pytest
from monitoring.nannyml_figures import KEPT, SHIFT, draw_binary, draw_multiclass

from evergreen.metrics.table import LIBRARY
from evergreen.monitoring.performance import estimate, fit_calibration
from evergreen.params import Evaluate

FIGURES = json.loads(KEPT.read_text(encoding="utf-8"))
NEAR = 0.012  # less than half of what the shift moves the metrics of the binary task by


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "metric"),
    [
        ("binary", "roc_auc"),
        ("binary", "average_precision"),
        ("multiclass", "accuracy"),
    ],
)
def test_an_estimate_is_near_nannymls_and_no_farther_from_the_labels(
    task: str, metric: str
) -> None:
    draw = draw_binary if task == "binary" else draw_multiclass
    (y, p), (later_y, later_p) = draw(), draw(SHIFT)
    found = estimate(
        task, later_p, fit_calibration(task, y, p), None, Evaluate(), 0, metrics=LIBRARY
    )[metric]
    theirs, real = FIGURES[task][metric], LIBRARY.measure(task, later_y, later_p)[metric]
    assert found.value == pytest.approx(theirs, abs=NEAR)
    assert found.low < theirs < found.high
    assert found.low < real < found.high
    assert abs(found.value - real) <= abs(theirs - real)


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_the_shift_moves_what_is_estimated(metric: str) -> None:
    """Else an estimate that ignores the rows would be as near."""
    y, p = draw_binary()
    assert abs(LIBRARY.measure("binary", y, p)[metric] - FIGURES["binary"][metric]) > 2 * NEAR
