"""Gains: panels of how much better a challenger is than the champion, by metric and by slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.decision import Decision
from evergreen.metrics.metric import Metric, Metrics
from evergreen.promotion.compare import Comparison, Difference
from evergreen.promotion.guardrails import unit_of
from evergreen.report.panels import AMBER, DARK, GREEN, GREY, LEAF, RED, draw_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes


Edges = tuple[float, float, float]  # low, value, high
LEAST = "least gain that matters"
SLICES = {"beyond the margin": RED, "worse": AMBER, "within the noise": GREY, "better": GREEN}
MOST_SLICES = 24  # drawn; of more, as many of the lowest as of the highest


@dataclass(frozen=True)
class Row:
    """A gain to be drawn: its name, its metric, the gate's rule about it, and that rule's bound."""

    name: str
    metric: Metric
    gain: Difference
    rule: str
    bound: float = 0.0
    bound_name: str = ""


def one_line(words: str, most: int) -> str:
    """Return `words` in one line of at most `most` letters, `?` for what cannot be printed."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in " ".join(words.split()))
    return (
        shown if len(shown) <= most else f"{shown[: most - most // 3 - 1]}…{shown[-(most // 3) :]}"
    )


def draw_gains(axes: Axes, found: Comparison, decision: Decision, metrics: Metrics) -> None:
    """Draw the gain in each metric beside the champion.

    Without a champion draw the gain in the metric that decides beside the baselines.
    """
    rows = [*_rows(found, decision, metrics)]
    broken = {rule["name"] for rule in decision.rules if not rule["met"]}
    for at, row in enumerate(rows):
        _gain(axes, at, row, RED if row.rule in broken else GREEN)
    axes.axvline(0, color=DARK, lw=0.8, zorder=0)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set(
        ylim=(max(len(rows), 3) + 0.2, -0.8),
        xlabel=_unit([row.metric for row in rows], bool(found.models)),
    )
    axes.set_title(f"Gain, {found.rows:,} rows: green passes, red does not")
    axes.locator_params(axis="x", nbins=6)
    handles, labels = axes.get_legend_handles_labels()
    if shown := dict(zip(labels, handles, strict=True)):  # each word once
        legend = axes.legend(
            list(shown.values()), list(shown), loc="lower left", ncols=2, fontsize=8.5, frameon=True
        )
        legend.get_frame().set(facecolor="white", edgecolor="none", alpha=1)


def _rows(found: Comparison, decision: Decision, metrics: Metrics) -> Iterator[Row]:
    if found.models:
        return _beside_champion(found, decision, metrics)
    return _beside_baselines(found, metrics[found.metric])


def _beside_champion(found: Comparison, decision: Decision, metrics: Metrics) -> Iterator[Row]:
    gate, name, metric = decision.evidence["gate"], found.metric, metrics[found.metric]
    assert found.models
    yield Row(f"{name}\ndecides", metric, found.whole[name], "better", gate["min_gain"], LEAST)
    yield Row(f"{name}\nas packaged", metric, found.models, "no worse", -gate["margin"], "margin")
    for name, gain in found.whole.items():
        if name != found.metric:
            yield Row(name, metrics[name], gain, f"no worse in {name}", -gate["margin"], "margin")


def _beside_baselines(found: Comparison, metric: Metric) -> Iterator[Row]:
    for name, gain in found.baselines.items():
        yield Row(f"{found.metric}\nbeside {name}", metric, gain, f"baseline {name}")


def _gain(axes: Axes, at: int, row: Row, colour: str) -> None:
    edges, gain = _hundredths(row.metric, row.gain), row.gain
    text = f"{_from_to(gain)}, {format_number(gain.value, '+')}"
    if isfinite(edges[1]):
        draw_interval(axes, at, edges, colour)
        text += f" ({format_number(gain.low, '+')} to {format_number(gain.high, '+')})"
    else:
        text = "not defined on these rows"
    if row.bound_name:
        mark: dict[str, Any] = (
            {"color": DARK, "ls": ":"} if row.bound_name == LEAST else {"color": AMBER}
        )
        axes.plot([100 * row.bound] * 2, [at - 0.16, at + 0.3], lw=2, label=row.bound_name, **mark)
    box = {"fc": "white", "ec": "none", "pad": 0.5}
    where = axes.get_yaxis_transform()
    axes.text(
        0.01, at - 0.3, text, transform=where, fontsize=8.5, color=colour, va="center", bbox=box
    )


def _from_to(gain: Difference) -> str:
    return f"{format_number(gain.champion)} → {format_number(gain.challenger)}"


def _hundredths(metric: Metric, gain: Difference) -> Edges:
    """Return the gain in hundredths of the unit of the gate's bounds; NaN where that is 0."""
    unit = unit_of(metric, gain)
    low, value, high = (
        100 * edge / unit if unit else float("nan") for edge in (gain.low, gain.value, gain.high)
    )
    return low, value, high


