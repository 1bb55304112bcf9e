"""The pictures of a replay: gain and cost of each policy, and the cost of staleness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.replay.outcome import (
    HELD,
    HINDSIGHT,
    PROMOTED,
    REFUSED,
    STOPPED,
    UNGATED,
    WATCH,
    PolicyOutcome,
    Replay,
)
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {
    "never": "#8b949e",
    "every batch": AMBER,
    "on drift": GREEN,
    UNGATED: LEAF,
    HINDSIGHT: DARK,
}  # of policies; a schedule has another
MARKS: dict[str, dict[str, Any]] = {  # what a policy did at a batch
    PROMOTED: {"marker": "D", "ms": 10},
    REFUSED: {"marker": "o", "ms": 9, "mfc": "white", "mew": 1.8},
    STOPPED: {"marker": "X", "ms": 9, "mfc": RED, "mec": RED},
    WATCH: {"marker": "|", "ms": 9, "mew": 1.8},
}
WORDS = {
    PROMOTED: "retrained: new champion",
    REFUSED: "retrained: refused by the gate",
    STOPPED: "stopped by an error",
    WATCH: "warned only",
}
APART = 0.07  # between the policies' points of one batch, in batches


def draw_replay(found: Replay, path: Path) -> Path:
    """Draw the metric and each policy's actions by batch; gain, retrainings and seconds in all."""
    panels: list[Panel] = [
        lambda axes: _metric(axes, found),
        lambda axes: _deeds(axes, found),
        lambda axes: _gains(axes, found),
        lambda axes: _retrainings(axes, _real(found.outcomes)),
        lambda axes: _seconds(axes, _real(found.outcomes)),
    ]
    rows = len(found.outcomes)
    heights = (4.2, 0.9 + 0.38 * rows, 1.3 + 0.42 * rows)
    size = (12.5, sum(heights) + 0.35 * (2 + found.finding.count("\n")))
    return draw_panels(
        panels, _capital(found.finding), path, grid="AAA;BBB;CDE", size=size, heights=heights
    )


def draw_staleness(found: Mapping[str, Replay], path: Path) -> Path:
    """Draw what is lost by the age of the champion, a line for each replay."""
    panels: list[Panel] = [lambda axes: _staleness(axes, found)]
    metric, second = next(iter(found.values())).metric, next(iter(found.values())).costs()[:1]
    text = f": {second[0].lost.value:+.4f} for a batch more" if second else ""
    return draw_panels(
        panels,
        f"What a stale champion loses in {metric}{text}",
        path,
        grid="A",
        size=(8, 4.2),
        heights=(1,),
    )


def _staleness(axes: Axes, found: Mapping[str, Replay]) -> None:
    """Draw the mean loss by age with its interval; below each age, the number of batches."""
    apart = 0.12
    for number, ((name, replay), colour) in enumerate(
        zip(found.items(), (GREEN, AMBER, SLATE), strict=False)
    ):
        costs = replay.costs()
        x = np.array([1, *(cost.age + number * apart for cost in costs)])
        axes.plot(
            x,
            [0, *(cost.lost.value for cost in costs)],
            "o-",
            color=colour,
            lw=2,
            ms=5,
            label=name,
            zorder=2,
        )
        edges = [cost.lost.low for cost in costs], [cost.lost.high for cost in costs]
        axes.vlines(x[1:], *edges, color=colour, lw=1.2, alpha=0.6)
    first = next(iter(found.values()))
    counts = {1: sum(aged.age == 1 for aged in first.ages)} | {
        cost.age: cost.batches for cost in first.costs()
    }
    axes.axhline(0, color=GREY, lw=0.8, zorder=0)
    axes.set_xticks([*counts], [f"{age}\n{count}x" for age, count in counts.items()])
    axes.set(
        xlabel="age of the champion in batches, and how many batches met such",
        ylabel=f"{first.metric} lost, less is better",
    )
    axes.set_title(
        "Beside the champion of the batch before, same rows; "
        f"{first.confidence:.0%} intervals of rows"
    )
    if len(found) > 1:
        axes.legend(fontsize=8.5, loc="upper left")


def _real(outcomes: Sequence[PolicyOutcome]) -> list[PolicyOutcome]:
    """Return those that something was done under: not what is known afterwards only."""
    return [outcome for outcome in outcomes if outcome.policy != HINDSIGHT]


def _colour(outcome: PolicyOutcome) -> str:
    return COLOURS.get(outcome.policy, SLATE)


def _capital(words: str) -> str:
    return "\n".join(line[:1].upper() + line[1:] for line in words.splitlines())


# --- batch by batch


