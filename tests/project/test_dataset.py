"""YOURS: what must hold of your own columns, label and features; add a test for each feature that is more than a column.

In here `from evergreen import dataset` is the project's own, whatever the other tests run on.
"""

from __future__ import annotations

import polars as pl
import pytest

from evergreen import dataset

ROWS = pl.DataFrame(schema=dataset.COLUMNS)  # add rows: pl.DataFrame({...}, schema=dataset.COLUMNS)


@pytest.mark.parametrize("name", dataset.FEATURES)
def test_every_feature_can_be_computed(name: str) -> None:
    found = ROWS.select(dataset.FEATURES[name].alias(name))
    assert found.schema[name] == pl.String() or found.schema[name].is_numeric() or found.schema[name] == pl.Boolean()


def test_no_feature_reads_what_is_known_later() -> None:
    read = {name for one in dataset.FEATURES.values() for name in one.meta.root_names()}
    assert read.isdisjoint(dataset.KNOWN_LATER)
