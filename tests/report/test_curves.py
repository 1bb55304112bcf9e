"""Curves: each model is a line with its own words, whatever the holdout holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evergreen.report.curves import (
    PlottedModel,
    draw_calibration,
    draw_errors,
    draw_precision_recall,
    draw_roc,
)

Y = np.array([0.0, 0.0, 1.0, 1.0] * 20)
RIGHT = PlottedModel("right", "#1b7f4b", Y)
WRONG = PlottedModel("wrong", "#b9bec4", 1 - Y)
Draw = Callable[[Axes, np.ndarray, Sequence[PlottedModel]], None]


def lines_of(draw: Draw, y: np.ndarray, *models: PlottedModel) -> dict[str, np.ndarray]:
    axes = Figure().add_subplot()
    draw(axes, y, models)
    assert {text.get_text() for text in axes.get_legend().get_texts()} >= {
        model.label for model in models
    }
    return {line.get_label(): np.column_stack(line.get_data()) for line in axes.lines}


@pytest.mark.parametrize(
    ("draw", "corner"), [(draw_roc, (0, 1)), (draw_precision_recall, (1, 1)), (draw_errors, (0, 1))]
)
def test_a_model_that_is_always_right_reaches_the_corner_and_its_opposite_does_not(
    draw: Draw, corner: tuple[float, float]
) -> None:
    lines = lines_of(draw, Y, RIGHT, WRONG)
    assert (lines["right"] == corner).all(axis=1).any()
    assert not (lines["wrong"] == corner).all(axis=1).any()


@pytest.mark.parametrize("several", [False, True], ids=["binary", "classes"])
def test_calibration_sets_what_is_predicted_beside_what_happens(several: bool) -> None:
    chance = np.tile([0.25, 0.75], 200)
    happens = (np.arange(400) % 8 == 0) | ((np.arange(400) % 2 == 1) & (np.arange(400) % 8 != 1))
    p = np.column_stack([1 - chance, chance]) if several else chance
    points = lines_of(draw_calibration, happens.astype(float), PlottedModel("model", "#000000", p))
    expected = [[0.75, 0.75]] if several else [[0.25, 0.25], [0.75, 0.75]]
    np.testing.assert_allclose(points["model"], expected)
