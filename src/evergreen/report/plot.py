"""Plot: where lines, bands and dots lie in a small drawing of a page, in pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

WIDTH, HEIGHT = 480, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 44
TICKS = 6
Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A line through points, in order. `kind`: its look. `band`: (x, low, high) around it."""

    kind: str
    points: tuple[Point, ...]
    band: tuple[tuple[float, float, float], ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Dot:
    """A dot at a point. `kind`: its look."""

    x: float
    y: float
    kind: str = ""


@dataclass(frozen=True)
class Plot:
    """What is to be drawn, in its own units.

    `log`: whether the horizontal axis is logarithmic. `rows`: names at heights 0, 1, 2 and so on
    from above, in place of numbers. `columns`: names at places, in place of numbers.
    """

    title: str
    x_label: str
    y_label: str = ""
    lines: tuple[Line, ...] = ()
    dots: tuple[Dot, ...] = ()
    log: bool = False
    rows: tuple[str, ...] = ()
    columns: tuple[tuple[float, str], ...] = ()
    marked: float | None = None  # a place on the horizontal axis
    wide: bool = False


@dataclass(frozen=True)
class Drawn:
    """Where everything is, in pixels from the upper left; ticks are (place, words)."""

    plot: Plot
    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    x_ticks: tuple[tuple[float, str], ...] = field(repr=False)
    y_ticks: tuple[tuple[float, str], ...] = field(repr=False)
    lines: tuple[tuple[str, str], ...] = field(repr=False)  # (kind, points)
    bands: tuple[tuple[str, str], ...] = field(repr=False)
    dots: tuple[tuple[str, str, str], ...] = field(repr=False)  # (kind, x, y)
    marked: str = ""


def draw(plot: Plot) -> Drawn:
    """Return where everything of a plot is."""
    left = 16 + 7 * max((len(name) for name in plot.rows), default=0) if plot.rows else LEFT
    width = 2 * WIDTH + 20 if plot.wide else WIDTH
    height = TOP + BOTTOM + 34 * len(plot.rows) if plot.rows else HEIGHT
    right, bottom = width - RIGHT, height - BOTTOM
    xs, ys = _values(plot)
    if plot.log:
        xs = [math.log10(value) for value in xs if value > 0]
    x_low, x_high = _edges([*xs, *(place for place, _ in plot.columns)])
    y_low, y_high = (len(plot.rows) - 0.5, -0.5) if plot.rows else _edges(ys)

    def x(value: float) -> float:
        at = math.log10(value) if plot.log else value
        return left + (right - left) * (at - x_low) / (x_high - x_low)

    def y(value: float) -> float:
        return bottom - (bottom - TOP) * (value - y_low) / (y_high - y_low)

    def path(points: Iterable[Point]) -> str:
        return " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)

    known = [line for line in plot.lines if line.points]
    y_ticks = [*enumerate(plot.rows)] if plot.rows else _ticks(y_low, y_high)
    return Drawn(
        plot,
        width,
        height,
        left,
        right,
        TOP,
        bottom,
        x_ticks=tuple((x(value), words) for value, words in _x_ticks(plot, x_low, x_high)),
        y_ticks=tuple((y(value), words) for value, words in y_ticks),
        lines=tuple((line.kind, path(line.points)) for line in known),
        bands=tuple((line.kind, path(_outline(line))) for line in known if line.band),
        dots=tuple((dot.kind, f"{x(dot.x):.1f}", f"{y(dot.y):.1f}") for dot in plot.dots),
        marked="" if plot.marked is None else f"{x(plot.marked):.1f}",
    )


def _outline(line: Line) -> list[Point]:
    """Return the edge of a band: its upper side, and back along the lower one."""
    above = [(at, high) for at, _, high in line.band]
    return above + [(at, low) for at, low, _ in line.band[::-1]]


def _values(plot: Plot) -> tuple[list[float], list[float]]:
    points = [point for line in plot.lines for point in line.points]
    edges = [edge for line in plot.lines for edge in line.band]
    xs = [at for at, _ in points] + [dot.x for dot in plot.dots]
    ys = [value for _, value in points] + [dot.y for dot in plot.dots]
    return xs, [*ys, *(low for _, low, _ in edges), *(high for _, _, high in edges)]


def _edges(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest value, with some room."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    room = (max(finite) - min(finite) or 1.0) * 0.05
    return min(finite) - room, max(finite) + room


def _x_ticks(plot: Plot, low: float, high: float) -> Sequence[tuple[float, str]]:
    if plot.columns:
        return plot.columns
    if not plot.log:
        return _ticks(low, high)
    chosen = sorted({at for line in plot.lines for at, _ in line.points})
    kept = [
        at
        for at in chosen
        if at == chosen[-1]
        or all(abs(math.log10(at / other)) > 0.12 * (high - low) for other in chosen if other > at)
    ]
    return [(at, f"{at:,.0f}" if at >= 10 else f"{at:g}") for at in kept]


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return round numbers between two values, with as few digits as tell them apart."""
    step = 10 ** math.floor(math.log10((high - low) / TICKS))
    step = next(step * more for more in (1, 2, 5, 10) if (high - low) / (step * more) <= TICKS)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first = math.ceil(low / step)
    found = [step * at for at in range(first, math.floor(high / step) + 1)]
    return [(value, f"{value:,.{digits}f}".replace("-", "−")) for value in found]
