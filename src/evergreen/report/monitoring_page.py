"""Monitoring page: one HTML file on how the champion fares: performance, drift by column and batch, decisions.

It stands alone, like every page (`page.py`), and shows values without obeying them. Charts are
drawn as SVG inside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evergreen.evaluation.metrics import LOWER_IS_BETTER
from evergreen.files import write_whole
from evergreen.project import Project
from evergreen.report import page
from evergreen.report.page import text

SHOWN = 24  # newest batches on the page
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1000, 300, 64, 20, 40, 44  # of the chart
SERIES = {"estimated": "adjusted", "real": "real"}
STYLE = """
svg { width: 100%; height: auto; display: block; font: 13px system-ui, sans-serif; }
svg text { fill: var(--soft); } svg .axis { stroke: var(--line); }
svg .mark { stroke: var(--warn); stroke-dasharray: 4 3; } svg .mark-text { fill: var(--warn); }
svg .real { stroke: var(--good); fill: var(--good); }
svg .estimated { stroke: var(--soft); fill: none; stroke-dasharray: 2 3; }
svg polyline { fill: none; stroke-width: 2.5; }
svg .band { fill: var(--good); opacity: .12; } svg .whisker { stroke-width: 1.5; opacity: .7; }
.heat th, .heat td { padding: .25rem .4rem; text-align: center; white-space: nowrap; }
.heat th:first-child { text-align: left; position: sticky; left: 0; background: var(--card); }
.heat td { border: 1px solid var(--card); border-radius: 4px; min-width: 3.2rem; }
.legend b { display: inline-block; padding: 0 .5rem; border-radius: 4px; font-weight: 400; margin-right: .4rem; }
.log th { white-space: nowrap; } .log td { min-width: 6rem; } header + .note { margin: .75rem 0 0; }
header + .note::first-letter { text-transform: uppercase; }
"""
SHADES = ((0.5, "e7f0ea"), (1.0, "cfe3d6"), (1.5, "f6dcb4"), (2.5, "efb27a"), (math.inf, "dd7a5f"))
INK = "#1c2922"  # on the shades, whatever the theme


@dataclass(frozen=True)
class Story:
    """What the page tells. `seen`: plain values of each batch under the champion of its time, oldest first.

    `decisions`: (batch, action, reason), oldest first. `marks`: batch -> what happened after it,
    such as "version 3 promoted". `expected`: of `metric`, as the champion had it on its holdout:
    value, low, high.
    """

    model: str
    version: str
    metric: str
    expected: tuple[float, float, float]
    age_days: float
    seen: Sequence[Mapping[str, Any]] = field(repr=False)
    decisions: Sequence[tuple[str, str, str]] = field(repr=False)
    marks: Mapping[str, Sequence[str]] = field(repr=False)


def write_monitoring_page(project: Project, story: Story) -> Path:
    """Write `reports/monitoring.html` of the project; returns its path."""
    path = project.reports / "monitoring.html"
    content = monitoring_page(story)
    write_whole(path, lambda part: part.write_text(content, encoding="utf-8"))
    return path


def monitoring_page(story: Story) -> str:
    """Return the whole page."""
    seen = story.seen[-SHOWN:]
    batch, action, reason = (
        story.decisions[-1]
        if story.decisions
        else ("", "", "no batch has come since it was promoted")
    )
    verdict = {"retrain": "time to retrain", "watch": "to be watched"}.get(action, "nothing to do")
    kicker = f"{story.model} · champion is version {story.version}" + (
        f" · newest batch {batch}" if batch else ""
    )
    kind = {"retrain": "bad", "watch": ""}.get(action, "good")
    sections = [
        page.header(kicker, verdict, kind),
        f'<p class="note legend">{text(reason)}</p>',
        _tiles(story, seen),
    ]
    if seen:
        sections += [
            f"<h2>How well it does: {text(story.metric)}</h2>",
            _note(story),
            f'<div class="card">{_chart(story, seen)}</div>',
            "<h2>How far each column is from what the champion has learnt from</h2>",
            f'<p class="note legend">{_legend()}</p>',
            f'<div class="card" tabindex="0">{_heat(seen)}</div>',
        ]
    if story.decisions:
        sections += ["<h2>What was decided</h2>", f'<div class="card">{_log(story)}</div>']
    return page.lay_out(f"Monitoring of {story.model}", verdict, sections, STYLE)


def _note(story: Story) -> str:
    better = "lower" if story.metric in LOWER_IS_BETTER else "higher"
    band = f"The band: what version {text(story.version)} showed on its own holdout; {better} is better."
    return (
        f'<p class="note">Solid: by labels, with intervals. Dotted: estimated without. {band}</p>'
    )


def _tiles(story: Story, seen: Sequence[Mapping[str, Any]]) -> str:
    shown = [
        (
            "champion",
            f"version {story.version}",
            f"newest row {story.age_days:.0f} days older than the data's",
        )
    ]
    if seen:
        newest = seen[-1]
        real, said = (newest[how].get(story.metric) for how in ("real", "adjusted"))
        low, high = (f"{one:.3f}" for one in story.expected[1:])
        if real:
            shown.append(
                (f"{story.metric} now", _number(real["value"], 3), f"promoted with {low} to {high}")
            )
        elif said:
            shown.append(
                (
                    f"{story.metric}, estimated",
                    _number(said["value"], 3),
                    f"promoted with {low} to {high}",
                )
            )
        drifted = newest["drift"]["drifted"]
        shown.append(
            (
                "drifted columns",
                str(len(drifted)),
                ", ".join(drifted[:3]) + ("…" if len(drifted) > 3 else ""),
            )
        )
        held = [one["batch"] for one in seen if one["unfit"]]
        shown.append(("batches held back", str(len(held)), ", ".join(held[-3:])))
    retrained = sum(any("promoted" in one for one in marks) for marks in story.marks.values())
    return page.tiles([*shown, ("promotions", str(retrained), "in all")])


@dataclass(frozen=True)
class _Axes:
    """Where batches and values lie in the chart."""

    batches: int
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float], batches: int) -> _Axes:
        finite = [one for one in values if math.isfinite(one)] or [0.0, 1.0]
        room = (max(finite) - min(finite) or 1.0) * 0.06
        return cls(batches, min(finite) - room, max(finite) + room)

    @property
    def step(self) -> float:
        return (WIDTH - LEFT - RIGHT) / max(1, self.batches)

    def x(self, at: int) -> float:
        return LEFT + self.step * (at + 0.5)

    def y(self, value: float) -> float:
        inside = self.low if math.isnan(value) else min(max(value, self.low), self.high)
        return float(TOP + (HEIGHT - TOP - BOTTOM) * (self.high - inside) / (self.high - self.low))


def _chart(story: Story, seen: Sequence[Mapping[str, Any]]) -> str:
    """Draw the metric by batch: real with whiskers, estimated, the band of the holdout, marks of promotions."""
    series = {name: [one[how].get(story.metric) for one in seen] for name, how in SERIES.items()}
    values = [
        one[end]
        for points in series.values()
        for one in points
        if one
        for end in ("low", "high", "value")
    ]
    axes = _Axes.of([*values, *story.expected], len(seen))
    parts = [
        _band(axes, story.expected),
        *_grid(axes),
        *_names(axes, seen),
        *_marks(axes, seen, story.marks),
    ]
    for name, points in series.items():
        known = [(at, one) for at, one in enumerate(points) if one and math.isfinite(one["value"])]
        parts.append(_line(axes, name, known))
        if name == "real":
            parts += [_point(axes, at, one, str(seen[at]["batch"])) for at, one in known]
    told = f"{story.metric} of each of {len(seen)} batches"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(told)}">{"".join(parts)}</svg>'


def _band(axes: _Axes, expected: tuple[float, float, float]) -> str:
    top, bottom = axes.y(expected[2]), axes.y(expected[1])
    size = f'width="{WIDTH - LEFT - RIGHT}" height="{max(1.0, bottom - top):.1f}"'
    return f'<rect class="band" x="{LEFT}" y="{top:.1f}" {size}/>'


def _grid(axes: _Axes) -> Iterable[str]:
    for tick in range(5):
        value = axes.low + (axes.high - axes.low) * tick / 4
        at = f"{axes.y(value):.1f}"
        yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>'
        yield f'<text x="{LEFT - 8}" y="{axes.y(value) + 4:.1f}" text-anchor="end">{value:.3f}</text>'


def _names(axes: _Axes, seen: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    every = max(1, math.ceil(len(seen) / 12))
    for at, one in enumerate(seen[::every]):
        place = f'x="{axes.x(at * every):.1f}" y="{HEIGHT - 16}" text-anchor="middle"'
        yield f"<text {place}>{text(_short(one['batch']))}</text>"


def _marks(
    axes: _Axes, seen: Sequence[Mapping[str, Any]], marks: Mapping[str, Sequence[str]]
) -> Iterable[str]:
    for at, one in enumerate(seen):
        for told in marks.get(one["batch"], ()):
            x = f"{axes.x(at) + axes.step / 2:.1f}"
            yield f'<line class="mark" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            yield f'<text class="mark-text" x="{x}" y="{TOP - 12}" text-anchor="middle">{text(told)}</text>'


def _line(axes: _Axes, name: str, known: Sequence[tuple[int, Mapping[str, float]]]) -> str:
    points = " ".join(f"{axes.x(at):.1f},{axes.y(one['value']):.1f}" for at, one in known)
    return f'<polyline class="{name}" points="{points}"/>'


def _point(axes: _Axes, at: int, one: Mapping[str, float], batch: str) -> str:
    x, low, middle, high = (
        f"{axes.x(at):.1f}",
        *(f"{axes.y(one[end]):.1f}" for end in ("low", "value", "high")),
    )
    whisker = f'<line class="real whisker" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>'
    title = f"<title>{text(batch)}: {one['value']:.4f}</title>"
    return f'{whisker}<circle class="real" cx="{x}" cy="{middle}" r="4">{title}</circle>'


def _heat(seen: Sequence[Mapping[str, Any]]) -> str:
    """Return a table: columns of the data down, batches across; what has drifted bears a cross, not a colour alone."""
    cells: dict[str, dict[str, Mapping[str, Any]]] = {}
    for one in seen:
        for column in one["drift"]["columns"]:
            shift = column["shift"]
            name = shift["column"] + (" (missing)" if shift["kind"] == "missing" else "")
            cells.setdefault(name, {})[one["batch"]] = column
    names = sorted(cells, key=lambda name: -max(_ratio(one) for one in cells[name].values()))
    head = "".join(f'<th scope="col">{text(_short(one["batch"]))}</th>' for one in seen)
    rows = []
    for name in names:
        drawn = "".join(_cell(cells[name].get(one["batch"])) for one in seen)
        rows.append(f'<tr><th scope="row">{text(name)}</th>{drawn}</tr>')
    together = "".join(
        f"<td>{'✕ ' if one['drift']['together'] else ''}{_number(one['drift']['auc'], 2)}</td>"
        for one in seen
    )
    rows.append(f'<tr><th scope="row">all together (AUC)</th>{together}</tr>')
    return (
        f'<table class="heat"><thead><tr><th scope="col">column</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _cell(column: Mapping[str, Any] | None) -> str:
    if column is None:
        return "<td></td>"
    ratio = _ratio(column)
    shade = next(colour for edge, colour in SHADES if ratio <= edge)
    cross = "✕ " if column["drifted"] else ""
    return (
        f'<td style="background:#{shade};color:{INK}" title="{text(column["shift"]["says"])}">'
        f"{cross}{_number(column['shift']['effect'], 2)}</td>"
    )


def _legend() -> str:
    edges = ("under half of what is usual", "usual", "beyond", "far beyond", "very far beyond")
    shown = "".join(
        f'<b style="background:#{colour};color:{INK}">{word}</b>'
        for (_, colour), word in zip(SHADES, edges, strict=True)
    )
    return f"Population stability index; shaded by how it stands to its margin. {shown} ✕ drifted, beyond chance."


def _log(story: Story) -> str:
    rows = "".join(
        f'<tr><th scope="row">{text(batch)}</th><td class="word">{text(action)}</td><td>{text(reason)}</td></tr>'
        for batch, action, reason in _newest_first(story.decisions)
    )
    head = "".join(f'<th scope="col">{one}</th>' for one in ("after", "decided", "why"))
    return f'<table class="ruled log"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _newest_first(decisions: Sequence[tuple[str, str, str]]) -> Iterable[tuple[str, str, str]]:
    return reversed(decisions[-SHOWN:])


def _ratio(column: Mapping[str, Any]) -> float:
    effect, margin = column["shift"]["effect"], column["shift"]["margin"]
    return math.inf if effect is None or not margin else float(effect) / float(margin)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _short(batch: str) -> str:
    return batch if len(batch) <= 10 else f"{batch[:9]}…"
