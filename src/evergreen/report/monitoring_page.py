"""Monitoring page: how the champion does: performance, drift by column and batch, decisions.

It is one HTML file that stands alone, like every page (`page.py`). Charts are drawn as SVG inside
it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evergreen.files import write_whole
from evergreen.project import Project
from evergreen.report.chart import Chart, draw_chart, shorten
from evergreen.report.page import render

SHOWN = 24  # newest batches on the page
SERIES = {"estimated": "adjusted", "real": "real"}
SHADES = {  # of a cell, up to how many of its margins
    "under half of what is usual": 0.5,
    "usual": 1.0,
    "beyond": 1.5,
    "far beyond": 2.5,
    "very far beyond": math.inf,
}


@dataclass(frozen=True)
class History:
    """What the page shows.

    `seen`: what was observed of each batch under the champion of its time, oldest first, as plain
    values. `decisions`: (batch, action, reason), oldest first. `marks`: batch -> what happened
    after it, such as "version 3 promoted". `expected`: of `metric`, as the champion had it on its
    holdout: value, low, high.
    """

    model: str
    version: str
    metric: str
    expected: tuple[float, float, float]
    age_days: float
    seen: Sequence[Mapping[str, Any]] = field(repr=False)
    decisions: Sequence[tuple[str, str, str]] = field(repr=False)
    marks: Mapping[str, Sequence[str]] = field(repr=False)
    lower_is_better: bool = False


def write_monitoring_page(project: Project, history: History) -> Path:
    """Write `reports/monitoring.html` of the project, and return its path."""
    path = project.reports / "monitoring.html"
    content = monitoring_page(history)
    write_whole(path, lambda part: part.write_text(content, encoding="utf-8"))
    return path


def monitoring_page(history: History) -> str:
    """Return the whole page."""
    seen = history.seen[-SHOWN:]
    none = ("", "", "no batch has arrived since it was promoted")
    batch, action, reason = history.decisions[-1] if history.decisions else none
    newest = f" · newest batch {batch}" if batch else ""
    return render(
        "monitoring.html",
        title=f"Monitoring of {history.model}",
        kicker=f"{history.model} · champion is version {history.version}{newest}",
        verdict={"retrain": "time to retrain", "watch": "to be watched"}.get(
            action, "nothing to do"
        ),
        kind={"retrain": "bad", "watch": ""}.get(action, "good"),
        reason=reason,
        figures=_figures(history, seen),
        metric=history.metric,
        version=history.version,
        better="lower" if history.lower_is_better else "higher",
        seen=seen,
        chart=_chart(history, seen) if seen else None,
        columns=_columns(seen),
        shades=list(SHADES),
        shade=_shade,
        number=_number,
        shorten=shorten,
        decisions=history.decisions[-SHOWN:][::-1],
    )


def _chart(history: History, seen: Sequence[Mapping[str, Any]]) -> Chart:
    series = {
        name: [batch[how].get(history.metric) for batch in seen] for name, how in SERIES.items()
    }
    return draw_chart([batch["batch"] for batch in seen], series, history.expected, history.marks)


def _figures(history: History, seen: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    old = f"newest row {history.age_days:.0f} days older than the data's"
    shown = [("champion", f"version {history.version}", old)]
    if seen:
        newest = seen[-1]
        real, estimated = (newest[how].get(history.metric) for how in ("real", "adjusted"))
        low, high = (f"{end:.3f}" for end in history.expected[1:])
        promoted = f"promoted with {low} to {high}"
        if real:
            shown.append((f"{history.metric} now", _number(real["value"], 3), promoted))
        elif estimated:
            name = f"{history.metric}, estimated"
            shown.append((name, _number(estimated["value"], 3), promoted))
        drifted = newest["drift"]["drifted"]
        names = ", ".join(drifted[:3]) + ("…" if len(drifted) > 3 else "")
        shown.append(("drifted columns", str(len(drifted)), names))
        held = [batch["batch"] for batch in seen if batch["unfit"]]
        shown.append(("batches held back", str(len(held)), ", ".join(held[-3:])))
    promotions = sum(any("promoted" in mark for mark in marks) for marks in history.marks.values())
    return [*shown, ("promotions", str(promotions), "in all")]


def _columns(seen: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Return the drift of each column in each batch, what is farthest beyond its margin first."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for batch in seen:
        for column in batch["drift"]["columns"]:
            shift = column["shift"]
            name = shift["column"] + (" (missing)" if shift["kind"] == "missing" else "")
            found.setdefault(name, {})[batch["batch"]] = column
    return dict(sorted(found.items(), key=lambda item: -max(map(_ratio, item[1].values()))))


def _shade(column: Mapping[str, Any]) -> int:
    """Return which of the shades a cell has."""
    return next(at for at, edge in enumerate(SHADES.values()) if _ratio(column) <= edge)


def _ratio(column: Mapping[str, Any]) -> float:
    effect, margin = column["shift"]["effect"], column["shift"]["margin"]
    return math.inf if effect is None or not margin else float(effect) / float(margin)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"
