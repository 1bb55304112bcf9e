"""Prepare: every row is accounted for, history is never made twice, and nothing of the future trains."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import month, own_package, settings_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from evergreen.errors import InputError
from evergreen.features.definition import Definition, LostError, Written
from evergreen.features.encoder import ENCODER, FIRST, LIVE_ENCODER, OTHER, Encoder
from evergreen.features.keys import KEY
from evergreen.features.prepare import (
    Prepared,
    features_of,
    featurize,
    prepare,
    split_rows,
    summarize,
)
from evergreen.features.split import LABEL, ROLES, SLICE, TIME, Split, read_part
from evergreen.ingest.manifest import Manifest, when
from evergreen.project import Project
from evergreen.quality.held_batches import find_held
from evergreen.statistics.profile import Profile
from late_flights import flights
from late_flights.dataset import dataset

pytestmark = pytest.mark.slow  # projects that are ingested and validated first
MONTHS = [f"2013-{number:02}" for number in range(1, 9)]
START = datetime.fromisoformat("2013-01-01")


def rows(name: str, count: int = 200) -> pl.DataFrame:
    """Some rows of a real month, over all its days."""
    frame = month(name)
    return frame.gather_every(frame.height // count)


def flown(name: str, count: int = 200) -> pl.DataFrame:
    """Such rows by time, none of them left out."""
    return (
        rows(name, count)
        .filter(pl.col("arr_delay").is_not_null())
        .sort(dataset.time, maintain_order=True)
    )


def start(site: Any, names: list[str], **sections: Any) -> Prepared:
    """Prepare these months."""
    site.accept({name: rows(name) for name in names})
    return prepare(site.project, site.dataset, site.params(**sections), find_held)


def encoder_of(site: Any, name: str = ENCODER) -> Encoder:
    return Encoder.read(site.project.features / name)


def refusal(site: Any, *parts: str, **sections: Any) -> str:
    """What the InputError of a preparation says; it must hold all `parts`."""
    with pytest.raises(InputError) as caught:
        prepare(site.project, site.dataset, site.params(**sections), find_held)
    said = str(caught.value)
    assert [part for part in parts if part not in said] == [], said
    return said


# --- rows and features
# ------------------------------------------------------------------------------------------------


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


def test_counts_of_used_batches_add_up(site: Any) -> None:
    names = MONTHS[:4]
    found = start(site, names, split={"train_batches": 1})
    used = [rows(name) for name in names[1:]]
    assert found.rows + sum(found.left_out.values()) == sum(frame.height for frame in used)
    assert found.left_out[next(iter(dataset.left_out))] == sum(
        frame["dep_time"].null_count() for frame in used
    )


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


# --- only what is new
# -------------------------------------------------------------------------------------------------


def test_prepared_project(built: Any) -> None:
    done = Manifest(built.project.features)
    assert sorted(done.entries) == ["2013-01", "2013-02"]
    assert done.altered() == []
    for name in done.entries:
        features, left_out = featurize(dataset, month(name), "binary")
        assert_frame_equal(pl.read_parquet(done.file(name)), features)
        profile = Profile.read([done.file(name, ".json")])
        assert profile.kept == summarize(dataset, features, {}).kept
        assert {why: one.rows for why, one in profile.left_out.items()} == left_out


def test_later_batches_leave_the_files_of_earlier_ones_alone(
    site: Any, snapshot: Callable[..., Any]
) -> None:
    start(site, MONTHS[:3])
    for count in (4, 5):
        before = snapshot(site.project.features)
        assert start(site, MONTHS[:count]).new == (MONTHS[count - 1],)
        after = snapshot(site.project.features)
        changed = {Path(path).name for path in after if before.get(path) != after[path]}
        name = MONTHS[count - 1]
        own = {f"{name}.parquet", f"{name}.json", f"{name}.npz"}
        assert changed - {"held.json"} == own | {
            "manifest.json",
            "split.json",
            ENCODER,
            LIVE_ENCODER,
        }


def test_features_are_the_same_bytes_in_any_company(site: Any, tmp_path: Path) -> None:
    start(site, MONTHS[:4])
    alone = type(site)(settings_of(tmp_path / "alone"), site.inbox)
    start(alone, MONTHS[1:2])
    for suffix in (".parquet", ".json"):
        ours, theirs = (one.project.features / f"2013-02{suffix}" for one in (site, alone))
        assert ours.read_bytes() == theirs.read_bytes()


def test_again_makes_nothing_and_says_the_same(built: Any, snapshot: Callable[..., Any]) -> None:
    before = {path: content for path, (content, _) in snapshot(built.project.features).items()}
    first = prepare(built.project, built.dataset, built.params(), find_held)
    again = prepare(built.project, built.dataset, built.params(), find_held, check=True)
    assert first == again
    assert again.new == ()
    assert {
        path: content for path, (content, _) in snapshot(built.project.features).items()
    } == before


def test_only_a_replaced_batch_is_made_anew(site: Any) -> None:
    start(site, MONTHS[:4])
    site.accept({"2013-02": rows("2013-02").head(150)})
    assert prepare(site.project, site.dataset, site.params(), find_held).new == ("2013-02",)


@pytest.mark.parametrize(
    ("sections", "new"),
    [
        ({"prepare": {"min_level_rows": 30}}, ()),
        ({"split": {"train_batches": 1}}, ()),
        ({"train": {"max_depth": 3}}, ()),
        ({"task": "multiclass"}, tuple(MONTHS[:3])),
    ],
    ids=["rare levels", "window", "training", "task"],
)
def test_what_a_changed_parameter_makes_anew(
    site: Any, sections: dict[str, Any], new: tuple[str, ...]
) -> None:
    start(site, MONTHS[:3])
    assert prepare(site.project, site.dataset, site.params(**sections), find_held).new == new


@pytest.mark.parametrize("suffix", [".parquet", ".json"])
def test_altered_file_is_made_anew_when_checked(site: Any, suffix: str) -> None:
    start(site, MONTHS[:3])
    path = site.project.features / f"2013-02{suffix}"
    before = path.read_bytes()
    path.write_bytes(b"changed")
    assert prepare(site.project, site.dataset, site.params(), find_held, check=True).new == (
        "2013-02",
    )
    assert path.read_bytes() == before


def test_nothing_to_prepare_is_said(site: Any) -> None:
    refusal(site, "batch")


def test_two_projects_of_one_process_are_prepared_each_by_its_own(
    site: Any, installed: Callable[[Project], Project], tmp_path: Path
) -> None:
    number = pl.int_range(200, eager=True)
    for name, column in (("prices_prepared", "price"), ("rents_prepared", "rent")):
        project = installed(own_package(tmp_path / name, name, column))
        own = type(site)(project, site.inbox, project.dataset)
        (own.project.validated).mkdir(parents=True)
        done, rows = (
            Manifest(project.validated),
            pl.DataFrame({column: number % 10 * 1.0, "sold": number % 3 == 0}),
        )
        rows.write_parquet(done.file("a"))
        done.record("a", done.file("a"), stamp="a", rows=200, **when(pl.Series([START, START])))
        found = prepare(project, project.dataset, own.params(), find_held)
        assert (found.new, found.left_out) == (("a",), {})
        features = pl.read_parquet(project.features / "a.parquet")
        expected, _ = featurize(project.dataset, rows, "binary", START)
        assert_frame_equal(features, expected)
        assert features["cheap"].sum() == 100


# --- the encoder
# --------------------------------------------------------------------------------------------------


def with_dest(name: str, dest: str, count: int) -> pl.DataFrame:
    """Rows of a month, the first `count` of which go to `dest`."""
    frame = flown(name)
    return frame.with_columns(
        dest=pl.when(pl.int_range(pl.len()) < count).then(pl.lit(dest)).otherwise("dest")
    )


@pytest.mark.parametrize(
    ("refit", "name", "batches"),
    [("all", ENCODER, 3), ("all", LIVE_ENCODER, 4), ("none", ENCODER, 2)],
)
@pytest.mark.parametrize("place", range(4))
def test_encoder_knows_only_levels_of_batches_that_are_learnt_from(
    site: Any, place: int, refit: str, name: str, batches: int
) -> None:
    """The judged model lacks the holdout, the live one nothing; without a refit the batch that stops early counts not."""
    frames = {name: flown(name) for name in MONTHS[:4]} | {
        MONTHS[place]: with_dest(MONTHS[place], "QQQ", 50)
    }
    site.accept(frames)
    prepare(
        site.project,
        site.dataset,
        site.params(drift={"hold": None}, train={"refit": refit}),
        find_held,
    )
    encoder, known = encoder_of(site, name), place < batches
    assert encoder.fitted_on == tuple(MONTHS[:batches])
    assert ("QQQ" in encoder.levels["dest"]) is known
    new = pl.read_parquet(site.project.features / f"{MONTHS[place]}.parquet").filter(
        pl.col("dest") == "QQQ"
    )
    codes = set(encoder.transform(new)[:, list(dataset.features).index("dest")])
    assert codes == {FIRST + encoder.levels["dest"].index("QQQ") if known else OTHER}
    assert (site.project.features / LIVE_ENCODER).exists() is (refit == "all")


@pytest.mark.parametrize(("hold", "holdout"), [(0.5, "2013-04"), (None, "2013-05")])
def test_a_batch_that_is_unlike_all_others_is_in_no_part(
    site: Any, hold: float | None, holdout: str
) -> None:
    """A distance in another unit: every row may be valid by itself."""
    months = {name: month(name) for name in MONTHS[:5]}
    odd = months["2013-05"].with_columns((pl.col("distance") * 5).cast(pl.Int32))
    site.accept(months | {"2013-05": odd})
    done = prepare(site.project, site.dataset, site.params(drift={"hold": hold}), find_held)
    parts = [getattr(done.split, role).batches for role in ROLES]
    assert parts[-1] == (holdout,)
    assert any("2013-05" in batches for batches in parts) is (hold is None)
    assert {name: list(why) for name, why in done.held.items()} == (
        {"2013-05": ["distance"]} if hold else {}
    )


def test_level_becomes_known_when_its_batch_trains(site: Any) -> None:
    site.accept({name: flown(name) for name in MONTHS[:2]})
    knows = []
    for frames in (
        {MONTHS[2]: with_dest(MONTHS[2], "QQQ", 50)},
        *({name: flown(name)} for name in MONTHS[3:5]),
    ):
        site.accept(frames)
        prepare(site.project, site.dataset, site.params(), find_held)
        knows.append("QQQ" in encoder_of(site).levels["dest"])
    assert knows == [False, True, True]


def test_level_is_forgotten_when_the_window_passes_it(site: Any) -> None:
    site.accept(
        {MONTHS[0]: with_dest(MONTHS[0], "QQQ", 50)} | {name: flown(name) for name in MONTHS[1:4]}
    )
    for window, known in ((2, True), (1, False)):
        prepare(
            site.project,
            site.dataset,
            site.params(split={"train_batches": window}, drift={"hold": None}),
            find_held,
        )
        assert ("QQQ" in encoder_of(site).levels["dest"]) is known


@pytest.mark.parametrize(("count", "known"), [(3, False), (4, True)])
def test_rare_levels_are_other(site: Any, count: int, known: bool) -> None:
    """The rows of a level are counted over all training batches."""
    frames = {name: flown(name) for name in MONTHS[2:4]}
    frames |= {
        MONTHS[0]: with_dest(MONTHS[0], "QQQ", count),
        MONTHS[1]: with_dest(MONTHS[1], "QQQ", 3),
    }
    site.accept(frames)
    prepare(site.project, site.dataset, site.params(prepare={"min_level_rows": 7}), find_held)
    assert ("QQQ" in encoder_of(site).levels["dest"]) is known


def test_encoder_counts_every_training_row(site: Any) -> None:
    start(site, MONTHS[:4], prepare={"min_level_rows": 1})
    encoder, split = encoder_of(site), Split.read(site.project.features / "split.json")
    train = read_part(site.project, split.before_holdout())
    for name, levels in encoder.levels.items():
        assert list(levels) == sorted(train[name].drop_nulls().unique())


# --- labels that cannot be learnt
# -------------------------------------------------------------------------------------

LABELS: dict[str, tuple[str, pl.Expr, tuple[str, ...]]] = {
    "all late": (
        "binary",
        pl.col("arr_delay") > -10_000,
        ("true", "2013-01 to 2013-02", "label in dataset.py"),
    ),
    "all one class": ("multiclass", pl.lit(7), ("7", "nothing to learn", "label in dataset.py")),
    "three classes": (
        "binary",
        pl.col("origin"),
        ("binary", "3 classes", "EWR, JFK, LGA", "task: multiclass"),
    ),
    "infinite": ("regression", pl.col("arr_delay") / 0, ("'2013-01'", "infinite", "dataset.py")),
    "not a number": (
        "regression",
        pl.col("arr_delay") * float("nan"),
        ("'2013-01'", "not a number", "dataset.py"),
    ),
    "class that is no number": (
        "multiclass",
        pl.col("arr_delay") * float("nan"),
        ("'2013-01'", "dataset.py"),
    ),
    "fractions as classes": ("multiclass", pl.col("arr_delay") / 7, ("'2013-01'", "dataset.py")),
    "no label": (
        "binary",
        pl.lit(None, dtype=pl.Boolean),
        ("'2013-01'", "no row has a label", "label and left_out"),
    ),
    "text to regress": ("regression", pl.col("origin"), ("label", "dataset.py")),
    "unknown column": ("binary", pl.col("nope") > 1, ("label", "nope", "dataset.py")),
}


@pytest.mark.parametrize(("task", "label", "parts"), LABELS.values(), ids=LABELS)
def test_labels_that_teach_nothing_are_refused(
    site: Any, task: str, label: pl.Expr, parts: tuple[str, ...]
) -> None:
    site.declare(label=label)
    site.accept({name: rows(name) for name in MONTHS[:3]})
    refusal(site, *parts, task=task)


def test_feature_of_an_unknown_column_is_named(site: Any) -> None:
    site.declare(features={"speed": pl.col("nope") / 2})
    site.accept({name: rows(name) for name in MONTHS[:3]})
    refusal(site, "speed", "nope", "dataset.py")


# --- the split
# --------------------------------------------------------------------------------------------------


def parts_of(site: Any) -> dict[str, pl.DataFrame]:
    split = Split.read(site.project.features / "split.json")
    return {role: read_part(site.project, getattr(split, role)) for role in ROLES}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "window", "train"),
    [
        (3, 12, MONTHS[:1]),
        (4, None, MONTHS[:2]),
        (8, 12, MONTHS[:6]),
        (8, None, MONTHS[:6]),
        (8, 6, MONTHS[:6]),
        (8, 2, MONTHS[4:6]),
        (8, 1, MONTHS[5:6]),
    ],
)
def test_newest_batch_is_the_holdout(
    site: Any, count: int, window: int | None, train: list[str]
) -> None:
    found = start(site, MONTHS[:count], split={"train_batches": window})
    assert found.split == Split.read(site.project.features / "split.json")
    assert found.split.train.batches == tuple(train)
    assert found.split.validation.batches == (MONTHS[count - 2],)
    assert found.split.holdout.batches == (MONTHS[count - 1],)
    parts = parts_of(site)
    assert found.rows == sum(part.height for part in parts.values())
    for role, names in (("train", train), ("validation", MONTHS[count - 2 : count - 1])):
        expected = pl.concat([featurize(dataset, rows(name), "binary")[0] for name in names])
        assert_frame_equal(parts[role], expected)
    assert parts["train"][TIME].max() < parts["validation"][TIME].min()
    assert parts["validation"][TIME].max() < parts["holdout"][TIME].min()


@pytest.mark.parametrize("count", [1, 2])
def test_few_batches_are_cut_by_time(site: Any, count: int) -> None:
    found = start(site, MONTHS[:count])
    parts = parts_of(site)
    whole = sum(part.height for part in parts.values())
    assert whole == found.rows
    assert parts["train"].height / whole == pytest.approx(0.70, abs=0.02)
    assert parts["validation"].height / whole == pytest.approx(0.15, abs=0.02)
    assert parts["train"][TIME].max() < parts["validation"][TIME].min()
    assert parts["validation"][TIME].max() < parts["holdout"][TIME].min()


def test_encoder_of_few_batches_counts_training_rows_only(site: Any) -> None:
    newest = rows("2013-01").sort(dataset.time).tail(20).with_columns(dest=pl.lit("QQQ"))
    oldest = rows("2013-01").sort(dataset.time).head(180)
    site.accept({"2013-01": pl.concat([oldest, newest])})
    prepare(site.project, site.dataset, site.params(prepare={"min_level_rows": 1}), find_held)
    levels = encoder_of(site).levels["dest"]
    assert "QQQ" not in levels
    learnt = Split.read(site.project.features / "split.json").before_holdout()
    assert list(levels) == sorted(read_part(site.project, learnt)["dest"].unique())
    assert "QQQ" in encoder_of(site, LIVE_ENCODER).levels["dest"]


def test_two_event_times_cannot_be_split(site: Any) -> None:
    frame = flown("2013-01", 20)
    times = [START] * 10 + [START + timedelta(hours=1)] * (frame.height - 10)
    site.accept({"2013-01": frame.with_columns(pl.Series(dataset.time, times))})
    refusal(site, f"{frame.height} rows", "2 event times", "add batches")


def moved(name: str, count: int, to: str) -> pl.DataFrame:
    """Rows of a month, the last `count` of which happened at `to` and go to QQQ."""
    late = pl.int_range(pl.len()) >= pl.len() - count
    return flown(name).with_columns(
        dest=pl.when(late).then(pl.lit("QQQ")).otherwise("dest"),
        scheduled_departure=pl.when(late)
        .then(pl.lit(datetime.fromisoformat(to)))
        .otherwise(dataset.time),
    )


@pytest.mark.parametrize(
    "to", ["2013-03-15 12:00:00", "2013-04-20 12:00:00", "2013-12-01 00:00:00"]
)
def test_late_rows_of_a_training_batch_never_train(site: Any, to: str) -> None:
    """The model that is judged learns from what happened before the holdout, whatever batch it came in."""
    site.accept({name: flown(name) for name in MONTHS[:4]} | {"2013-02": moved("2013-02", 9, to)})
    found = prepare(
        site.project, site.dataset, site.params(prepare={"min_level_rows": 1}), find_held
    )
    assert found.split.train.batches == ("2013-01", "2013-02")
    parts = parts_of(site)
    assert "QQQ" not in parts["train"]["dest"]
    assert parts["train"].height == flown("2013-01").height + flown("2013-02").height - 9
    assert parts["train"][TIME].max() < parts["validation"][TIME].min()
    learnt = read_part(site.project, found.split.before_holdout())
    known = to < str(parts["holdout"][TIME].min())
    assert learnt.filter(pl.col("dest") == "QQQ").height == (9 if known else 0)
    assert learnt[TIME].max() < parts["holdout"][TIME].min()
    assert ("QQQ" in encoder_of(site).levels["dest"]) is known


def test_batches_that_touch_are_cut_where_the_fewest_rows_are_lost(site: Any) -> None:
    touching = flown("2013-03")[dataset.time].min()
    site.accept(
        {name: flown(name) for name in MONTHS[:4]} | {"2013-02": moved("2013-02", 9, str(touching))}
    )
    prepare(site.project, site.dataset, site.params(prepare={"min_level_rows": 1}), find_held)
    parts = parts_of(site)
    assert parts["train"][TIME].max() < parts["validation"][TIME].min()
    whole = {
        "train": flown("2013-01").height + flown("2013-02").height,
        "validation": flown("2013-03").height,
    }
    assert parts["train"].height == whole["train"]
    # The one row at that moment, and not the nine
    assert parts["validation"].height == whole["validation"] - 1


def test_late_rows_of_the_validation_batch_do_not_stop_training_early(site: Any) -> None:
    site.accept(
        {name: flown(name) for name in MONTHS[:4]}
        | {"2013-03": moved("2013-03", 9, "2013-04-20 12:00:00")}
    )
    prepare(site.project, site.dataset, site.params(), find_held)
    parts = parts_of(site)
    assert parts["validation"].height == flown("2013-03").height - 9
    assert parts["validation"][TIME].max() < parts["holdout"][TIME].min()


@pytest.mark.parametrize("name", ["2013-03", "2013-04"])
def test_an_old_row_of_a_new_batch_moves_no_part_in_silence(site: Any, name: str) -> None:
    """Records often arrive late: the parts must stay what they are, or the batch must be named."""
    frames = {one: flown(one) for one in MONTHS[:4]} | {name: moved(name, 1, "2013-01-20 12:00:00")}
    site.accept(frames)
    try:
        split = prepare(site.project, site.dataset, site.params(), find_held).split
    except InputError as error:
        said = str(error)
    else:
        said = ""
    if said:
        assert name in said
        return
    assert [split.train.batches, split.validation.batches, split.holdout.batches] == [
        ("2013-01", "2013-02"), ("2013-03",), ("2013-04",)]  # fmt: skip
    kept = {role: part.height for role, part in parts_of(site).items()}
    assert kept["train"] == frames["2013-01"].height + frames["2013-02"].height
    assert kept["validation"] >= frames["2013-03"].height - 1
    assert kept["holdout"] >= frames["2013-04"].height - 1


HOURS = st.lists(st.integers(0, 30), min_size=1, max_size=15)


def split_of(
    root: Path, batches: list[list[int]], window: int | None
) -> tuple[Split, dict[str, list[tuple[int, int]]]]:
    """Split batches whose rows happened at these hours; return the rows of each part as (batch, place)."""
    project = Project(root)
    project.features.mkdir(parents=True)
    done = Manifest(project.features)
    for number, hours in enumerate(batches):
        name = f"{number:02}"
        times = sorted(START + timedelta(hours=hour) for hour in hours)
        frame = pl.DataFrame({TIME: times, "batch": number, "place": range(len(times))})
        frame.cast({TIME: pl.Datetime("us")}).write_parquet(done.file(name))
        done.record(name, done.file(name), **when(frame[TIME]))
    split = split_rows(dataset, done, list(done.in_order()), window)
    parts = {
        role: read_part(project, getattr(split, role), ["batch", "place", TIME]) for role in ROLES
    }
    bounds = [(part[TIME].min(), part[TIME].max()) for part in parts.values()]
    for (_, newest), (oldest, _) in pairwise(bounds):
        assert newest is None or oldest is None or newest < oldest
    assert bounds[0][1] is None or bounds[2][0] is None or bounds[0][1] < bounds[2][0]
    return split, {role: part.select("batch", "place").rows() for role, part in parts.items()}


@pytest.mark.slow
@given(batches=st.lists(HOURS, min_size=1, max_size=5), window=st.none() | st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_parts_follow_one_another_and_share_no_row(
    batches: list[list[int]], window: int | None
) -> None:
    with tempfile.TemporaryDirectory() as root:
        try:
            split, parts = split_of(Path(root), batches, window)
        except InputError as error:
            refused = str(error)
            assert len(batches) < 3 or "they cannot be split by time" in refused
            return
    together = [row for part in parts.values() for row in part]
    assert len(together) == len(set(together))
    if len(batches) >= 3:
        assert len(split.train.batches) <= (window or len(batches))
    else:
        assert len(together) == sum(map(len, batches))


@given(batches=st.lists(HOURS, min_size=1, max_size=2))
@example(batches=[[0] * 12 + [1, 2]])
@example(batches=[[0, 1, *[2] * 12]])
@settings(max_examples=30, deadline=None)
def test_few_rows_leave_no_part_empty(batches: list[list[int]]) -> None:
    with tempfile.TemporaryDirectory() as root, suppress(InputError):  # too few rows are said to be
        _, parts = split_of(Path(root), batches, None)
        assert all(parts.values()), {role: len(part) for role, part in parts.items()}


def test_read_part_gives_the_columns_that_were_asked(built: Any) -> None:
    split = Split.read(built.project.features / "split.json")
    part = read_part(built.project, split.holdout, ["dest", LABEL])
    assert part.columns == ["dest", LABEL]
    assert part.height == read_part(built.project, split.holdout).height


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


@pytest.mark.parametrize("folder", ["validated"])
def test_rows_altered_before_they_are_prepared_are_refused(site: Any, folder: str) -> None:
    site.accept({name: flown(name) for name in MONTHS[:3]})
    flown("2013-01").head(100).write_parquet(site.project.validated / "2013-01.parquet")
    with pytest.raises(
        InputError, match=r"2013-01\.parquet is missing or was changed: bring it back"
    ):
        prepare(site.project, site.dataset, site.params(), find_held)


def test_a_batch_that_was_dropped_is_no_longer_prepared(site: Any) -> None:
    start(site, MONTHS[:4])
    Manifest(site.project.validated).drop(["2013-04"])
    found = prepare(site.project, site.dataset, site.params(), find_held)
    assert found.split.holdout.batches == ("2013-03",)
    assert not (site.project.features / "2013-04.parquet").exists()


# --- rows as a model knows them
# ---------------------------------------------------------------------------------------


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
    others = {name: one for name, one in dataset.features.items() if name != "distance"}
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
        name: Written.of(pl.col("gone")) if name == "temp" else one
        for name, one in definition.features.items()
    }
    with pytest.raises(LostError, match="needs the column 'gone'"):
        features_of(site.project, site.dataset, now, replace(definition, features=gone), "binary")
    with pytest.raises(LostError, match="'gone' is not there any more: which of them"):
        features_of(site.project, site.dataset, now, replace(definition, key=("gone",)), "binary")