def _metric(axes: Axes, found: Replay) -> None:
    """Draw the metric of each policy's champion; a diamond where it met its first batch."""
    middle = (len(found.outcomes) - 1) / 2
    for number, outcome in enumerate(found.outcomes):
        x = np.arange(len(outcome.steps)) + (number - middle) * APART
        y = [step.value for step in outcome.steps]
        colour = _colour(outcome)
        line = "o:" if outcome.policy == HINDSIGHT else "o-"
        axes.plot(x, y, line, color=colour, lw=1.8, ms=4, label=outcome.policy, zorder=2)
        axes.vlines(
            x,
            [step.low for step in outcome.steps],
            [step.high for step in outcome.steps],
            color=colour,
            lw=1,
            alpha=0.5,
        )
        marked = outcome.steps if outcome.policy != HINDSIGHT else ()
        new = [
            at for at, step in enumerate(marked) if at and step.champion != marked[at - 1].champion
        ]
        axes.plot(x[new], [y[at] for at in new], "D", color=colour, ms=9, mec="white", zorder=3)
    axes.plot([], [], "D", color=DARK, ms=8, mec="white", label="first batch of a new champion")
    _batches(axes, found, names=True)
    axes.set_ylabel(f"{found.metric}, better is up")
    if found.metrics[found.metric].lower_is_better:
        axes.invert_yaxis()
    axes.set_title(
        "Each batch as its champion met it, before any retraining; "
        f"{found.confidence:.0%} intervals"
    )
    axes.legend(fontsize=8.5, loc="lower center", bbox_to_anchor=(0.5, 0.0), ncols=4)
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.2 * (high - low), high)  # room for the legend


def _deeds(axes: Axes, found: Replay) -> None:
    """Draw when each policy retrained, and whether a new champion came of it."""
    seen: set[str] = set()
    outcomes = _real(found.outcomes)
    for row, outcome in enumerate(outcomes):
        axes.axhline(row, color=GREY, lw=0.8, alpha=0.6, zorder=0)
        for at, step in enumerate(outcome.steps):
            if step.action in MARKS:
                style = {"color": _colour(outcome), "ls": "", **MARKS[step.action]}
                axes.plot(at, row, zorder=2, **style)
                seen.add(step.action)
    for action in (action for action in MARKS if action in seen):
        axes.plot(
            [], [], label=WORDS[action], **{"color": DARK, "ls": "", **MARKS[action], "ms": 7}
        )
    _batches(axes, found)
    axes.set_yticks(range(len(outcomes)), [outcome.policy for outcome in outcomes])
    axes.set(ylim=(len(outcomes) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title("What each policy did then")
    if seen:
        axes.legend(
            fontsize=8.5,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=len(seen),
            borderaxespad=0.1,
        )


def _batches(axes: Axes, found: Replay, *, names: bool = False) -> None:
    """Name the batches below, and shade those held back."""
    for at, name in enumerate(found.batches):
        if name in found.held:
            axes.axvspan(at - 0.5, at + 0.5, color=AMBER, alpha=0.16, lw=0, zorder=0)
            if names:
                where = axes.get_xaxis_transform()
                axes.text(
                    at,
                    0.97,
                    HELD,
                    transform=where,
                    fontsize=8.5,
                    color=AMBER,
                    ha="center",
                    va="top",
                )
    shown = range(0, len(found.batches), max(1, ceil(len(found.batches) / 14)))
    axes.set_xticks(list(shown), [found.batches[at] for at in shown])
    axes.set_xlim(-0.5, len(found.batches) - 0.5)


# --- in all


def _gains(axes: Axes, found: Replay) -> None:
    """Draw the gain of each mean over that of never retraining."""
    for row, outcome in enumerate(found.outcomes):
        edges, colour = (outcome.gain.low, outcome.gain.value, outcome.gain.high), _colour(outcome)
        if outcome is not found.outcomes[0] and all(isfinite(edge) for edge in edges):
            draw_interval(axes, row, edges, colour)
        text = f"mean {outcome.mean.value:.4f}"
        axes.annotate(
            text,
            (1.0, row),
            xycoords=axes.get_yaxis_transform(),
            fontsize=8.5,
            va="center",
            ha="right",
        )
    axes.axvline(0, color=DARK, lw=0.8, zorder=0)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high + 1.2 * (high - low))  # room for the means
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(f"{found.metric} gained over never, more is better")
    _policies(axes, found.outcomes, f"Gain, {found.confidence:.0%} interval")


def _retrainings(axes: Axes, outcomes: Sequence[PolicyOutcome]) -> None:
    for row, outcome in enumerate(outcomes):
        axes.barh(row, outcome.promotions, color=_colour(outcome), height=0.6)
        rest = outcome.retrainings - outcome.promotions
        axes.barh(
            row, rest, left=outcome.promotions, color=_colour(outcome), height=0.6, alpha=0.35
        )
        text = f" {outcome.retrainings}" + (
            f", {outcome.promotions} promoted" if outcome.retrainings else ""
        )
        axes.annotate(text, (outcome.retrainings, row), fontsize=8.5, va="center")
    axes.set_xlim(0, 1.5 * max([1, *(outcome.retrainings for outcome in outcomes)]))
    axes.locator_params(axis="x", integer=True)
    _policies(axes, outcomes, "Retrainings (full colour: promoted)")


def _seconds(axes: Axes, outcomes: Sequence[PolicyOutcome]) -> None:
    for row, outcome in enumerate(outcomes):
        axes.barh(row, outcome.seconds, color=_colour(outcome), height=0.6)
        axes.annotate(
            f" {outcome.seconds:,.0f} s", (outcome.seconds, row), fontsize=8.5, va="center"
        )
    axes.set_xlim(0, 1.3 * max([1.0, *(outcome.seconds for outcome in outcomes)]))
    _policies(axes, outcomes, "Compute")


def _policies(axes: Axes, outcomes: Sequence[PolicyOutcome], title: str) -> None:
    axes.set_yticks(range(len(outcomes)), [outcome.policy for outcome in outcomes])
    axes.set(ylim=(len(outcomes) - 0.4, -0.6))
    axes.tick_params(axis="y", length=0)
    axes.set_title(title)
