"""Rounds: which cuts tell them, and what is boosted by what the seeds say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from evergreen import formats
from evergreen.features.encoder import ENCODER, LIVE_ENCODER, fit_encoder
from evergreen.features.keys import KEY, hash_rows
from evergreen.features.split import LABEL, SHARES, TIME, Part, split_by_time
from evergreen.files import write_json
from evergreen.ingest.manifest import Manifest, when
from evergreen.project import Project
from evergreen.training.rounds import Cut, Rounds, Stop, find_cuts, find_rounds
from evergreen.training.tables import load_tables

START = datetime(2013, 1, 1)  # noqa: DTZ001
Make = Callable[..., Project]


@pytest.fixture
def prepared(tmp_path: Path) -> Make:
    """Make a project whose batches are prepared: each so many rows, of so many classes."""

    def make(
        rows: Sequence[int],
        classes: Sequence[int] = (),
        window: int | None = None,
        task: str = "binary",
        days: int = 30,
        **changes: Any,
    ) -> Project:
        project = Project(tmp_path)
        project.features.mkdir(parents=True)
        done = Manifest(project.features)
        for at, count in enumerate(rows):
            kinds = classes[at] if classes else 2
            times = [
                START + timedelta(days=30 * at + days * row / max(1, count)) for row in range(count)
            ]
            label = [row % kinds + 0.5 if task == "regression" else "ny"[row % kinds]
                     for row in range(count)]  # fmt: skip
            frame = pl.DataFrame(
                {f"{KEY}id": [f"{at} {row}" for row in range(count)], TIME: times, LABEL: label},
                schema_overrides={TIME: pl.Datetime("us")},
            ).with_columns(x=pl.lit(1.0))
            name = f"b{at}"
            frame.write_parquet(done.file(name))
            facts = {"rows": count, **when(frame[TIME])}
            done.record(name, done.file(name), stamp="", **facts)
        names = [f"b{at}" for at in range(len(rows))]
        split = replace(split_by_time(done, names, window), **changes)
        write_json(project.features / "split.json", formats.stamp(asdict(split)))
        known = () if task == "regression" else ("n", "y")
        for name in (ENCODER, LIVE_ENCODER):
            fit_encoder(task, ["x"], {}, known, 1, names).write(project.features / name)  # type: ignore[arg-type]
        return project

    return make


def told(project: Project, held: Sequence[str] = ()) -> list[tuple[str, int, int]]:
    """What stops each cut, and how many rows learn and stop."""
    return [
        (cut.stopped_by, len(tables.train), len(tables.validation))
        for cut in find_cuts(project, held)
        for tables in [cut.load()]
    ]


@pytest.mark.parametrize(
    ("rows", "more", "found"),
    [
        ([40], {}, [("some of the rows", 28, 6)]),
        ([40, 40], {}, [("some of the rows", 56, 12)]),
        ([40] * 3, {}, [("b1", 40, 40)]),
        ([40] * 4, {}, [("b2", 80, 40), ("b1", 40, 40)]),
        ([40] * 5, {}, [("b3", 120, 40), ("b2", 80, 40), ("b1", 40, 40)]),
        ([40] * 6, {}, [("b4", 160, 40), ("b3", 120, 40), ("b2", 80, 40)]),
        ([40] * 9, {}, [("b7", 280, 40), ("b6", 240, 40), ("b5", 200, 40)]),
        # A window moves back as a whole
        ([40] * 9, {"window": 2}, [("b7", 80, 40), ("b6", 80, 40), ("b5", 80, 40)]),
        ([40] * 9, {"window": 1}, [("b7", 40, 40), ("b6", 40, 40), ("b5", 40, 40)]),
        ([40] * 9, {"window": 6}, [("b7", 240, 40), ("b6", 240, 40), ("b5", 200, 40)]),
        ([40] * 6, {"window": 4}, [("b4", 160, 40), ("b3", 120, 40), ("b2", 80, 40)]),
        # A few rows say little of many, whether they learn or stop
        ([40, 900, 40, 40], {}, [("b2", 940, 40)]),
        ([90, 90, 90, 4, 90, 40], {}, [("b4", 274, 90), ("b2", 180, 90)]),
        # But many say much of a few
        ([90, 90, 90, 90, 4, 40], {}, [("b4", 360, 4), ("b3", 270, 90), ("b2", 180, 90)]),
        # Without a class nothing is learnt, or nothing stops
        ([40] * 4, {"classes": [1, 2, 2, 2]}, [("b2", 80, 40)]),
        ([40] * 5, {"classes": [2, 2, 1, 2, 2]}, [("b3", 120, 40), ("b1", 40, 40)]),
        (
            [40] * 4,
            {"classes": [1, 2, 2, 2], "task": "regression"},
            [("b2", 80, 40), ("b1", 40, 40)],
        ),
    ],
)  # fmt: skip
def test_cuts_walk_back_in_time(
    rows: list[int], more: dict[str, Any], found: list[Any], prepared: Make
) -> None:
    assert told(prepared(rows, **more)) == found


def test_a_batch_that_is_held_back_is_in_no_cut(prepared: Make) -> None:
    project = prepared([40, 40, 40, 60, 40, 40, 40, 40], window=3)
    assert told(project) == [("b6", 140, 40), ("b5", 140, 40), ("b4", 140, 40)]
    assert told(project, ["b2", "b1"]) == [("b6", 140, 40), ("b5", 140, 40), ("b4", 100, 40)]


def test_no_row_of_a_cut_learns_that_is_later_than_what_stops_it(prepared: Make) -> None:
    """Of batches that overlap, too."""
    project = prepared([40] * 8, days=36)
    cuts = [cut.load() for cut in find_cuts(project, ())]
    assert len(cuts) == 3
    rows = pl.concat([pl.read_parquet(file) for file in project.features.glob("*.parquet")])
    times = dict(zip(hash_rows(rows).tolist(), rows[TIME], strict=True))
    for tables in cuts:
        assert tables.train.keys is not None
        assert tables.validation.keys is not None
        learnt, stop = (
            [times[key] for key in part.keys.tolist()]  # type: ignore[union-attr]
            for part in (tables.train, tables.validation)
        )
        assert max(learnt) < min(stop)


def test_where_a_hash_of_the_key_splits_the_rows_the_cut_is_one(prepared: Make) -> None:
    names = tuple(f"b{at}" for at in range(6))
    parts = {role: Part(names, None, "2014", share) for role, share in SHARES.items()}
    ((by, *_),) = told(prepared([40] * 6, **parts))
    assert by == "some of the rows"


def test_cross_validation_has_cuts_of_its_own(prepared: Make) -> None:
    project = prepared(
        [40] * 6, judged=Part(tuple(f"b{at}" for at in range(6)), "2013-04-01", None)
    )
    (cut,) = find_cuts(project, ())
    assert len(cut.load().folds) == 5
    assert cut.stopped_by == "the rows before each fold"


def test_rows_on_disk_stay_there(prepared: Make) -> None:
    project = prepared([40] * 6)
    assert all(cut.load().train.on_disk for cut in find_cuts(project, (), on_disk=True))


def test_the_newest_cut_is_the_split_of_the_project(prepared: Make) -> None:
    project = prepared([40] * 6)
    newest, second, _ = (cut.load().digest() for cut in find_cuts(project, ()))
    assert newest == load_tables(project).digest() != second


@pytest.mark.parametrize(
    ("cuts", "seeds", "dealt"),
    [
        (1, [7, 8, 9, 10], {"0": [7, 8, 9]}),
        (2, [7, 8, 9, 10], {"0": [7, 9], "1": [8]}),
        (3, [7, 8, 9, 10], {"0": [7], "1": [8], "2": [9]}),
        (3, [7, 8], {"0": [7], "1": [8]}),
        (3, [7], {"0": [7]}),
    ],
)
def test_seeds_are_dealt_out_to_the_cuts_newest_first(
    cuts: int, seeds: list[int], dealt: dict[str, list[int]], make_tables: Callable[..., Any]
) -> None:
    tables, asked = make_tables("binary"), {}

    def fit(cut: Cut, given: Any, some: Sequence[int]) -> list[int]:
        assert given is tables
        asked[cut.stopped_by] = [*some]
        return [seed * 10 for seed in some]

    all_cuts = [Cut(str(number), lambda: tables) for number in range(cuts)]
    found = find_rounds(all_cuts, seeds, 2000, fit)
    assert asked == dealt
    assert {stop.stopped_by: stop.kept for stop in found.stops} == {
        name: tuple(seed * 10 for seed in some) for name, some in dealt.items()
    }
    assert {stop.rows for stop in found.stops} == {len(tables.train)}


@pytest.mark.parametrize(
    ("stops", "rows", "rounds"),
    [
        ([(100, 30)], 100, 30),
        ([(100, 10, 30, 50)], 150, 45),  # as much more as there are more rows
        ([(100, 10, 30, 50)], 50, 30),  # never fewer
        ([(100, 30), (75, 30), (50, 30)], 150, 60),  # each by the rows that it learnt from
        ([(100, 40), (75, 2000), (50, 50)], 100, 100),  # a cut that never stopped is one of three
        ([(100, 1), (75, 40), (50, 50)], 150, 80),  # nor does one decide that stopped at once
        ([(100, 10, 30), (50, 30)], 100, 60),  # of two cuts the one that bears more rounds
        ([(100, 50, 90, 70), (50, 30)], 100, 70),  # however many seeds each has
        ([(100, 1000)], 300, 2000),
        ([(100, 2000), (75, 2000), (50, 2000)], 150, 2000),
        ([(1000, 0)], 1001, 1),
        ([(100, 20, 40)], 100, 30),
    ],
)
def test_the_median_counts_and_more_rows_bear_more_rounds(
    stops: list[tuple[int, ...]], rows: int, rounds: int
) -> None:
    found = tuple(Stop("b", learnt, tuple(kept)) for learnt, *kept in stops)
    assert Rounds(found, 2000).on(rows) == rounds


def test_it_is_said_which_cut_found_what() -> None:
    stops = (Stop("2013-05", 22_281, (104, 110)), Stop("2013-04", 17_592, (1_218,)))
    assert Rounds(stops, 2000).tell() == (
        "104, 110 on 22,281 rows, stopped by 2013-05; 1,218 on 17,592 rows, stopped by 2013-04"
    )
