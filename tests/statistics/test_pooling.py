"""Pooling: a pool is the sketch of all rows, and batches weigh as their rows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from conftest import month

from evergreen.errors import InputError
from evergreen.features.featurize import featurize
from evergreen.statistics.columns import POINTS, Levels, Numbers
from evergreen.statistics.pooling import pool
from evergreen.statistics.sketch import SAMPLE, sketch
from late_flights.dataset import dataset


@pytest.mark.slow
def test_a_pool_is_the_sketch_of_all_rows() -> None:
    months = ("2013-01", "2013-06", "2013-09")
    frames = [
        featurize(dataset, month(name, 6000), "binary")[0].select(*dataset.features)
        for name in months
    ]
    found, whole = pool([sketch(frame, None) for frame in frames]), sketch(pl.concat(frames), None)
    assert found.rows == whole.rows
    assert abs(len(found.blocks) - SAMPLE) <= len(months)
    for name, column in whole.columns.items():
        pooled = found.columns[name]
        assert pooled.facts.missing == column.facts.missing
        if isinstance(column, Levels):
            assert pooled == column
            continue
        assert isinstance(pooled, Numbers)
        assert pooled.values == pytest.approx(column.values)
        error = np.abs(pooled.count_upto(column.points) - column.upto).max() / column.values
        assert error < 2 / POINTS
        assert (pooled.points[0], pooled.points[-1]) == (column.points[0], column.points[-1])


def test_batches_weigh_as_their_rows() -> None:
    draw = np.random.default_rng(5)
    days = np.repeat(np.arange(20), 500)
    alike, free = np.repeat(draw.normal(size=20), 500), draw.normal(size=10_000)
    parts = [sketch(pl.DataFrame({"x": values}), pl.Series(days)) for values in (alike, free)]
    effects = [part.columns["x"].facts.design_effect for part in parts]
    found = pool([*parts, parts[1]])
    assert found.columns["x"].facts.design_effect == pytest.approx(
        (effects[0] + 2 * effects[1]) / 3
    )
    assert len(np.unique(found.blocks)) == 60
    assert pool(parts[:1]) is parts[0]


def test_what_cannot_be_pooled() -> None:
    number, text = (
        sketch(pl.DataFrame({"x": [1.0]}), None),
        sketch(pl.DataFrame({"x": ["a"]}), None),
    )
    with pytest.raises(InputError, match="'x' is a number in one batch"):
        pool([number, text])
    with pytest.raises(InputError, match="at least"):
        pool([])
    only = pool([number, sketch(pl.DataFrame({"x": [2.0], "y": [1.0]}), None)])
    assert list(only.columns) == ["x"]
    empty = sketch(pl.DataFrame({"x": pl.Series([], dtype=pl.Float64)}), None)
    assert pool([empty, empty]).columns["x"].values == 0
    assert pool([empty, number]).columns["x"].values == 1
