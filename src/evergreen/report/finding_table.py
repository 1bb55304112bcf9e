"""Finding table: how the values of a finding are shown on a page, with bars for one column."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evergreen.finding import Cell, Finding, Kind, percent

CHANCE = "by chance"
# A bar is full at the largest value of its column, which is at least this
FULL = {"effect": 0.8, "share": 0.1}


@dataclass(frozen=True)
class Shown:
    """A cell of a table: its words, and its bar where it has one. `length`: of the bar, in percent.

    `kind`: what the bar is: beyond what chance explains, within it, or a part of a whole.
    """

    words: str
    classes: str
    drawn: bool
    kind: str = ""
    length: str = ""


def cells(finding: Finding, row: tuple[Cell, ...]) -> list[Shown]:
    """Return the cells of a row of the table of `finding`."""
    named, found = dict(zip(finding.columns, row, strict=True)), []
    for title, kind in finding.columns.items():
        words, drawn = show(named[title], kind), title == finding.drawn
        if title == CHANCE:
            words = words.replace("+", "±")
        bar = _bar(named[title], named.get(CHANCE), _scale(finding)) if drawn else ("", "")
        found.append(Shown(words, class_of(kind, drawn), drawn, *bar))
    return found


def _bar(value: Cell, chance: Cell, scale: float) -> tuple[str, str]:
    """Return the kind and the length of a bar, in percent of `scale`; empty where it is nothing."""
    length = abs(value) if isinstance(value, float) and not math.isnan(value) else 0.0
    if not length:
        return "", ""
    kind = "part"
    if isinstance(chance, float):
        kind = "beyond" if length >= 2 * chance else "within"
    return kind, f"{100 * min(1.0, length / scale):.1f}"


def _scale(finding: Finding) -> float:
    place = list(finding.columns).index(finding.drawn)
    drawn = [row[place] for row in finding.rows]
    values = [abs(cell) for cell in drawn if isinstance(cell, float)]
    return max(
        [
            FULL.get(finding.columns[finding.drawn], 1.0),
            *(value for value in values if math.isfinite(value)),
        ]
    )


def class_of(kind: Kind, drawn: bool) -> str:
    """Return the look of a cell."""
    return " ".join([*(["drawn"] if drawn else []), *(["number"] if kind != "text" else [])])


def show(value: Cell, kind: Kind) -> str:
    """Return a value in words."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, str):
        return value
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if kind == "effect":
        return "0.00" if abs(value) < 0.005 else f"{value:+.2f}".replace("-", "−")
    return {"count": f"{value:,}", "share": percent(value), "number": f"{value:.5g}"}.get(
        kind, str(value)
    )
