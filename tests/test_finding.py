"""Findings: a share never rounds to nothing or to all, and nouns go with their numbers."""

from __future__ import annotations

import pytest

from evergreen.finding import count, percent, span


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0, "0%"),
        (1, "100%"),
        (0.25, "25.0%"),
        (1e-9, "<0.1%"),
        (0.000999, "<0.1%"),
        (0.001, "0.1%"),
        (0.999, "99.9%"),
        (0.99999, ">99.9%"),
        (1.5, "150.0%"),
    ],
)
def test_percent(share: float, said: str) -> None:
    assert percent(share) == said


@pytest.mark.parametrize(("number", "said"), [(0, "0 rows"), (1, "1 row"), (1234, "1,234 rows")])
def test_count(number: int, said: str) -> None:
    assert count(number, "row") == said
    assert count(number, "batch", "batches").endswith("batch" if number == 1 else "batches")


@pytest.mark.parametrize(
    ("names", "said"), [([], "none"), (["auto"], "auto"), (["a", "b", "c"], "a to c")]
)
def test_span(names: list[str], said: str) -> None:
    assert span(names) == said