def _unit(metrics: Sequence[Metric], champion: bool = True) -> str:
    other, relative = "champion" if champion else "baseline", [m for m in metrics if m.is_relative]
    what = "errors" if all(metric.lower_is_better for metric in relative) else "others"
    text = [
        *(["points of 0.01"] if len(relative) < len(metrics) else []),
        *([f"{what} in % of the {other}'s"] if relative else []),
    ]
    return f"gain, more is better\n({'; '.join(text)})" if text else "nothing to compare with"


def format_number(value: float, sign: str = "") -> str:
    """Return `value` with as many digits as its size needs; `sign`: "+" to show it always."""
    size = abs(value)
    steps = ((0.001, ".3g"), (10, ".4f"), (1000, ".2f"), (1e7, ",.0f"))
    kind = next((kind for edge, kind in steps if size < edge), ".3g") if size else ".4f"
    return format(value, sign + kind)


def draw_slices(axes: Axes, found: Comparison, margin: float | None, metric: Metric) -> None:
    """Draw the gain in each slice that can be judged, the lowest first."""
    judged = {
        name: gain for name, gain in found.slices.items() if gain and not isnan(gain.champion)
    }
    gains = {name: _hundredths(metric, gain) for name, gain in judged.items()}
    known = sorted(gains, key=lambda name: gains[name][1] if isfinite(gains[name][1]) else -inf)
    shown = _outermost(known)
    for at, name in shown.items():
        _slice(axes, at, gains[name], judged[name], _slice_kind(metric, judged[name], margin))
    _slice_lines(axes, found, margin, metric)
    names = {at: one_line(name, 24) for at, name in shown.items()}
    if len(shown) < len(known):
        names[MOST_SLICES // 2] = f"… {len(known) - len(shown)} between"
    axes.set_yticks(list(names), list(names.values()), fontsize=8)
    axes.set(ylim=(max([*names, 5]) + 0.6, -0.6), xlabel=_unit([metric]))
    axes.set_xlim(
        _narrow([gains[name] for name in shown.values()], axes.get_xlim(), 100 * (margin or 0))
    )
    axes.locator_params(axis="x", nbins=6)
    axes.set_title(_slice_title(len(known), len(shown), len(found.slices) - len(known)))


def _outermost(names: Sequence[str]) -> dict[int, str]:
    """Return the names to be drawn, by height, with a gap for those in the middle left out."""
    if len(names) <= MOST_SLICES:
        return dict(enumerate(names))
    half = MOST_SLICES // 2
    return dict(enumerate(names[:half])) | dict(enumerate(names[-half:], half + 1))


def _slice_kind(metric: Metric, gain: Difference, margin: float | None) -> str:
    """Return how the gate judges a slice: what is not a number is beyond the margin."""
    if margin is not None and not (gain.value >= -margin * unit_of(metric, gain) or gain.high >= 0):
        return "beyond the margin"
    return "worse" if gain.high < 0 else "better" if gain.low > 0 else "within the noise"


def _slice(axes: Axes, at: int, edges: Edges, gain: Difference, kind: str) -> None:
    known = kind in axes.get_legend_handles_labels()[1]
    draw_interval(axes, at, edges, SLICES[kind], None if known else kind)
    text, where = _from_to(gain), axes.get_yaxis_transform()
    axes.text(
        1.01,
        at,
        text,
        transform=where,
        fontsize=7.5,
        va="center",
        color=RED if SLICES[kind] == RED else DARK,
    )


def _slice_lines(axes: Axes, found: Comparison, margin: float | None, metric: Metric) -> None:
    axes.axvline(0, color=DARK, lw=0.8, zorder=0)
    _, overall, _ = _hundredths(metric, found.whole[found.metric])
    axes.axvline(overall, color=LEAF, lw=1.5, zorder=0, label="all rows")
    if margin is not None:
        axes.axvline(-100 * margin, color=RED, lw=1.2, ls="--", zorder=0, label="margin")
    count = len(axes.get_legend_handles_labels()[0])
    columns = count if count < 4 else (count + 1) // 2
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.15), ncols=columns, fontsize=8.5)


def _narrow(
    gains: Sequence[Edges], limits: tuple[float, float], margin: float
) -> tuple[float, float]:
    """Return `limits` cut so that no single wide interval squeezes the others."""
    ends = np.abs([end for low, _, high in gains for end in (low, high) if isfinite(end)])
    if not len(ends):
        return limits
    reach, values = (
        3 * float(np.quantile(ends, 0.9)),
        [1.1 * value for _, value, _ in gains if isfinite(value)],
    )
    return max(limits[0], min(-reach, -1.1 * margin, *values)), min(limits[1], max(reach, *values))


def _slice_title(known: int, shown: int, small: int) -> str:
    text = f"Slices: {known}" if known else "Slices: none to compare"
    if shown < known:
        text = f"Slices: {shown // 2} lowest, {shown // 2} highest of {known}"
    return f"{text}; {small} too small" if small else text
