"""Chart: where the metric of each batch lies in the drawing of the monitoring page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

WIDTH, LEFT, RIGHT, BOTTOM = 1000, 64, 20, 44  # of the drawing, in pixels
INSIDE = 216  # between the highest and the lowest line
LETTER, LINE = 7.5, 18  # how wide a letter is at most, and how high a line
MOST_NAMES = 12  # of batches below; of more, every second, third and so on
TICKS = 5

Point = Mapping[str, float]  # value, low, high


@dataclass(frozen=True)
class Mark:
    """A vertical line at `x` with a few words above it, which are at `text_x` and `text_y`."""

    x: float
    text: str
    text_x: float
    text_y: float


@dataclass(frozen=True)
class Dot:
    """The metric of one batch by labels: `low` and `high` are the ends of its interval."""

    x: float
    low: float
    y: float
    high: float
    title: str


@dataclass(frozen=True)
class Chart:
    """Where everything is, in pixels from the upper left.

    `ticks`: (height, value). `names`: (place, name of a batch). `lines`: by name, (place, height)
    of each batch. `band`: the upper and the lower edge of what was expected.
    """

    height: float
    top: float
    bottom: float
    band: tuple[float, float]
    ticks: tuple[tuple[float, str], ...] = field(repr=False)
    names: tuple[tuple[float, str], ...] = field(repr=False)
    marks: tuple[Mark, ...] = field(repr=False)
    lines: Mapping[str, tuple[tuple[float, float], ...]] = field(repr=False)
    dots: tuple[Dot, ...] = field(repr=False)
    left: int = LEFT
    right: int = WIDTH - RIGHT
    width: int = WIDTH

    def mark_lines(self) -> list[tuple[float, float]]:
        """Return the place of each vertical line, and how high it reaches: to its highest words."""
        highest: dict[float, float] = {}
        for mark in self.marks:
            highest[mark.x] = min(mark.text_y, highest.get(mark.x, mark.text_y))
        return [(x, y + 5) for x, y in highest.items()]


def draw_chart(
    batches: Sequence[str],
    series: Mapping[str, Sequence[Point | None]],
    expected: tuple[float, float, float],
    marks: Mapping[str, Sequence[str]],
) -> Chart:
    """Return the chart of a metric by batch.

    `series`: "real" and "estimated", a point for each of `batches` or None. `expected`: value, low,
    high. `marks`: what happened after a batch.
    """
    known = {
        name: [(at, point) for at, point in enumerate(points) if point and _is_known(point)]
        for name, points in series.items()
    }
    ends = ("value", "low", "high")
    values = [point[end] for points in known.values() for _, point in points for end in ends]
    low, high = _edges([*values, *expected])
    step = (WIDTH - LEFT - RIGHT) / max(1, len(batches))
    placed, rows = _place_marks(batches, marks, step)
    top = LINE * (rows + 1)

    def x(at: float) -> float:
        return LEFT + step * (at + 0.5)

    def y(value: float) -> float:
        inside = low if math.isnan(value) else min(max(value, low), high)
        return top + INSIDE * (high - inside) / (high - low)

    every = max(1, math.ceil(len(batches) / MOST_NAMES))
    heights = [low + (high - low) * tick / (TICKS - 1) for tick in range(TICKS)]
    return Chart(
        height=top + INSIDE + BOTTOM,
        top=top,
        bottom=top + INSIDE,
        band=(y(expected[2]), y(expected[1])),
        ticks=tuple((y(value), f"{value:.3f}") for value in heights),
        names=tuple((x(at), shorten(batches[at])) for at in range(0, len(batches), every)),
        marks=tuple(placed),
        lines={
            name: tuple((x(at), y(point["value"])) for at, point in points)
            for name, points in known.items()
        },
        dots=tuple(
            Dot(
                x(at),
                y(point["low"]),
                y(point["value"]),
                y(point["high"]),
                f"{batches[at]}: {point['value']:.4f}",
            )
            for at, point in known.get("real", ())
        ),
    )


def shorten(batch: str) -> str:
    """Return the name of a batch in at most ten letters."""
    return batch if len(batch) <= 10 else f"{batch[:9]}…"


def _is_known(point: Point) -> bool:
    return math.isfinite(point["value"])


def _edges(values: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest value of the drawing, with some room."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    room = (max(finite) - min(finite) or 1.0) * 0.06
    return min(finite) - room, max(finite) + room


def _place_marks(
    batches: Sequence[str], marks: Mapping[str, Sequence[str]], step: float
) -> tuple[list[Mark], int]:
    """Return the marks and how many lines their words take; those that would overlap are higher."""
    found: list[Mark] = []
    ends: list[float] = []  # of the words in each line, from below
    for at, text in _marks_in_order(batches, marks):
        x, half = LEFT + step * (at + 1), len(text) * LETTER / 2
        middle = min(max(x, half), WIDTH - half)
        row = next((row for row, end in enumerate(ends) if end < middle - half), len(ends))
        ends[row:] = [middle + half + LETTER, *ends[row + 1 :]]
        found.append(Mark(x, text, middle, -row * LINE))
    rows = max(1, len(ends))
    below = LINE * rows
    return [Mark(mark.x, mark.text, mark.text_x, below + mark.text_y) for mark in found], rows


def _marks_in_order(
    batches: Sequence[str], marks: Mapping[str, Sequence[str]]
) -> Iterator[tuple[int, str]]:
    for at, batch in enumerate(batches):
        for text in marks.get(batch, ()):
            yield at, text
