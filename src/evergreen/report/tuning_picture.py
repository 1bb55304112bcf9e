"""The picture of a tuning: every trial's lead, whether the best holds, and each parameter."""

from __future__ import annotations

from math import ceil, isfinite
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from evergreen.report.panels import (
    AMBER,
    DARK,
    GREEN,
    GREY,
    LEAF,
    SLATE,
    Panel,
    draw_interval,
    draw_panels,
)
from evergreen.tuning.search import PRESENT, Tried, best_so_far
from evergreen.tuning.tune import Tuned

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS = 3  # parameters in a row
WIDE = 10  # times from low to high, from which on an axis is a logarithm
LETTERS = "CDEFGHIJKLMNOPQRSTUVWXYZ"


def draw_tuning(found: Tuned, path: Path) -> Path:
    """Draw the trials in order, the confirmation of the best, and the lead by each parameter."""
    names = [*found.searched.tried[PRESENT].values][: len(LETTERS)]
    panels: list[Panel] = [
        lambda axes: _trials(axes, found),
        lambda axes: _confirmation(axes, found),
        *((lambda axes, name=name: _parameter(axes, found, name)) for name in names),
    ]
    rows = ceil(len(names) / ACROSS)
    cells = LETTERS[: len(names)].ljust(rows * ACROSS, ".")
    grid = ["AAB", *(cells[at : at + ACROSS] for at in range(0, len(cells), ACROSS))]
    title = fill(found.finding[0].upper() + found.finding[1:], 115)
    size = (12.5, 4.2 + 2.7 * rows)
    return draw_panels(panels, title, path, grid=";".join(grid), size=size)


def _trials(axes: Axes, found: Tuned) -> None:
    from matplotlib.ticker import MaxNLocator

    tried, best = found.searched.tried, found.searched.best
    axes.axhline(0, color=SLATE, lw=1, ls="--", label="the present way")
    for colour, mark, label, chosen in (
        (GREY, "x", "ended early", [trial for trial in tried if trial.pruned]),
        (GREEN, "o", "tried with every seed", [trial for trial in tried if trial.is_whole]),
    ):
        places = [trial.number for trial in chosen]
        axes.plot(places, [trial.lead for trial in chosen], mark, color=colour, ms=6, label=label)
    line = best_so_far(tried)
    axes.step([*line], [*line.values()], where="post", color=LEAF, lw=1.5, label="best so far")
    if best.number != PRESENT:
        axes.plot(best.number, best.lead, "o", color=AMBER, ms=10, label=f"trial {best.number}")
    axes.set_ylim(*_limits(tried, best))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trial", ylabel=f"lead in {found.searched.metric}")
    axes.set_title(
        f"{len(found.searched.seeds)} seeds on {', '.join(found.searched.cuts)}: "
        "the rows that choose"
    )
    axes.legend(fontsize=8.5, loc="lower right")


def _limits(tried: tuple[Tried, ...], best: Tried) -> tuple[float, float]:
    """Return the heights between which trials can be told apart; far worse ones lie below."""
    leads = [trial.lead for trial in tried if isfinite(trial.lead)]
    low = float(np.quantile(leads, 0.2))
    room = max(best.lead - low, 1e-6)
    return low - 0.3 * room, best.lead + 0.25 * room


def _confirmation(axes: Axes, found: Tuned) -> None:
    axes.axvline(0, color=SLATE, lw=1, ls="--")
    axes.set(yticks=[], ylim=(-1, 1), xlabel=f"lead in {found.searched.metric}")
    axes.spines["left"].set_visible(False)
    axes.set_title(f"{found.fresh}, {len(found.fresh_seeds)} fresh seeds")
    lead = found.confirmed
    if lead is None:
        axes.text(0.5, 0.5, "nothing to confirm", transform=axes.transAxes, ha="center")
        return
    colour = GREEN if found.changes else AMBER
    draw_interval(axes, 0, (lead.low, lead.value, lead.high), colour)
    axes.annotate(
        f"trial {found.searched.best.number}: {lead.value:+.4f}\n"
        f"{lead.low:+.4f} to {lead.high:+.4f}",
        (lead.value, 0),
        (0, 14),
        textcoords="offset points",
        ha="center",
        color=DARK,
    )
    axes.margins(x=0.25)


def _parameter(axes: Axes, found: Tuned, name: str) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    tried = [trial for trial in found.searched.tried if isfinite(trial.lead)]
    values = [trial.values[name] for trial in tried]
    numbers = not isinstance(values[0], str)
    for trial in tried:
        mark, colour = ("o", GREEN) if trial.is_whole else ("x", GREY)
        if trial.number == PRESENT:
            mark, colour = "s", SLATE
        elif trial.number == found.searched.best.number:
            colour = AMBER
        axes.plot(trial.values[name], trial.lead, mark, color=colour, ms=6)
    if numbers and min(values) > 0 and max(values) >= WIDE * min(values):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(*_limits(found.searched.tried, found.searched.best))
    axes.set_title(f"{name}: now {found.searched.tried[PRESENT].values[name]}")
