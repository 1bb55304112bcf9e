"""Alternatives in pictures: losses and schedules beside the one that is set, and the range test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.report.panels import (
    AMBER,
    DARK,
    GREEN,
    GREY,
    LEAF,
    RED,
    SLATE,
    Panel,
    draw_interval,
    draw_panels,
)
from evergreen.training.schedules import rate_at

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from evergreen.training.range_test import RangeTest
    from evergreen.tuning.alternatives import Alternative, Alternatives
    from evergreen.tuning.comparison import Comparison

COLOURS = (DARK, GREEN, AMBER, RED, LEAF, SLATE, GREY)


def draw_alternatives(found: Alternatives, title: str, path: Path) -> Path:
    """Draw the leads over what is set, those on each cut, and how each of them learns.

    Of losses the second panel is of the metric that would decide, since each loss has a scale of
    its own; of schedules the last two are the rates by round, and the loss on the last cut.
    """
    tried = [way for way in found.tried[1:] if way.lead]
    decides, now = found.now.decides, found.now.name

    def leads(axes: Axes) -> None:
        _draw_leads(axes, [(way.name, way.lead) for way in tried])
        axes.set_title(f"Lead over {now} in {decides}, which decides")

    def own(axes: Axes) -> None:
        own_of = [(f"{way.name}\n{way.decides}", _share(way.own)) for way in tried if way.own]
        _draw_leads(axes, own_of)
        axes.set(xlabel="share of the value of what is set")
        axes.set_title(f"Lead over {now} in the metric of its own")

    scheduled = found.key == "schedule"
    panels: list[Panel] = [leads, lambda axes: _draw_by_cut(axes, tried, found.cuts)]
    if scheduled:
        panels += [lambda axes: _draw_rates(axes, found), lambda axes: _draw_learning(axes, found)]
    elif any(way.own for way in tried):
        panels.insert(1, own)
    if len(panels) == 2:
        return draw_panels(panels, title, path, grid="AB", size=(11, 4.4))
    return draw_panels(panels, title, path)


def draw_range(found: RangeTest, watched: str, title: str, path: Path) -> Path:
    """Draw the loss by round of each rate, and that after the last round by rate."""

    def by_round(axes: Axes) -> None:
        for at, way in enumerate(found.tried):
            share = (at + 1) / len(found.tried)
            colour = RED if way.diverges else LEAF if share < 0.5 else GREEN
            axes.plot(way.losses, color=colour, lw=1 + share, label=f"{way.rate:g}")
        axes.set(xlabel="round", ylabel=watched)
        axes.set_title("Each rate from the start")
        axes.legend(fontsize=8, ncols=2)

    def by_rate(axes: Axes) -> None:
        known = [way for way in found.tried if math.isfinite(way.losses[-1])]
        axes.plot([way.rate for way in known], [way.losses[-1] for way in known], "o-", color=GREEN)
        if found.diverges_at:
            axes.axvline(
                found.diverges_at, color=RED, lw=1.4, label=f"rises: {found.diverges_at:g}"
            )
        if found.start:
            axes.axvline(found.start, color=DARK, lw=1.4, ls="--", label=f"start: {found.start:g}")
        axes.set(xscale="log", xlabel="learning rate", ylabel=f"{watched} after the last round")
        rates = [way.rate for way in found.tried]
        axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
        axes.set_xticks([], minor=True)
        axes.set_title("Where it rises over the second half of the rounds")
        axes.legend(fontsize=8.5)

    return draw_panels([by_round, by_rate], title, path, grid="AB", size=(11, 4.4))


def _draw_leads(axes: Axes, leads: Sequence[tuple[str, Comparison | None]]) -> None:
    for at, (_, lead) in enumerate(leads):
        assert lead
        colour = GREEN if lead.is_better else RED if lead.is_worse else GREY
        draw_interval(axes, at, (lead.low, lead.value, lead.high), colour)
    axes.axvline(0, color=DARK, lw=0.8, zorder=0)
    axes.set_yticks(range(len(leads)), [name for name, _ in leads])
    axes.set(ylim=(len(leads) - 0.5, -0.5), xlabel="worse ← 0 → better")


def _share(lead: Comparison) -> Comparison:
    """Return a lead as a share of the value of what is set, so that several fit one panel."""
    from dataclasses import replace

    unit = abs(lead.first) or 1.0
    scaled = {name: getattr(lead, name) / unit for name in ("value", "low", "high", "smallest")}
    return replace(lead, **scaled)


def _draw_by_cut(axes: Axes, tried: Sequence[Alternative], cuts: Sequence[str]) -> None:
    for colour, way in zip(COLOURS[1:] * 2, tried, strict=False):
        assert way.lead
        axes.plot([way.lead.by_cut[cut] for cut in cuts], "o-", color=colour, label=way.name)
    axes.axhline(0, color=DARK, lw=0.8, zorder=0)
    axes.set_xticks(range(len(cuts)), cuts)
    axes.set(ylabel="lead")
    axes.set_title("On each cut, oldest first")
    axes.legend(fontsize=8.5)


def _draw_rates(axes: Axes, found: Alternatives) -> None:
    longest = max(max(way.params.train.schedule_rounds, way.rounds) for way in found.tried)
    for colour, way in zip(COLOURS * 2, found.tried, strict=False):
        rates = [rate_at(way.params.train, at) for at in range(longest + 1)]
        axes.plot(rates, color=colour, label=way.name)
    axes.set(xlabel="round", ylabel="learning rate")
    axes.set_title("Learning rate")
    axes.legend(fontsize=8.5)


def _draw_learning(axes: Axes, found: Alternatives) -> None:
    last = found.cuts[-1]
    for colour, way in zip(COLOURS * 2, found.tried, strict=False):
        fits = [fit for fit in way.trial.fits if fit.cut == last] if way.trial else []
        for fit in fits[:1]:
            axes.plot(fit.trained.history["validation"], color=colour, label=way.name)
            at = fit.trained.rounds - 1
            axes.plot(at, fit.trained.history["validation"][at], "o", color=colour, ms=5)
    axes.set(xlabel="round", ylabel=found.now.stops_by)
    axes.set_title(f"Rows that stop it, cut {last}; the dot is kept")
    axes.legend(fontsize=8.5)
