"""Findings: a share never rounds to nothing or to all."""

from __future__ import annotations

import pytest

from evergreen.data.finding import percent


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
