"""Prepare: history is never made twice, and encoders know only what is learnt from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import month, own_package, settings_of
from polars.testing import assert_frame_equal
from preparing import MONTHS, START, encoder_of, flown, refusal, rows, start, with_dest

from evergreen.errors import InputError
from evergreen.features.encoder import ENCODER, FIRST, LIVE_ENCODER, OTHER
from evergreen.features.featurize import featurize, summarize
from evergreen.features.prepare import prepare
from evergreen.features.split import ROLES, Split, read_part
from evergreen.ingest.manifest import Manifest, when
from evergreen.project import Project
from evergreen.quality.held_batches import find_held
from evergreen.statistics.profile import Profile
from late_flights.dataset import dataset

pytestmark = pytest.mark.slow  # projects that are ingested and validated first


def test_counts_of_used_batches_add_up(site: Any) -> None:
    names = MONTHS[:4]
    found = start(site, names, split={"train_batches": 1})
    used = [rows(name) for name in names[1:]]
    assert found.rows + sum(found.left_out.values()) == sum(frame.height for frame in used)
    assert found.left_out[next(iter(dataset.left_out))] == sum(
        frame["dep_time"].null_count() for frame in used
    )


# --- only what is new


def test_prepared_project(built: Any) -> None:
    done = Manifest(built.project.features)
    assert sorted(done.entries) == ["2013-01", "2013-02"]
    assert done.altered() == []
    for name in done.entries:
        features, left_out = featurize(dataset, month(name), "binary")
        assert_frame_equal(pl.read_parquet(done.file(name)), features)
        profile = Profile.read([done.file(name, ".json")])
        assert profile.kept == summarize(dataset, features, {}).kept
        assert {why: sample.rows for why, sample in profile.left_out.items()} == left_out


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
        ours, theirs = (project.project.features / f"2013-02{suffix}" for project in (site, alone))
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


@pytest.mark.parametrize(
    ("refit", "name", "batches"),
    [("all", ENCODER, 3), ("all", LIVE_ENCODER, 4), ("none", ENCODER, 2)],
)
@pytest.mark.parametrize("place", range(4))
def test_encoder_knows_only_levels_of_batches_that_are_learnt_from(
    site: Any, place: int, refit: str, name: str, batches: int
) -> None:
    """The judged model lacks the holdout, the live one nothing.

    Without a refit the batch that stops early does not count.
    """
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


@pytest.mark.parametrize("folder", ["validated"])
def test_rows_altered_before_they_are_prepared_are_refused(site: Any, folder: str) -> None:
    site.accept({name: flown(name) for name in MONTHS[:3]})
    flown("2013-01").head(100).write_parquet(site.project.validated / "2013-01.parquet")
    with pytest.raises(InputError, match=r"2013-01\.parquet is missing or was changed: restore it"):
        prepare(site.project, site.dataset, site.params(), find_held)


def test_a_batch_that_was_dropped_is_no_longer_prepared(site: Any) -> None:
    start(site, MONTHS[:4])
    Manifest(site.project.validated).drop(["2013-04"])
    found = prepare(site.project, site.dataset, site.params(), find_held)
    assert found.split.holdout.batches == ("2013-03",)
    assert not (site.project.features / "2013-04.parquet").exists()
