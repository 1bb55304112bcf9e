"""YOURS: what must hold of your own columns, label and features; add a test for each feature that is more than a column.

In here `from evergreen import dataset` is the project's own, whatever the other tests run on.
"""

from __future__ import annotations

import polars as pl
import pytest

from late_flights.dataset import dataset

ROWS = pl.DataFrame(schema=dataset.columns)  # add rows: pl.DataFrame({...}, schema=dataset.columns)


@pytest.mark.parametrize("name", dataset.features)
def test_every_feature_can_be_computed(name: str) -> None:
    found = ROWS.select(dataset.features[name].alias(name))
    assert found.schema[name] == pl.String() or found.schema[name].is_numeric() or found.schema[name] == pl.Boolean()


def test_no_feature_reads_what_is_known_later() -> None:
    read = {name for one in dataset.features.values() for name in one.meta.root_names()}
    assert read.isdisjoint(dataset.known_later)
