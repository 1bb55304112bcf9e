from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import month
from scipy.stats import chi2

from evergreen.errors import InputError
from evergreen.features.prepare import featurize
from evergreen.statistics.sketch import (
    LOOKED_AT,
    POINTS,
    SAMPLE,
    Levels,
    Numbers,
    Sketch,
    design_effect,
    pool,
    sketch,
)
from late_flights.dataset import dataset

ROWS = 20_000
DRAW = np.random.default_rng(0)
COLUMNS: dict[str, Any] = {
    "normal": DRAW.normal(size=ROWS),
    "float32": DRAW.exponential(size=ROWS).astype(np.float32),
    "rain": np.where(DRAW.random(ROWS) < 0.9, 0.0, DRAW.gamma(0.5, size=ROWS)),
    "weekday": DRAW.integers(1, 8, ROWS),
    "few": np.array([-1.5, 0.0, 1e300])[DRAW.integers(0, 3, ROWS)],
    "constant": np.full(ROWS, 3.5),
    "huge": np.array([-1.7e308, 0.0, 1.7e308])[DRAW.integers(0, 3, ROWS)] * DRAW.random(ROWS),
    "tiny": DRAW.integers(0, 5000, ROWS) * 5e-324,
    "large ids": 2**53 - DRAW.integers(0, 5000, ROWS),
}


def of(values: Any, days: Any = None, name: str = "x") -> Any:
    frame = pl.DataFrame({name: values})
    return sketch(frame, None if days is None else pl.Series(days)).columns[name]


@pytest.mark.parametrize("name", COLUMNS)
def test_counts_are_those_of_the_rows(name: str) -> None:
    values = COLUMNS[name]
    found = of(values)
    assert isinstance(found, Numbers)
    assert found.points[0] == values.min()
    assert found.points[-1] == values.max()
    for point, below, upto in zip(found.points, found.below, found.upto, strict=True):
        assert (below, upto) == ((values < point).sum(), (values <= point).sum())
    places = np.concatenate(
        [values[:200].astype(float), [-np.inf, np.inf], np.nextafter(found.points[:50], -np.inf)]
    )
    true = np.array([(values <= one).sum() for one in places])
    assert np.abs(found.count_upto(places) - true).max() <= ROWS / (POINTS - 1)
    assert len(found.points) <= POINTS
    if len(np.unique(values)) <= POINTS:
        assert np.array_equal(found.points, np.unique(values))
        assert np.array_equal(found.count_upto(places), true)


@pytest.mark.parametrize(
    ("values", "known", "missing", "infinite"),
    [
        ([1.0, None, float("nan"), 2.0], 2, 2, 0),
        ([float("inf"), float("-inf"), 1.0, None], 1, 1, 2),
        ([None, float("nan")], 0, 2, 0),
        ([], 0, 0, 0),
        ([True, False, None], 2, 1, 0),
        ([5, None], 1, 1, 0),
        ([float("inf")], 0, 0, 1),
    ],
)
def test_missing_and_infinite_are_counted_apart(
    values: list[Any], known: int, missing: int, infinite: int
) -> None:
    found = of(pl.Series(values, dtype=None if values and values[0] is not None else pl.Float64))
    assert (found.values, found.rest.missing, found.rest.infinite) == (known, missing, infinite)
    assert len(found.cuts(10)) == 0 or known


def test_categories_are_counted_by_level() -> None:
    found = of(["b", "a", None, "b", ""])
    assert found == Levels({"": 1, "a": 1, "b": 2}, found.rest)
    assert found.rest.missing == 1
    assert of(pl.Series([None, None], dtype=pl.String)).counts == {}


@pytest.mark.parametrize(
    ("name", "cells"),
    [("normal", 10), ("weekday", 7), ("constant", 1), ("rain", 10), ("few", 3), ("float32", 10)],
)
def test_cells_hold_equal_rows_unless_a_value_fills_one(name: str, cells: int) -> None:
    found = of(COLUMNS[name])
    edges = found.cuts(10)
    rows = np.diff(found.count_upto(edges), prepend=0, append=found.values)
    assert (rows > 0).sum() == cells
    if name in ("normal", "float32"):
        assert np.abs(rows / ROWS - 0.1).max() < 2 / POINTS
    counted = np.unique(np.searchsorted(edges, COLUMNS[name], side="left"), return_counts=True)[1]
    assert np.abs(np.sort(rows[rows > 0]) - np.sort(counted)).max() <= ROWS / POINTS


