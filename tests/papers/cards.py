"""A card with a sentence in each section, for the tests of papers."""

from __future__ import annotations

from typing import Any

from evergreen.papers.card import SECTIONS, Card, Section, Table


def card_of(word: str = "x", **changed: Any) -> Card:
    """A card that says `word` wherever it can."""
    table = Table((word, "n"), ((word, "1.0"),))
    about = {
        "name": word,
        "version": "3",
        "verdict": word,
        "kind": "good",
        "figures": ((word, "0.7", word),),
        "sections": tuple(Section(name, (word,), (table,)) for name in SECTIONS),
    }
    return Card(**about | changed)
