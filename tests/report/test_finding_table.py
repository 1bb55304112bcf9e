"""Tables of findings: values in words, and a bar for the column that is drawn."""

from __future__ import annotations

import pytest

from evergreen.finding import Cell, Finding, Kind
from evergreen.report.finding_table import cells, class_of, show


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        (None, "number", "–"),
        (float("nan"), "share", "–"),
        (float("-inf"), "number", "−∞"),
        (-0.3, "effect", "−0.30"),
        (1234, "count", "1,234"),
        (0.25, "share", "25.0%"),
        ("ash", "text", "ash"),
    ],
)
def test_values_in_words(value: Cell, kind: Kind, words: str) -> None:
    assert show(value, kind) == words


def test_a_bar_is_as_long_as_its_value_beside_the_largest() -> None:
    finding = Finding(
        "t", "n", 1.0, "says.", "number", columns={"name": "text", "size": "number"},
        rows=(("a", 4.0), ("b", 1.0), ("c", 0.0)), drawn="size",
    )  # fmt: skip
    shown = [cells(finding, row) for row in finding.rows]
    assert [row[1].length for row in shown] == ["100.0", "25.0", ""]
    assert [row[0].drawn for row in shown] == [False] * 3
    assert class_of("number", True) == "drawn number"


@pytest.mark.parametrize(("by_chance", "kind"), [(0.1, "beyond"), (0.4, "within")])
def test_what_chance_explains_looks_otherwise(by_chance: float, kind: str) -> None:
    columns: dict[str, Kind] = {"size": "effect", "by chance": "effect"}
    finding = Finding(
        "t", "n", 1.0, "says.", columns=columns, rows=((0.5, by_chance),), drawn="size"
    )
    assert cells(finding, finding.rows[0])[0].kind == kind
