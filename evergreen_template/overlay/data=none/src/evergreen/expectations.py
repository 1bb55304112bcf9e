"""YOURS: what must hold of a batch, as Great Expectations.

Nothing is expected yet beyond what `dataset.py` declares. `evergreen adopt FILE --target COLUMN` writes this for your table;
tests/example/expectations.py says which kinds there are.
"""

from __future__ import annotations

from great_expectations.expectations.expectation import Expectation


def expectations(batch: str) -> list[Expectation]:
    """Return what must hold of the batch called `batch`."""
    return []
