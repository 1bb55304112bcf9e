"""YOURS: what must hold of a batch, as Great Expectations.

Nothing is expected yet beyond what `dataset.py` declares; `evergreen adopt FILE --target COLUMN`
writes this for your table. Three kinds of rules are told apart by what they are: about rows, a
share of rows (`mostly`), or the batch.
"""

from __future__ import annotations

from great_expectations.expectations.expectation import Expectation


def expectations(batch: str) -> list[Expectation]:
    """Return what must hold of the batch called `batch`."""
    return []
