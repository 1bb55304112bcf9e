"""Few rows end with the simplest model that nothing surely beats, or "nothing can be learnt"."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from evergreen.features.keys import hash_rows
from evergreen.features.split import Split, read_part
from evergreen.params import load
from evergreen.project import Project
from evergreen.stores.artifacts import Artifacts
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker

pytestmark = pytest.mark.slow
Run = Callable[..., subprocess.CompletedProcess[str]]


def rows(count: int, seed: int, *, learnable: bool = True, time: bool = False) -> pl.DataFrame:
    """A number that is a straight line of two columns, with noise; or only noise."""
    draw = np.random.default_rng(seed)
    a, b, noise = draw.normal(size=(3, count))
    label = 3 * a - 2 * b + noise if learnable else noise
    names = ("id", "größe [m]", 'x"); raise SystemExit("', "y")  # such as people have
    frame = pl.DataFrame(
        dict(zip(names, (seed * 10_000 + np.arange(count), a, b, label), strict=True))
    )
    days = pl.date_range(
        pl.date(2024, 1, 1), pl.date(2024, 1, 1) + pl.duration(days=count - 1), eager=True
    )
    return frame.with_columns(day=days) if time else frame


@pytest.fixture
def adopt(fresh: Project, cli: Run) -> Callable[..., Project]:
    """Make a project about some rows."""

    def make(frame: pl.DataFrame, *options: str) -> Project:
        frame.write_csv(fresh.root.parent / "first.csv")
        done = cli(fresh, "adopt", "../first.csv", "--target", "y", "--key", "id", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        return fresh

    return make


def say(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def assert_each_row_was_judged_by_a_model_that_had_not_learnt_from_it(project: Project) -> None:
    """What was said of the rows is far from what the live model, which knows them, says of them."""
    tracker = Tracker(project, load(project.params))
    registry = Registry(tracker)
    held_out = Artifacts(tracker).read_held_out(registry.versions.run_of("1"))
    split = Split.read(project.features / "split.json")
    assert split.judged
    frame = read_part(project, split.judged)
    at, y = held_out.find(hash_rows(frame)), frame["label"].to_numpy()
    assert frame.height == 240
    before, now = (
        np.mean((said - y) ** 2)
        for said in (held_out.packaged[at], registry.versions.open("1").predict_rows(frame))
    )
    assert now < before < 1.3


def test_a_straight_line_goes_live(adopt: Callable[..., Project], cli: Run) -> None:
    project = adopt(rows(240, 1))
    assert_it_goes_live(project, cli)
    assert_each_row_was_judged_by_a_model_that_had_not_learnt_from_it(project)


def assert_it_goes_live(project: Project, cli: Run) -> None:
    said = say(cli(project, "run"))
    assert "the linear model: trees are not surely better" in said
    assert "version 1 is champion" in said
    live = Registry(Tracker(project, load(project.params))).versions.open("1")
    # No row stays out
    assert (live.learner, live.refit, len(live.learnt.keys)) == ("linear", True, 240)


@pytest.mark.long
@pytest.mark.parametrize("time", [False, True])
def test_a_straight_line_is_refreshed_by_more_rows(
    time: bool, adopt: Callable[..., Project], cli: Run
) -> None:
    project = adopt(rows(240, 1, time=time), *(("--period", "year") if time else ()))
    assert_it_goes_live(project, cli)
    later = rows(120, 2, time=time)
    if time:
        later = later.with_columns(pl.col("day") + pl.duration(days=240))
    later.write_csv(project.root / "inbox" / "second.csv")
    assert "retrain?" in say(cli(project, "monitor"))
    said = say(cli(project, "run"))
    assert "a refresh (trained as the champion was, on newer data) is no worse" in said
    registry = Registry(Tracker(project, load(project.params)))
    assert len(registry.versions.open("2").learnt.keys) == 360


@pytest.mark.long
def test_of_noise_nothing_is_learnt(adopt: Callable[..., Project], cli: Run) -> None:
    project = adopt(rows(300, 3, learnable=False))
    said = say(cli(project, "run"))
    assert "nothing can be learnt from these columns" in said
    assert "none yet" in say(cli(project, "status"))
