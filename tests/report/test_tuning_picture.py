"""The picture of a tuning: every trial, and whether the best holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib import image
from matplotlib.axes import Axes

from evergreen.report import tuning_picture as module
from evergreen.report.tuning_picture import draw_tuning
from evergreen.tuning.comparison import Comparison
from evergreen.tuning.search import Searched, Tried
from evergreen.tuning.tune import Tuned

VALUES = {"learning_rate": 0.05, "max_depth": 6, "subsample": 0.8, "kind": "a"}
TRIED = (
    Tried(0, VALUES, (0.7, 0.7), 0.0, 100),
    Tried(1, VALUES | {"learning_rate": 0.3}, (0.6,), -0.1, 20, pruned=True),
    Tried(2, VALUES | {"max_depth": 4}, (0.71, 0.71), 0.01, 120),
    Tried(3, VALUES | {"kind": "b"}, fault="it cannot be"),
)
LEAD = Comparison("roc_auc", 0.7, 0.708, 0.008, 0.002, 0.014, 0.99, 0.001, {"b5": 0.008})


def found(confirmed: Comparison | None = LEAD, changes: Any = None, tried: Any = TRIED) -> Tuned:
    searched = Searched("study", "roc_auc", ("b3", "b4"), (0, 1), tried)
    return Tuned(searched, "b5", (2, 3), confirmed, changes or {}, "a finding")


@pytest.mark.slow
@pytest.mark.parametrize(
    "tuned",
    [
        found(changes={"max_depth": 4}),
        found(None, tried=TRIED[:1]),
        *(pytest.param(tuned, marks=pytest.mark.long) for tuned in (found(), found(None))),
    ],
)
def test_it_is_drawn_whatever_was_found(tuned: Tuned, tmp_path: Path) -> None:
    drawn = image.imread(draw_tuning(tuned, tmp_path / "tune.png"))
    assert drawn.shape[1] == pytest.approx(12.5 * 110, abs=5)


def panel(draw: Any) -> Axes:
    from matplotlib.figure import Figure

    axes: Axes = Figure().subplots()
    draw(axes)
    return axes


def test_each_trial_and_the_interval_can_be_read_off() -> None:
    lines = {
        str(line.get_label()): line for line in panel(lambda a: module._trials(a, found())).lines
    }
    assert lines["ended early"].get_xydata().tolist() == [[1, -0.1]]
    assert lines["tried with every seed"].get_xydata().tolist() == [[0, 0.0], [2, 0.01]]
    assert lines["trial 2"].get_xydata().tolist() == [[2, 0.01]]
    axes = panel(lambda a: module._confirmation(a, found()))
    assert [0.002, 0.014] in [[*line.get_xdata()] for line in axes.lines]
    assert "+0.0080" in axes.texts[0].get_text()
    assert (
        panel(lambda a: module._confirmation(a, found(None))).texts[0].get_text()
        == "nothing to confirm"
    )
    axes = panel(lambda a: module._parameter(a, found(), "learning_rate"))
    assert axes.get_xscale() == "linear"
    wide = (TRIED[0], TRIED[2], replace(TRIED[2], values=VALUES | {"learning_rate": 0.9}))
    axes = panel(lambda a: module._parameter(a, found(tried=wide), "learning_rate"))
    assert axes.get_xscale() == "log"
    assert {tick.get_text() for tick in axes.get_xticklabels()} >= {"0.05", "0.1", "0.5"}
    axes = panel(lambda a: module._parameter(a, found(), "max_depth"))
    assert axes.get_title() == "max_depth: now 6"
    assert len(axes.lines) == 3  # not what could not be tried
