"""Panels: a figure of several panels, and the marks and colours that all pictures share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Panel = Callable[["Axes"], None]


GREEN, LEAF, GREY, DARK, AMBER = "#1b7f4b", "#8fcfa8", "#b9bec4", "#30363d", "#d9822b"
RED, SLATE = "#c4342d", "#57606a"


def draw_panels(
    panels: Sequence[Panel],
    title: str,
    path: Path,
    *,
    grid: str = "AB;CD",
    size: tuple[float, float] = (11, 8),
    heights: Sequence[float] | None = None,
    colour: str = DARK,
) -> Path:
    """Draw `panels` in the order of the `grid`, under a `title` in `colour`.

    `grid`: as matplotlib's subplot_mosaic reads it. `size`: of the figure, in inches of 110 pixels.
    `heights`: of the grid's rows, in shares; None: all the same.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    style = {
        "font.size": 9.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#8b949e",
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "text.color": DARK,
        "axes.labelcolor": DARK,
        "xtick.color": DARK,
        "ytick.color": DARK,
        "legend.frameon": False,
        "text.parse_math": False,
    }
    with rc_context(style), warnings.catch_warnings():
        # A name in another script shows boxes
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
        figure: Figure = Figure(figsize=size, dpi=110, layout=layout)
        figure.suptitle(title, fontsize=13, x=0.01, ha="left", color=colour)
        places = list(figure.subplot_mosaic(grid, height_ratios=heights).values())
        for axes, panel in zip(places, panels, strict=False):
            panel(axes)
        for axes in places[len(panels) :]:
            axes.set_visible(False)
        layout.execute(figure)
        figure.set_layout_engine("none")  # or saving would do it twice more
        write_whole(path, lambda part: figure.savefig(part, format="png"))
    return path


def draw_interval(
    axes: Axes, y: float, edges: Sequence[float], colour: str, label: str | None = None
) -> None:
    """Draw low, value and high of `edges` as a dot on a line, at the height `y`."""
    low, value, high = edges
    axes.plot([low, high], [y, y], color=colour, lw=2, solid_capstyle="round")
    axes.plot(value, y, "o", color=colour, ms=6, label=label)
