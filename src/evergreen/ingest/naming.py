"""Naming: the natural order of batches by name."""

from __future__ import annotations

import re

Place = tuple[tuple[str | int, ...], str]


def natural(name: str) -> Place:
    """Return a key to sort names by, in which digits count as the number they write.

    So 9 comes before 10, 2024-2 before 2024-10 and v1.9 before v1.10; 01 and 1 stand beside each
    other.
    """
    parts = re.split(r"([0-9]+)", name)  # text and digits in turn, so like is compared with like
    return tuple(int(part) if at % 2 else part for at, part in enumerate(parts)), name
