"""What the tests of ingest have in common: a filled inbox and real rows."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from conftest import month
from inbox import MONTHS, few


@pytest.fixture
def filled(site: Any) -> Any:
    """An inbox with three small months."""
    site.deliver({name: few(name) for name in MONTHS})
    return site


@pytest.fixture
def rows() -> pl.DataFrame:
    """A few real rows, whose numbers read back from text as they were."""
    return month("2013-01").head(40)
