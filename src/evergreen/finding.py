"""Finding: one number, what it means in a plain sentence, and the table behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Cell = str | int | float | None
Kind = Literal["text", "count", "share", "number", "effect"]  # effect: in standard deviations


@dataclass(frozen=True)
class Finding:
    """One number of kind `kind`, called `name`, and what it `says`.

    `value` is None where it cannot be judged. `bound`: the key in section `bias` of params.yaml
    that may stop the run by it, if any. `columns`: titles of the table and what stands in them;
    `drawn`: the column to draw as bars.
    """

    topic: str
    name: str
    value: float | None
    says: str
    kind: Kind = "share"
    bound: str = ""
    columns: dict[str, Kind] = field(default_factory=dict)
    rows: tuple[tuple[Cell, ...], ...] = ()
    drawn: str = ""


def count(number: int, singular: str, plural: str = "") -> str:
    """Return `number` with the right form of its noun."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def span(names: Sequence[str]) -> str:
    """Return the first and the last of names in order, as people say it."""
    if not names:
        return "none"
    return names[0] if names[0] == names[-1] else f"{names[0]} to {names[-1]}"


def percent(share: float) -> str:
    """Return a share as a percentage that says 0% or 100% only where it is exactly that."""
    if share in (0, 1):
        return f"{share:.0%}"
    return "<0.1%" if 0 < share < 0.001 else ">99.9%" if 0.999 < share < 1 else f"{share:.1%}"
