"""Featurize: every row is accounted for, and its features depend on it alone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from preparing import MONTHS, flown, rows, start

from evergreen.errors import InputError
from evergreen.features.definition import Definition, LostError, Written
from evergreen.features.featurize import features_of, featurize, summarize
from evergreen.features.keys import KEY
from evergreen.features.prepare import prepare
from evergreen.features.split import LABEL, SLICE, TIME, Split, read_part
from evergreen.quality.held_batches import find_held
from late_flights import flights
from late_flights.dataset import dataset

pytestmark = pytest.mark.slow  # projects that are ingested and validated first


@pytest.mark.parametrize("name", ["2013-01", "2013-02", "2013-07"])
def test_dropped_rows_are_counted_by_reason(name: str) -> None:
    frame = flights.read(name)
    features, left_out = featurize(dataset, frame, "binary")
    never, lost = dataset.left_out
    assert left_out == {
        never: frame["dep_time"].null_count(),
        lost: frame.filter(pl.col("dep_time").is_not_null())["arr_delay"].null_count(),
    }
    assert features.height + sum(left_out.values()) == frame.height
    assert all(left_out.values())


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        (pl.col("temp") < 30, None),
        (pl.col("temp") < pl.lit(None, dtype=pl.Float64), 0),
        (pl.col("distance") < 0, 200),
    ],
    ids=["unknown counts as unfit", "all unknown", "none"],
)
def test_a_row_whose_fitness_is_unknown_is_left_out(condition: pl.Expr, left: int | None) -> None:
    declared = replace(dataset, left_out={"unfit": condition}, label=pl.col("distance") > 500)
    frame = (
        rows("2013-01")
        .head(200)
        .with_columns(pl.when(pl.int_range(pl.len()) % 4 > 0).then("temp").alias("temp"))
    )
    features, left_out = featurize(declared, frame, "binary")
    kept = frame.filter(~condition.fill_null(value=True)) if left is None else frame.head(left)
    assert (features.height, left_out) == (kept.height, {"unfit": 200 - kept.height})


def test_rows_without_a_label_are_counted_too() -> None:
    features, left_out = featurize(replace(dataset, left_out={}), rows("2013-01"), "binary")
    assert left_out == {"no label": rows("2013-01")["arr_delay"].null_count()}
    assert features[LABEL].null_count() == 0


def test_features_carry_key_time_label_and_values() -> None:
    frame = flown("2013-01")
    features, _ = featurize(dataset, frame, "binary")
    slices = [SLICE + name for name in dataset.slices]
    assert features.columns == [
        *(KEY + name for name in dataset.key),
        TIME,
        LABEL,
        *slices,
        *dataset.features,
    ]
    assert features[TIME].is_sorted()
    assert features.select(KEY + name for name in dataset.key).is_duplicated().sum() == 0
    assert features[LABEL].to_list() == [str(late).lower() for late in frame["arr_delay"] > 15]
    for name in dataset.features:
        assert features.schema[name] == (
            pl.String() if name in ("carrier", "origin", "dest") else pl.Float32()
        )


@pytest.mark.parametrize(
    ("task", "label", "dtype", "first"),
    [
        ("binary", pl.col("arr_delay") > 15, pl.String(), {"true", "false"}),
        ("binary", (pl.col("arr_delay") > 15).cast(pl.Int8), pl.String(), {"0", "1"}),
        ("binary", (pl.col("arr_delay") > 15).cast(pl.Float64), pl.String(), {"0", "1"}),
        ("multiclass", pl.col("origin"), pl.String(), {"EWR", "JFK", "LGA"}),
        ("regression", pl.col("arr_delay"), pl.Float64(), None),
    ],
    ids=["boolean", "integer", "whole float", "text", "number"],
)
def test_label_of_each_task(
    task: str, label: pl.Expr, dtype: pl.DataType, first: set[str] | None
) -> None:
    features, _ = featurize(replace(dataset, label=label), flown("2013-01"), task)
    assert features.schema[LABEL] == dtype
    if first is not None:
        assert set(features[LABEL]) == first
        assert summarize(dataset, features, {}).classes == dict(
            features[LABEL].value_counts().rows()
        )
    else:
        assert features[LABEL].to_list() == flown("2013-01")["arr_delay"].to_list()
        assert summarize(dataset, features, {}).classes == {}


@given(st.sets(st.integers(0, 149), min_size=1, max_size=40))
@settings(max_examples=25, deadline=None)
def test_the_features_of_a_row_depend_on_it_alone(places: set[int]) -> None:
    frame = rows("2013-01", 150).head(150)
    some = frame[sorted(places)]
    whole, _ = featurize(dataset, frame, "binary")
    part, _ = featurize(dataset, some, "binary")
    keys = [KEY + name for name in dataset.key]
    assert_frame_equal(part, whole.join(part.select(keys), on=keys, how="semi", nulls_equal=True))


@pytest.mark.parametrize("name", ["count", "rows"])
def test_a_category_may_have_any_name(name: str) -> None:
    declared = replace(dataset, features={name: pl.col("carrier")})
    features, _ = featurize(declared, flown("2013-01"), "binary")
    assert sum(summarize(declared, features, {}).kept.levels[name].values()) == features.height


DISTANCE = pl.col("distance")
MIXING = {  # values of a row that would be others if it came alone
    "mean over a group": DISTANCE.mean().over("carrier"),
    "size of a group": pl.len().over("carrier"),
    "mean": DISTANCE - DISTANCE.mean(),
    "rank": DISTANCE.rank(),
    "running sum": DISTANCE.cum_sum(),
    "row before": DISTANCE.shift(1),
    "row after": DISTANCE.shift(-1),
    "difference": DISTANCE.diff(),
    "moving mean": DISTANCE.rolling_mean(3),
    "number of rows": pl.lit(1.0) * pl.len(),
    "first of its kind": pl.col("carrier").is_first_distinct(),
    "first row": DISTANCE - DISTANCE.first(),
    "last row": DISTANCE - DISTANCE.last(),
    "largest": DISTANCE / DISTANCE.max(),
    "commonest": pl.col("dest") == pl.col("dest").mode().sort().first(),
    "lowest temperature": pl.col("temp") - pl.col("temp").min(),
    "above the median": DISTANCE - DISTANCE.median() > 0,
}
ROWWISE = {
    "column": DISTANCE,
    "sum": DISTANCE + pl.col("flight"),
    "ratio": DISTANCE / pl.col("sched_arr_time"),
    "mean of two columns": pl.mean_horizontal("temp", "dewp"),
    "filled": pl.col("wind_gust").fill_null(0.0),
    "not a number": pl.col("temp") * float("nan"),
    "choice": pl.when(DISTANCE > 1000).then(pl.lit("far")).otherwise(pl.lit("near")),
    "part of a text": pl.col("tailnum").str.slice(0, 2),
    "part of a time": pl.col(dataset.time).dt.month(),
    "constant": pl.lit(1.0),
    "nothing": pl.lit(None, dtype=pl.Float64),
}


@pytest.mark.parametrize("count", [60, 500])
@pytest.mark.parametrize("name", MIXING)
def test_a_feature_that_mixes_rows_is_refused(name: str, count: int) -> None:
    declared = replace(dataset, features={"distance": DISTANCE, "busy": MIXING[name]})
    with pytest.raises(
        InputError, match=r"feature 'busy' depends on other rows of the batch"
    ) as caught:
        featurize(declared, flown("2013-01", count), "binary")
    assert "use the row's own columns only" in str(caught.value)


@pytest.mark.parametrize("name", ROWWISE)
def test_a_feature_of_its_own_row_passes(name: str) -> None:
    frame = flown("2013-01")
    features, _ = featurize(replace(dataset, features={"own": ROWWISE[name]}), frame, "binary")
    assert features.height == frame.height
    assert features["own"].null_count() == frame.select(ROWWISE[name].is_null().sum()).item() * (
        frame.height if name == "nothing" else 1
    )


@pytest.mark.parametrize(
    "label",
    [pl.col("arr_delay") > pl.col("arr_delay").mean(), pl.col("arr_delay").rank() > 50],
    ids=["mean", "rank"],
)
def test_a_label_that_mixes_rows_is_refused(label: pl.Expr) -> None:
    with pytest.raises(InputError, match=r"label depends on other rows of the batch"):
        featurize(replace(dataset, label=label), flown("2013-01"), "binary")


def prepared(site: Any) -> pl.DataFrame:
    """The newest rows of three months, in an order of their own, and what they were made by."""
    split = start(site, MONTHS[:3]).split
    return read_part(site.project, split.holdout).sample(fraction=1, shuffle=True, seed=0)


def anew(site: Any, **sections: Any) -> None:
    """Prepare all that there is, as an edited dataset.py does."""
    shutil.rmtree(site.project.features)
    prepare(site.project, site.dataset, site.params(**sections), find_held)


def test_rows_are_given_the_features_of_then(site: Any) -> None:
    was, definition = prepared(site), Definition.of(dataset, "binary")
    assert features_of(site.project, site.dataset, was, definition, "binary") is was
    others = {
        name: expression for name, expression in dataset.features.items() if name != "distance"
    }
    site.declare(features=others | {"miles": pl.col("distance"), "temp": pl.col("temp") * 0})
    anew(site)
    now = read_part(site.project, Split.read(site.project.features / "split.json").holdout)
    now = now.sample(fraction=1, shuffle=True, seed=0)
    assert "distance" not in now.columns
    found = features_of(site.project, site.dataset, now, definition, "binary")
    assert_frame_equal(found, was, check_column_order=False)


def test_rows_are_given_the_label_and_the_key_of_then(site: Any) -> None:
    was, definition = prepared(site), Definition.of(dataset, "binary")
    site.declare(label=pl.col("arr_delay").cast(pl.Float64), key=())
    anew(site, task="regression")
    now = read_part(site.project, Split.read(site.project.features / "split.json").holdout)
    found = features_of(site.project, site.dataset, now, definition, "regression")
    assert_frame_equal(found, was, check_column_order=False, check_row_order=False)


def test_rows_whose_columns_are_gone_are_told(site: Any) -> None:
    now, definition = prepared(site), Definition.of(dataset, "binary")
    gone = {
        name: Written.of(pl.col("gone")) if name == "temp" else written
        for name, written in definition.features.items()
    }
    with pytest.raises(LostError, match="needs the column 'gone'"):
        features_of(site.project, site.dataset, now, replace(definition, features=gone), "binary")
    with pytest.raises(LostError, match="'gone' no longer exists: the rows that"):
        features_of(site.project, site.dataset, now, replace(definition, key=("gone",)), "binary")
