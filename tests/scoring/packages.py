"""Rows, encoders and packages of small models."""

from __future__ import annotations

import numpy as np
import polars as pl

from evergreen.features.encoder import Encoder
from evergreen.scoring.package import Learnt

LEVELS = ("amber", "blue", "coral", "délavé")
KEYS = np.array([2**64 - 1, 0, 7, 2**53 + 1], np.uint64)
LEARNT = Learnt(KEYS, "2013-02-28T23:59:00")


def encoder_of(tables):
    return Encoder(
        tables.task, tables.features, {"place": LEVELS}, tables.classes, ("2013-01", "2013-02")
    )


def rows_of(count=100, seed=5):
    """Rows as a caller has them: words, numbers, and nothing at all."""
    draw = np.random.default_rng(seed)
    numbers = {
        name: draw.normal(size=count).astype(np.float32) for name in ("first", "second", "noise")
    }
    places = draw.choice([*LEVELS, "never seen"], count).tolist()
    frame = pl.DataFrame({**numbers, "place": places, "not a feature": range(count)})
    gap = pl.Series(draw.random(count) < 0.2)
    return frame.with_columns(
        pl.when(~gap).then(pl.col(name)).alias(name) for name in ("second", "place")
    )


def names(folder):
    """The names of the files in a folder."""
    return sorted(path.name for path in folder.iterdir())
