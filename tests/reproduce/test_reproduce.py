"""Reproduce: a champion is made again, equal; what differs is told with the reason."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from conftest import MONTHS, git, refusal, run_cli, small_project

from evergreen.files import sha256_of_file
from evergreen.project import Project
from evergreen.reproduce import reproduce as module
from evergreen.reproduce.reproduce import own_folder, prepare, train
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker

EQUAL = ["equal"] * 4


def words(said: str) -> list[str]:
    """The verdicts that a table shows."""
    lines = [line.split() for line in said.splitlines()]
    return [line[1] for line in lines if line and line[0] in module.THINGS]


# --- the folder


def test_a_folder_is_emptied_and_held(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "place"
    for _ in range(2):
        with own_folder(place):
            assert [path.name for path in place.iterdir()] == [module.LOCK]
            (place / "left").mkdir()
            (place / "file").touch()
            refusal(lambda: own_folder(place).__enter__(), "being made again")


@pytest.mark.parametrize("how", ["a file of somebody", "a file in its place"])
def test_what_is_somebody_elses_stays(how: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    if how == "a file of somebody":
        place.mkdir()
    (place / "notes" if place.exists() else place).write_text("mine")
    refusal(lambda: own_folder(place).__enter__(), "something else", str(place))
    assert (place / "notes" if place.is_dir() else place).read_text() == "mine"


@pytest.mark.parametrize("below", ["a file", "/proc"])
def test_a_folder_that_cannot_be_made_is_told(below: str, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    place = tmp_path / below / "place"
    refusal(lambda: own_folder(place).__enter__(), str(place), "another --folder")


def test_a_process_that_outlives_its_parent_holds_the_folder(tmp_path: Path) -> None:
    with own_folder(tmp_path / "place") as lock:
        command = [sys.executable, "-c", "input()"]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(lock,))
    refusal(lambda: own_folder(tmp_path / "place").__enter__(), "being made again")
    child.communicate(b"\n", timeout=60)
    with own_folder(tmp_path / "place"):
        pass


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("a warning\nerror: no rows\n  of this\n", "no rows of this"),
        ("Traceback:\n  line\nKeyError: 'a'\n", "KeyError: 'a'"),
        ("", "no message"),
    ],
)
def test_the_reason_of_a_process_is_what_it_said_last(said: str, reason: str) -> None:
    assert module._reason(said) == reason


# --- a champion


def left_alone(project: Project) -> dict[str, str]:
    """What stands for all that a reproduction must not touch."""
    paths = [project.stores / "mlflow.db", *project.root.glob("*.*")]
    paths += [path for path in (project.root / "data").rglob("*") if path.is_file()]
    paths += [path for path in (project.root / ".git").glob("*") if path.is_file()]
    return {str(path): sha256_of_file(path) for path in paths if path.is_file()}


def plant(project: Project) -> None:
    """Go on with the project: other parameters, other code, other data in the working copy."""
    project.params.write_text(project.params.read_text().replace("max_depth: 3", "max_depth: 2"))
    (project.root / "src" / "late_flights" / "dataset.py").write_text("raise RuntimeError\n")
    shutil.rmtree(project.features)


@pytest.mark.slow
def test_a_champion_is_made_again(
    champion_project: Project, open_tracker: Callable[..., Tracker], tmp_path: Path
) -> None:
    plant(champion_project)
    before, place = left_alone(champion_project), tmp_path / "again"
    done = run_cli(champion_project, "reproduce", "1", "--folder", str(place))
    assert (done.returncode, words(done.stdout)) == (0, EQUAL), done.stdout + done.stderr
    assert left_alone(champion_project) == before
    registry = Registry(open_tracker(champion_project))
    _check_differences(registry, place / "made", tmp_path)
    for folder in (champion_project.root / ".dvc" / "cache", champion_project.stores / "dvc"):
        shutil.rmtree(folder)
    with own_folder(tmp_path / "lacking") as lock:
        (told,) = prepare(registry, "1", tmp_path / "lacking", lock).stops
    assert "neither in DVC's cache nor in its remote: data/raw" in told


def _check_differences(registry: Registry, made: Path, tmp_path: Path) -> None:
    """Compare what was made with other records of the version, and other models with them."""

    def copy(ready: object, folder: Path) -> None:
        shutil.copytree(made, folder, dirs_exist_ok=True)

    with pytest.MonkeyPatch.context() as patch, own_folder(tmp_path / "planted") as lock:
        patch.setattr(module, "_train", copy)
        ready = prepare(registry, "1", tmp_path / "planted", lock)
        assert (ready.stops, ready.apart) == ((), ())
        metrics = dict.fromkeys(ready.recorded.metrics, 0.5)
        planted = replace(ready, recorded=replace(ready.recorded, metrics=metrics))
        assert [verdict.word for verdict in train(planted)] == [*EQUAL[:3], "different"]
        shutil.rmtree(tmp_path / "planted" / "made")
        (booster,) = (made / "package").glob("seed-0.*")
        booster.write_bytes(booster.read_bytes() + b" ")
        sums = made / "package" / "checksums.json"
        (was,) = (line for line in sums.read_text().splitlines() if booster.name in line)
        sums.write_text(sums.read_text().replace(was.split('"')[3], sha256_of_file(booster)))
        assert [verdict.word for verdict in train(ready)][1] == "different"


# --- trees, from a fresh clone


def let_trees_win(inbox: Path) -> None:
    """Let the label be one that no linear model learns."""
    for path in inbox.glob("*.parquet"):
        late = (pl.col("distance") > 800) ^ (pl.col("scheduled_departure").dt.hour() >= 14)
        noise = pl.int_range(pl.len()) % 7 == 0
        delay = pl.when(late ^ noise).then(30).otherwise(0).cast(pl.Int32)
        known = pl.when(pl.col("arr_delay").is_not_null()).then(delay)
        pl.read_parquet(path).with_columns(arr_delay=known).write_parquet(path)


@pytest.mark.long
def test_trees_are_made_again_in_a_fresh_clone_from_the_remote(tmp_path: Path) -> None:
    project = small_project(tmp_path, MONTHS, 3000)
    let_trees_win(tmp_path / "inbox")
    git(project.root, "commit", "-qam", "params")
    code = project.root / "src" / "late_flights" / "dataset.py"
    code.write_text(code.read_text() + "\nNOTE = 1\n")  # not committed
    done = run_cli(project, "run", "--seeds", "4", "--model", "median")
    assert "trees are surely better" in done.stdout, done.stdout + done.stderr
    git(project.root, "stash", "-q")
    git(tmp_path, "clone", "-q", str(project.root), "clone")
    shutil.rmtree(project.root / ".dvc" / "cache")  # what a run pushed is left
    store = f"sqlite:///{project.stores / 'mlflow.db'}"
    clone = Project(tmp_path / "clone")
    done = run_cli(clone, "reproduce", "1", MLFLOW_TRACKING_URI=store)
    assert (done.returncode, words(done.stdout)) == (0, EQUAL), done.stdout + done.stderr
    assert [*(clone.stores / "reproduced").iterdir()] == []
