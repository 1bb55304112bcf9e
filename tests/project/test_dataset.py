"""YOURS: what must hold of columns, label and features; add tests of features beyond a column."""

from __future__ import annotations

import polars as pl
import pytest

from late_flights.dataset import dataset

ROWS = pl.DataFrame(schema=dataset.columns)  # add rows: pl.DataFrame({...}, schema=dataset.columns)


@pytest.mark.parametrize("name", dataset.features)
def test_every_feature_can_be_computed(name: str) -> None:
    dtype = ROWS.select(dataset.features[name].alias(name)).dtypes[0]
    assert dtype.is_numeric() or dtype in (pl.String, pl.Boolean)


def test_label_slices_and_groups_can_be_computed() -> None:
    expressions = {**dataset.slices, **dataset.groups, "label": dataset.label}
    assert ROWS.select(**expressions).columns == [*expressions]