def test_design_effect_against_the_variance_over_many_draws() -> None:
    """Days have their own mean; the effect is the ratio of the variances of the shares, as simulated."""
    draw, cut, shares, effects = np.random.default_rng(1), np.array([-1.0, 0.0, 1.0]), [], []
    day = np.repeat(np.arange(60), 50)
    for _ in range(800):
        values = np.repeat(draw.normal(scale=0.5, size=60), 50) + draw.normal(
            scale=0.75**0.5, size=3000
        )
        cells = np.searchsorted(cut, values).astype(np.uint8)
        shares.append(np.bincount(cells, minlength=4) / 3000)
        effects.append(design_effect(cells, day))
    mean = np.mean(shares, axis=0)
    true = (np.var(shares, axis=0) / mean).sum() * 3000 / 3
    assert np.mean(effects) == pytest.approx(true, rel=0.15)
    assert true > 4


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        (DRAW.normal(size=ROWS), 1.0, 1.4),
        (np.repeat(DRAW.normal(size=40), ROWS // 40), ROWS / 40 * 0.9, ROWS / 40 * 1.2),
        (
            np.repeat(DRAW.permutation(["a", "b"] * 20), ROWS // 40),
            ROWS / 40 * 0.9,
            ROWS / 40 * 1.2,
        ),
        (DRAW.choice(["a", "b", "c"], ROWS), 1.0, 1.4),
        (np.full(ROWS, 1.0), 1.0, 1.0),
        (np.where(np.arange(ROWS) < 9 * ROWS / 10, 1.0, np.nan), 1.0, 1.0),
    ],
)
def test_rows_that_are_alike_in_a_day_are_noticed(values: Any, low: float, high: float) -> None:
    days = np.repeat(np.arange(40), ROWS // 40)
    assert low <= of(values, days).rest.alike <= high
    assert of(values).rest.alike == 1.0
    assert of(values, days // 5).rest.alike == 1.0, "eight days are too few to say"
    if np.isnan(values[-1]) if values.dtype.kind == "f" else False:
        assert of(values, days).rest.alike_missing > 100


@pytest.mark.parametrize("kind", ["number", "category", "missing"])
def test_of_many_rows_some_say_how_alike_a_day_is(kind: str) -> None:
    """A fifth of the rows says what all would, well within the luck of 30 days (a quarter); free rows still count."""
    draw, rows = np.random.default_rng(2), 5 * LOOKED_AT
    days = np.sort(draw.integers(0, 30, rows))
    own = draw.normal(size=30)[days]
    for weight in (0.0, 0.3):
        values = weight * own + draw.normal(size=rows)
        cells = values > 0.5
        exact = design_effect(cells.astype(np.uint8), days)
        column: Any = {
            "number": cells.astype(float),
            "category": np.where(cells, "a", "b"),
            "missing": np.where(cells, np.nan, values),
        }[kind]
        rest = of(column, days).rest
        found = rest.alike_missing if kind == "missing" else rest.alike
        # A variance between 30 days that there is none of
        luck = 1 + 5 * (chi2.ppf(0.999, 29) / 29 - 1)
        assert 1.0 <= found <= luck if not weight else found == pytest.approx(exact, rel=0.15)
        assert not weight or exact > 50


def test_times_count_as_days_and_a_row_may_have_none() -> None:
    times = pl.Series(
        pl.datetime_range(pl.datetime(2013, 1, 1), pl.datetime(2013, 1, 30, 23), "1h", eager=True)
    )
    values = times.dt.day().cast(pl.Float64).to_list()
    effect = of(values, times).rest.alike
    assert effect == of(values, times.dt.date()).rest.alike
    assert effect > 20
    assert of(values, pl.Series([None, *times[1:]], dtype=times.dtype)).rest.alike > 20
    with pytest.raises(InputError, match="3 days for 720 rows"):
        of(values, times[:3])


def real(name: str, rows: int = 8000, seed: int = 0) -> Sketch:
    features = featurize(dataset, month(name, rows), "binary")[0]
    return sketch(features.select("label", *dataset.features), features["event_time"], seed)


def test_written_and_read_back(tmp_path: Path) -> None:
    one, path, other = real("2013-05"), tmp_path / "a.npz", tmp_path / "b.npz"
    one.write(path)
    read = Sketch.read(path)
    real("2013-05").write(other)
    assert path.read_bytes() == other.read_bytes()
    read.write(other)
    assert path.read_bytes() == other.read_bytes()
    assert path.stat().st_size < 600_000
    assert read.rows == one.rows
    assert read.sample.equals(one.sample)
    assert np.array_equal(read.blocks, one.blocks)
    for name, column in one.columns.items():
        found = read.columns[name]
        assert found.rest == column.rest
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
    one = sketch(pl.DataFrame(columns), None)
    one.write(tmp_path / "a.npz")
    read = Sketch.read(tmp_path / "a.npz")
    assert list(read.columns) == list(one.columns)
    assert read.sample.equals(one.sample)


def test_size_of_eighteen_columns_that_do_not_pack(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    numbers = {f"n{at}": draw.normal(size=ROWS) for at in range(13)}
    levels = {
        f"c{at}": draw.choice([f"level {one}" for one in range(100)], ROWS) for at in range(5)
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
    one, same, other = (sketch(frame, frame["day"], seed) for seed in (0, 0, 1))
    assert one.sample.equals(same.sample)
    assert not one.sample.equals(other.sample)
    assert one.sample.height == one.sample["x"].n_unique() == SAMPLE
    assert np.array_equal(one.blocks, one.sample["x"].to_numpy() // 100)
    assert sketch(frame[:10], None).sample["x"].to_list() == list(range(10))


def test_a_pool_is_the_sketch_of_all_rows() -> None:
    months = ("2013-01", "2013-06", "2013-09")
    frames = [
        featurize(dataset, month(name, 6000), "binary")[0].select(*dataset.features)
        for name in months
    ]
    found, whole = pool([sketch(one, None) for one in frames]), sketch(pl.concat(frames), None)
    assert found.rows == whole.rows
    assert abs(len(found.blocks) - SAMPLE) <= len(months)
    for name, column in whole.columns.items():
        pooled = found.columns[name]
        assert pooled.rest.missing == column.rest.missing
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
    parts = [sketch(pl.DataFrame({"x": one}), pl.Series(days)) for one in (alike, free)]
    effects = [one.columns["x"].rest.alike for one in parts]
    found = pool([*parts, parts[1]])
    assert found.columns["x"].rest.alike == pytest.approx((effects[0] + 2 * effects[1]) / 3)
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
