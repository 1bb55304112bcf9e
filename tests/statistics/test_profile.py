"""Profiles: sums and counts that say what the rows held, and add up over any split of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import month
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.errors import InputError
from evergreen.features import prepare as step
from evergreen.features.featurize import featurize
from evergreen.features.prepare import prepare
from evergreen.features.split import GROUP, SLICE
from evergreen.files import write_json
from evergreen.ingest.manifest import Manifest
from evergreen.project import Project
from evergreen.quality.held_batches import find_held
from evergreen.statistics.profile import Profile, Sums, profile
from late_flights.dataset import dataset

INF, NAN = float("inf"), float("nan")


def sums(values: list[float | None], dtype: Any = pl.Float32) -> Sums:
    """The sums of one column of numbers."""
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype, strict=False)})
    return profile(frame, pl.Series([0.0] * len(values)), {}).kept.numbers["x"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 2.0, 3.0], Sums(3, 0, 6, 14)),
        ([1.0, None, NAN, 3.0], Sums(2, 2, 4, 10)),
        ([1.0, INF, -INF], Sums(1, 0, 1, 1)),
        ([None, None], Sums(0, 2, 0, 0)),
        ([], Sums(0, 0, 0, 0)),
    ],
    ids=["plain", "missing", "infinite", "nothing known", "no row"],
)
def test_sums_of_a_number(values: list[float | None], expected: Sums) -> None:
    assert sums(values) == expected


@pytest.mark.parametrize("dtype", [pl.Int16, pl.Boolean, pl.Float64])
def test_any_number_is_summed(dtype: Any) -> None:
    assert sums([1, 0, None, 1], dtype) == Sums(3, 1, 2, 2)


@pytest.mark.parametrize(
    ("values", "mean", "variance"),
    [
        ([1.0, 2.0, 4.0], 7 / 3, 7 / 3),
        ([5.0], 5, NAN),
        ([], NAN, NAN),
        ([0.1] * 1000, np.float32(0.1), 0.0),
    ],
    ids=["plain", "one value", "no value", "constant"],
)
def test_mean_and_variance(values: list[float | None], mean: float, variance: float) -> None:
    found = sums(values)
    assert (found.mean, found.variance) == pytest.approx((mean, variance), nan_ok=True)


@pytest.mark.slow
@given(st.floats(-1e6, 1e6, width=32), st.integers(2, 3000))
def test_a_constant_does_not_vary(value: float, count: int) -> None:
    assert sums([value] * count).variance == 0


@pytest.mark.slow
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=40))
def test_moments_are_those_of_the_values(values: list[float]) -> None:
    found = sums(list(values))
    assert found.mean == pytest.approx(np.mean(values), abs=1e-6)
    assert found.variance == pytest.approx(np.var(values, ddof=1), rel=1e-6, abs=1e-4)


def test_levels_and_classes_are_counted_and_missing_ones_are_not() -> None:
    frame = pl.DataFrame({"place": ["b", "a", None, "b"], "size": [1.0, 2.0, 3.0, 4.0]})
    found = profile(frame, pl.Series(["no", "yes", "no", "no"]), {})
    assert found.kept.rows == 4
    assert found.kept.levels == {"place": {"a": 1, "b": 2}}
    assert list(found.kept.numbers) == ["size"]
    assert (found.classes, found.label) == ({"no": 3, "yes": 1}, None)


def test_a_label_that_is_a_number_is_summed() -> None:
    found = profile(pl.DataFrame({"x": [1.0, 2.0]}), pl.Series([3.0, 4.0]), {})
    assert (found.classes, found.label) == ({}, Sums(2, 0, 7, 25))


def test_rows_left_out_are_described_by_reason() -> None:
    frame = pl.DataFrame({"place": ["a", "b"], "x": [1.0, 2.0]})
    left_out = {"gone": frame.head(1), "lost": frame.clear(), "bare": frame.drop("place", "x")}
    found = profile(frame, pl.Series(["no", "yes"]), left_out).left_out
    assert {why: sample.rows for why, sample in found.items()} == {"gone": 1, "lost": 0, "bare": 2}
    assert found["gone"].numbers == {"x": Sums(1, 0, 1, 1)}
    assert found["gone"].levels == {"place": {"a": 1}}
    assert found["lost"].levels == {"place": {}}
    assert found["bare"].numbers == found["bare"].levels == {}


def test_missing_values_are_counted_by_level_of_each_group() -> None:
    frame = pl.DataFrame(
        {
            "team": ["a", "a", "b", None],
            "x": [None, NAN, 1.0, None],
            "place": ["p", None, "q", "r"],
            "whole": [1.0, 2.0, 3.0, 4.0],
        }
    )
    found = profile(frame, pl.Series(["no"] * 4), {}, ["team"])
    assert found.missing == {"team": {"a": {"x": 2, "place": 1}, "b": {}}}
    assert found.kept.levels["team"] == {"a": 2, "b": 1}


@pytest.mark.parametrize("groups", [(), ("team",)])
def test_nothing_missing(groups: tuple[str, ...]) -> None:
    found = profile(
        pl.DataFrame({"team": ["a", "b"], "x": [1.0, 2.0]}), pl.Series(["no"] * 2), {}, groups
    )
    assert found.missing == {name: {} for name in groups}


# --- profiles add up

ROWS = st.lists(
    st.tuples(
        st.none() | st.floats(-1e3, 1e3, width=32) | st.just(NAN),
        st.none() | st.sampled_from(["a", "b", "é"]),
        st.sampled_from(["no", "yes"]),
        st.sampled_from(["", "gone", "lost"]),
    ),
    min_size=1,
    max_size=30,
)


def profile_of(rows: list[tuple[float | None, str | None, str, str]], task: str) -> Profile:
    """The profile of drawn rows; the last value says why a row is left out, if it is."""
    schema = {"x": pl.Float32(), "place": pl.String(), "label": pl.String(), "why": pl.String()}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    kept = frame.filter(pl.col("why") == "")
    left_out = {
        why: frame.filter(pl.col("why") == why).select("x", "place")
        for why in {*frame["why"]} - {""}
    }
    label = kept["label"] if task == "binary" else kept["label"].str.len_chars().cast(pl.Float64)
    return profile(kept.select("x", "place"), label, left_out, ["place"])


def flat(content: Any, path: str = "") -> dict[str, float]:
    """Every number of nested values by its path, without zeros: no level, no rows."""
    if isinstance(content, dict):
        found: dict[str, float] = {}
        for key, value in content.items():
            found |= flat(value, f"{path}/{key}")
        return found
    return {path: content} if content else {}


@pytest.mark.slow
@given(rows=ROWS, cut=st.integers(0, 30), task=st.sampled_from(["binary", "regression"]))
def test_halves_add_up_to_the_whole(rows: list[Any], cut: int, task: str) -> None:
    whole = profile_of(rows, task)
    merged = Profile.of(asdict(profile_of(rows[:cut], task)), asdict(profile_of(rows[cut:], task)))
    assert flat(asdict(merged)) == pytest.approx(flat(asdict(whole)), rel=1e-9, abs=1e-6)


@pytest.mark.slow
@given(rows=st.lists(ROWS, min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_counts_are_the_same_in_any_order(rows: list[list[Any]]) -> None:
    parts = [asdict(profile_of(part, "binary")) for part in rows]
    forth, back = Profile.of(*parts), Profile.of(*reversed(parts))
    assert flat(asdict(forth)) == pytest.approx(flat(asdict(back)), rel=1e-9, abs=1e-6)


def test_profiles_survive_their_files(tmp_path: Path) -> None:
    parts = [
        profile_of([(1.5, "a", "no", ""), (None, None, "yes", why)], "binary")
        for why in ("gone", "lost")
    ]
    files = [tmp_path / f"{place}.json" for place in range(2)]
    for file, part in zip(files, parts, strict=True):
        write_json(file, asdict(part))
    assert Profile.read(files[:1]) == parts[0]
    assert Profile.read(files) == Profile.of(*map(asdict, parts))
    assert {why: sample.rows for why, sample in Profile.read(files).left_out.items()} == {
        "gone": 1,
        "lost": 1,
    }


# --- the profile of a batch that was prepared


def test_every_valid_row_of_a_batch_is_in_its_profile(built: Any) -> None:
    done = Manifest(built.project.features)
    for name in done.entries:
        frame = month(name)
        found = Profile.read([done.file(name, ".json")])
        assert (
            found.kept.rows + sum(sample.rows for sample in found.left_out.values()) == frame.height
        )
        levels = Counter(found.kept.levels["origin"])
        for sample in found.left_out.values():
            levels.update(sample.levels["origin"])
        assert levels == Counter(frame["origin"].to_list())
        temps = [
            found.kept.numbers["temp"],
            *(sample.numbers["temp"] for sample in found.left_out.values()),
        ]
        assert sum(sums.sum for sums in temps) == pytest.approx(
            frame["temp"].cast(pl.Float32).sum(), rel=1e-6
        )
        assert sum(sums.missing for sums in temps) == frame["temp"].null_count()


@pytest.mark.slow
def test_a_changed_helper_is_a_reason_to_prepare_anew(
    site: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    helper = tmp_path / "helper.py"
    helper.write_text("RATE = 1\n")
    monkeypatch.setattr(Project, "code_of", lambda *_: [helper])  # as if dataset.py imported it
    site.accept({"2013-01": month("2013-01"), "2013-02": month("2013-02")})
    assert step.stale(site.project, site.params()) == ["2013-01", "2013-02"]
    prepare(site.project, site.dataset, site.params(), find_held)
    assert step.stale(site.project, site.params()) == []
    helper.write_text("RATE = 2\n")
    assert step.stale(site.project, site.params()) == ["2013-01", "2013-02"]
    assert prepare(site.project, site.dataset, site.params(), find_held).new == (
        "2013-01",
        "2013-02",
    )


def test_left_out_rows_change_nothing_of_the_features(built: Any) -> None:
    for name in Manifest(built.project.features).entries:
        features, _ = featurize(dataset, month(name), "binary")
        assert features.equals(pl.read_parquet(built.project.features / f"{name}.parquet"))


@pytest.mark.slow
def test_slices_and_groups_are_profiled(site: Any) -> None:
    haul = pl.when(pl.col("distance") > 1000).then(pl.lit("long"))
    site.declare(slices={"haul": haul}, groups={"origin": pl.col("origin")})
    site.accept({name: month(name) for name in ("2013-01", "2013-02")})
    prepare(site.project, site.dataset, site.params(), find_held)
    found = Profile.read([site.project.features / "2013-01.json"])
    assert {*found.missing} == {SLICE + "haul", GROUP + "origin"}
    assert list(found.kept.levels[SLICE + "haul"]) == ["long"]
    gusts = found.missing[GROUP + "origin"]
    assert (
        sum(level["wind_gust"] for level in gusts.values())
        == found.kept.numbers["wind_gust"].missing
    )
    assert all(GROUP + "origin" in sample.levels for sample in found.left_out.values())
    encoder = (site.project.features / "encoder.json").read_text()
    assert SLICE not in encoder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("feature", "known"),
    [(pl.col("tailnum").is_null(), True), (pl.col("tailnum").str.to_integer(), False)],
)
def test_a_feature_that_left_out_rows_do_not_have(site: Any, feature: pl.Expr, known: bool) -> None:
    """Rows may be left out just because a feature cannot be computed for them."""
    numbered = (
        pl.when(pl.col("dep_time").is_null())
        .then(pl.lit("none"))
        .otherwise(pl.lit("12"))
        .alias("tailnum")
    )
    site.declare(features={**dataset.features, "tail": feature})
    site.accept({name: month(name).with_columns(numbered) for name in ("2013-01", "2013-02")})
    prepare(site.project, site.dataset, site.params(), find_held)
    found = Profile.read([site.project.features / "2013-02.json"])
    never, lost = (found.left_out[why] for why in dataset.left_out)
    assert never.rows > 0
    assert ("tail" in never.numbers) is known
    assert "tail" in lost.numbers
    assert {*never.numbers} | {"tail"} == {*found.kept.numbers}
    assert {*never.levels} == {*found.kept.levels}


def test_a_feature_that_kept_rows_do_not_have_is_refused(site: Any) -> None:
    site.declare(features={**dataset.features, "tail": pl.col("tailnum").str.to_integer()})
    site.accept({name: month(name) for name in ("2013-01", "2013-02")})
    with pytest.raises(InputError, match="features cannot be computed"):
        prepare(site.project, site.dataset, site.params(), find_held)
