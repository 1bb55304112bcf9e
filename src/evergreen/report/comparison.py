"""The picture of a decision of the gate: challenger beside champion, and each rule's result."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from math import lcm
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.decision import Decision
from evergreen.metrics.metric import Metric, Metrics
from evergreen.metrics.table import OF_CURVES
from evergreen.promotion.compare import Comparison
from evergreen.promotion.judge import Judged
from evergreen.report.curves import (
    PlottedModel,
    draw_calibration,
    draw_errors,
    draw_precision_recall,
    draw_roc,
)
from evergreen.report.gains import draw_gains, draw_slices, format_number, one_line
from evergreen.report.panels import AMBER, DARK, GREEN, GREY, RED, SLATE, Panel, draw_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACTIONS = {"promote": GREEN, "refuse": RED, "ask": AMBER}
SIDES = {"champion": SLATE, "challenger": GREEN}
MOST_CLASSES = 16  # drawn; of more, those whose recall differs most
LETTERS, MOST_LINES = 165, 3  # of a sentence in the list of rules


def draw_comparison(
    judged: Judged,
    decision: Decision,
    title: str,
    path: Path,
    classes: Sequence[str] = (),
    *,
    metrics: Metrics,
) -> Path:
    """Draw the evidence of the gate, so that a person understands its decision.

    `classes`: names of the classes, by code.
    """
    found, gate = judged.evidence.comparison, decision.evidence["gate"]
    metric, said = metrics[found.metric], judged.predictions
    packaged = {name: metrics.measure(found.task, judged.y, p) for name, p in said.items()}
    top: list[Panel] = [
        lambda axes: draw_gains(axes, found, decision, metrics),
        lambda axes: _seeds(axes, found, packaged, metric),
    ]
    if found.models:
        top.insert(1, lambda axes: draw_slices(axes, found, gate["slice_margin"], metric))
    bottom = [*_curves(judged, packaged, classes), lambda axes: _calibration(axes, judged)]
    lines = _lines(decision)
    heights = (4.9 if found.models else 3.6, 3.9, 0.19 * (len(lines) + 3))
    return draw_panels(
        [*top, *bottom, lambda axes: _rules(axes, decision, lines)],
        f"{decision.action.upper()}: {one_line(title, 150)}",
        path,
        grid=_grid(len(top), len(bottom)),
        size=(16, sum(heights) + 0.5),
        heights=heights,
        colour=ACTIONS[decision.action],
    )


def _grid(top: int, bottom: int) -> str:
    """Return the picture's rows: `top` panels, `bottom` panels, and one as wide as all."""
    wide, names = lcm(top, bottom), iter("ABCDEFG")
    rows = ["".join(next(names) * (wide // count) for _ in range(count)) for count in (top, bottom)]
    return ";".join([*rows, next(names) * wide])


# --- seeds


def _seeds(
    axes: Axes, found: Comparison, packaged: Mapping[str, Mapping[str, float]], metric: Metric
) -> None:
    """Draw each seed's model as a point, their mean as a line, the packaged model as a diamond."""
    sides = [name for name in SIDES if name in found.by_seed]
    for at, name in enumerate(sides):
        values, packaged_value = found.by_seed[name], packaged[name][found.metric]
        places = at + np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else [at] * len(values)
        axes.plot(places, values, "o", color=SIDES[name], ms=6, alpha=0.45)
        if values:
            axes.plot([at - 0.25, at + 0.25], [np.mean(values)] * 2, color=SIDES[name], lw=1.5)
        axes.plot(at, packaged_value, "D", color=SIDES[name], ms=9, mec="white")
        axes.annotate(
            format_number(packaged_value),
            (at + 0.29, packaged_value),
            va="center",
            fontsize=9,
            color=SIDES[name],
        )
    axes.set_xticks(
        range(len(sides)), [f"{name}\nseeds: {len(found.by_seed[name])}" for name in sides]
    )
    axes.set(xlim=(-0.5, len(sides) - 0.3), ylabel=f"{found.metric}, better is up")
    if metric.lower_is_better:
        axes.invert_yaxis()
    axes.set_title("Seeds (●), packaged model (◆)")


# --- curves and calibration


def _plotted(judged: Judged, labels: Mapping[str, str]) -> list[PlottedModel]:
    return [
        PlottedModel(labels[name], SIDES[name], judged.predictions[name])
        for name in SIDES
        if name in judged.predictions
    ]


def _curves(
    judged: Judged, packaged: Mapping[str, Mapping[str, float]], classes: Sequence[str]
) -> list[Panel]:
    def models(curve: str, called: str = "") -> list[PlottedModel]:
        of = OF_CURVES[curve]
        labels = {
            name: f": {called}{format_number(values[of])}" if of in values else ""
            for name, values in packaged.items()
        }
        return _plotted(judged, {name: name + text for name, text in labels.items()})

    if judged.evidence.comparison.task == "binary":
        return [
            lambda axes: draw_roc(axes, judged.y, models("roc")),
            lambda axes: draw_precision_recall(axes, judged.y, models("precision_recall")),
        ]
    if judged.evidence.comparison.task == "multiclass":
        return [lambda axes: _recalls(axes, judged, classes)]
    return [lambda axes: draw_errors(axes, judged.y, models("errors", "mean "))]


def _recalls(axes: Axes, judged: Judged, classes: Sequence[str]) -> None:
    models, present = (
        _plotted(judged, {name: name for name in SIDES}),
        np.unique(judged.y).astype(int),
    )
    hits = [model.p.argmax(axis=1) == judged.y for model in models]
    recalls = np.array([[hit[judged.y == code].mean() for code in present] for hit in hits])
    shown = np.sort(np.argsort(np.ptp(recalls, axis=0), kind="stable")[-MOST_CLASSES:])
    wide = 0.8 / len(models)
    for number, model in enumerate(models):
        places = np.arange(len(shown)) - 0.4 + (number + 0.5) * wide
        axes.bar(places, recalls[number, shown], wide * 0.9, color=model.colour, label=model.label)
    names = [classes[code] if code < len(classes) else f"class {code}" for code in present[shown]]
    axes.set_xticks(
        range(len(shown)),
        [one_line(name, 14) for name in names],
        rotation=30 if len(shown) > 6 else 0,
    )
    axes.set(ylim=(0, 1.15), ylabel="recall")
    cut = len(shown) < len(present)
    axes.set_title(
        "Recall by class"
        + (f": the {len(shown)} of {len(present)} that differ most" if cut else "")
    )
    axes.legend(fontsize=8.5, loc="upper right", ncols=2)


def _calibration(axes: Axes, judged: Judged) -> None:
    errors = dict(zip(SIDES, judged.evidence.calibration, strict=True))
    models = _plotted(
        judged,
        {name: f"{name}: error {error:.4f}" for name, error in errors.items() if error is not None},
    )
    if judged.evidence.comparison.task != "regression":
        draw_calibration(axes, judged.y, models)
        return
    for model in models:
        parts = np.array_split(np.argsort(model.p, kind="stable"), min(10, len(model.p)))
        predicted = [float(model.p[part].mean()) for part in parts]
        residuals = [float((judged.y[part] - model.p[part]).mean()) for part in parts]
        axes.plot(predicted, residuals, "o-", color=model.colour, lw=1.8, ms=5, label=model.label)
    axes.axhline(0, color=GREY, lw=1, ls="--")
    axes.set(
        xlabel="predicted, mean of each tenth of the rows", ylabel="mean of label minus prediction"
    )
    axes.set_title("Calibration")
    axes.legend(fontsize=8.5)


# --- rules


def _lines(decision: Decision) -> list[tuple[str, str, str]]:
    """Return the list of rules as lines: whether it is met, its name, a line of what it saw."""
    sentences = {rule["says"] for rule in decision.rules}
    lines = [
        line
        for reason in decision.reasons
        if reason not in sentences
        for line in _wrap("", "decision", reason)
    ]
    for rule in decision.rules:
        lines += _wrap("met" if rule["met"] else "BROKEN", rule["name"], rule["says"])
    return lines


def _wrap(mark: str, name: str, says: str) -> list[tuple[str, str, str]]:
    wrapped = textwrap.wrap(
        one_line(says, 10_000), LETTERS, max_lines=MOST_LINES, placeholder=" …"
    ) or [""]
    return [(mark, name, wrapped[0]), *(("", "", line) for line in wrapped[1:])]


def _rules(axes: Axes, decision: Decision, lines: Sequence[tuple[str, str, str]]) -> None:
    broken = False
    for at, line in enumerate(lines):
        broken = line[0] == "BROKEN" or (broken and not line[1])  # a sentence goes on
        style: dict[str, Any] = {
            "fontsize": 9,
            "color": RED if broken else DARK,
            "va": "center",
            "in_layout": False,
        }
        axes.text(0, at + 0.5, line[0], weight="bold", **style)
        axes.text(0.05, at + 0.5, line[1], **style)
        axes.text(0.2, at + 0.5, line[2], **style)
    axes.set(xlim=(0, 1), ylim=(len(lines), 0))
    axes.set_axis_off()
    count = sum(not rule["met"] for rule in decision.rules)
    text = f"The gate: {decision.action}; {count} of {len(decision.rules)} rules broken"
    axes.set_title(text, color=ACTIONS[decision.action])
