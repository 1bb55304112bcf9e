"""Pictures: one panel at a time, and never pyplot."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from evergreen.metrics.table import LIBRARY
from evergreen.params import Gate
from evergreen.promotion.gate import decide
from evergreen.report import comparison as module
from evergreen.report.comparison import draw_comparison


@pytest.fixture
def seen(monkeypatch):
    """Draw one panel of the picture by its number, and paint nothing."""

    def draw(judged, number, *, decision=None, gate=None, **more):
        axes = Figure().add_subplot()
        monkeypatch.setattr(module, "draw_panels", lambda panels, *_, **__: panels[number](axes))
        draw_comparison(
            judged,
            decision or decide(judged.evidence, gate or Gate()),
            "a title",
            Path("none"),
            metrics=LIBRARY,
            **more,
        )
        return axes

    return draw


@pytest.fixture(autouse=True)
def _without_pyplot(monkeypatch):
    # Its figures would live as long as the process
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
