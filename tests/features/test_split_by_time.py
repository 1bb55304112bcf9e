"""Split by time: the newest batch judges, and nothing of the future trains."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from preparing import MONTHS, START, encoder_of, flown, moved, parts_of, refusal, rows, start

from evergreen.errors import InputError
from evergreen.features.encoder import LIVE_ENCODER
from evergreen.features.featurize import featurize
from evergreen.features.prepare import prepare, split_rows
from evergreen.features.split import LABEL, ROLES, TIME, Split, read_part
from evergreen.ingest.manifest import Manifest, when
from evergreen.project import Project
from evergreen.quality.held_batches import find_held
from late_flights.dataset import dataset

pytestmark = pytest.mark.slow  # projects that are ingested and validated first


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "window", "train"),
    [
        (3, 12, MONTHS[:1]),
        (4, None, MONTHS[:2]),
        pytest.param(*(8, 12, MONTHS[:6]), marks=pytest.mark.long),
        pytest.param(*(8, None, MONTHS[:6]), marks=pytest.mark.long),
        (8, 6, MONTHS[:6]),
        pytest.param(*(8, 2, MONTHS[4:6]), marks=pytest.mark.long),
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


@pytest.mark.parametrize(
    "to", ["2013-03-15 12:00:00", "2013-04-20 12:00:00", "2013-12-01 00:00:00"]
)
def test_late_rows_of_a_training_batch_never_train(site: Any, to: str) -> None:
    """The judged model learns from what happened before the holdout, in whatever batch."""
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
    frames = {month: flown(month) for month in MONTHS[:4]} | {
        name: moved(name, 1, "2013-01-20 12:00:00")
    }
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
    """Return the rows of each part as (batch, place); batches: the hours of their rows."""
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
def test_parts_follow_one_another_and_share_no_row(
    batches: list[list[int]], window: int | None
) -> None:
    with tempfile.TemporaryDirectory() as root:
        try:
            split, parts = split_of(Path(root), batches, window)
        except InputError as error:
            refused = str(error)
            assert "cannot be split by time" in refused
            return
    together = [row for part in parts.values() for row in part]
    assert len(together) == len(set(together))
    if len(batches) >= 3:
        assert len(split.train.batches) <= (window or len(batches))
    else:
        assert len(together) == sum(map(len, batches))


@given(batches=st.lists(HOURS, min_size=1, max_size=2))
@settings(max_examples=30, deadline=None)
def test_few_rows_leave_no_part_empty(batches: list[list[int]]) -> None:
    with tempfile.TemporaryDirectory() as root:
        try:
            _, parts = split_of(Path(root), batches, None)
        except InputError:
            hours = [hour for batch in batches for hour in batch]
            assert len(hours) < 5 or len(set(hours)) < len(hours)  # too few, or some share a moment
            return
    assert all(parts.values()), {role: len(part) for role, part in parts.items()}


@pytest.mark.parametrize("hours", [[0] * 12 + [1, 2], [0, 1, *[2] * 12], [0, 1, 2], [0, 1, 2, 3]])
def test_rows_that_are_too_few_or_share_a_moment_are_refused(
    hours: list[int], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="they are too few or too many share one moment"):
        split_of(tmp_path, [hours], None)


@pytest.mark.parametrize(
    ("batches", "sizes"),
    [
        ([[0, 3, 5, 9, 14, 20, 25]], [5, 1, 1]),
        ([list(range(15)), list(range(15, 30))], [21, 4, 5]),
    ],
)
def test_few_rows_are_cut_where_the_shares_say(
    batches: list[list[int]], sizes: list[int], tmp_path: Path
) -> None:
    _, parts = split_of(tmp_path, batches, None)
    assert [len(parts[role]) for role in ROLES] == sizes


def test_read_part_gives_the_columns_that_were_asked(built: Any) -> None:
    split = Split.read(built.project.features / "split.json")
    part = read_part(built.project, split.holdout, ["dest", LABEL])
    assert part.columns == ["dest", LABEL]
    assert part.height == read_part(built.project, split.holdout).height
