"""Sketch: written, read back, refused where it is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import month

from evergreen.errors import InputError
from evergreen.features.featurize import featurize
from evergreen.statistics.columns import Levels, Numbers
from evergreen.statistics.sketch import SAMPLE, Sketch, sketch
from late_flights.dataset import dataset

ROWS = 20_000


def real(name: str, rows: int = 8000, seed: int = 0) -> Sketch:
    features = featurize(dataset, month(name, rows), "binary")[0]
    return sketch(features.select("label", *dataset.features), features["event_time"], seed)


@pytest.mark.slow
def test_written_and_read_back(tmp_path: Path) -> None:
    batch, path, other = real("2013-05"), tmp_path / "a.npz", tmp_path / "b.npz"
    batch.write(path)
    read = Sketch.read(path)
    real("2013-05").write(other)
    assert path.read_bytes() == other.read_bytes()
    read.write(other)
    assert path.read_bytes() == other.read_bytes()
    assert path.stat().st_size < 600_000
    assert read.rows == batch.rows
    assert read.sample.equals(batch.sample)
    assert np.array_equal(read.blocks, batch.blocks)
    for name, column in batch.columns.items():
        found = read.columns[name]
        assert found.facts == column.facts
        if isinstance(column, Levels):
            assert found == column
        else:
            assert isinstance(found, Numbers)
            for part in ("points", "below", "upto"):
                assert np.array_equal(getattr(found, part), getattr(column, part))


@pytest.mark.parametrize(
    "columns", [{}, {"x": []}, {"x": [1.0]}, {"x": ["a"]}, {"a\x1f ü": [None, "é"]}]
)
def test_small_ones_are_written_too(columns: Any, tmp_path: Path) -> None:
    batch = sketch(pl.DataFrame(columns), None)
    batch.write(tmp_path / "a.npz")
    read = Sketch.read(tmp_path / "a.npz")
    assert list(read.columns) == list(batch.columns)
    assert read.sample.equals(batch.sample)


def test_size_of_eighteen_columns_that_do_not_pack(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    numbers = {f"n{at}": draw.normal(size=ROWS) for at in range(13)}
    levels = {
        f"c{at}": draw.choice([f"level {number}" for number in range(100)], ROWS) for at in range(5)
    }
    sketch(pl.DataFrame(numbers | levels), None).write(tmp_path / "a.npz")
    assert (tmp_path / "a.npz").stat().st_size < 600_000


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"no sketch at all"])
def test_what_is_no_sketch_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match="no sketch of a batch"):
        Sketch.read(tmp_path / "a.npz")


def test_a_file_with_objects_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", head=np.array([{"rows": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="no sketch of a batch"):
        Sketch.read(tmp_path / "a.npz")


def test_the_rows_kept_are_of_the_batch_and_of_the_seed() -> None:
    frame = pl.DataFrame({"x": np.arange(ROWS, dtype=np.float64), "day": np.arange(ROWS) // 100})
    kept, same, other = (sketch(frame, frame["day"], seed) for seed in (0, 0, 1))
    assert kept.sample.equals(same.sample)
    assert not kept.sample.equals(other.sample)
    assert kept.sample.height == kept.sample["x"].n_unique() == SAMPLE
    assert np.array_equal(kept.blocks, kept.sample["x"].to_numpy() // 100)
    assert sketch(frame[:10], None).sample["x"].to_list() == list(range(10))
