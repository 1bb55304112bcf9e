"""Recipes: what is done again depends on the numbers and the user's files, nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import environment, settings_of

from evergreen import code, recipes
from evergreen.features import prepare
from evergreen.files import read_entries
from evergreen.ingest.manifest import Manifest
from evergreen.params import Drift, Params
from evergreen.project import Project
from evergreen.quality.held_batches import HELD, find_held
from evergreen.statistics.sketch import SKETCH, sketch
from evergreen.training.fingerprints import seed_fingerprint, sweep_fingerprint, way_of
from evergreen.validation import validate
from late_flights.dataset import dataset

NUMBERS = tuple(name for name in vars(recipes) if name.isupper())
PARAMS = Params().override(train={"device": "cpu"})


def prepare_stamp(folder: Path) -> Any:
    project = settings_of(folder)
    done = Manifest(project.validated)
    if not done.entries:
        done.folder.mkdir(parents=True)
        done.file("01").write_bytes(b"rows")
        done.record(
            "01", done.file("01"), rows=1, start="2013-01-01", middle="2013-01-01", end="2013-01-01"
        )
    return prepare._fingerprints(project, PARAMS)["01"]


def hold_stamp(folder: Path) -> Any:
    done = Manifest(folder)
    if not done.entries:
        sketch(pl.DataFrame({"x": np.arange(50.0)}), None).write(done.file("01", SKETCH))
        done.record(
            "01",
            done.file("01", SKETCH),
            rows=50,
            start="2013-01-01",
            middle="2013-01-01",
            end="2013-01-01",
        )
    find_held(done, ["01"], Drift())
    return read_entries(done.folder / HELD)["01"]["stamp"]


def watch_stamp(folder: Path) -> Any:
    from evergreen.orchestration.tasks.monitoring import _offers

    done = Manifest(folder)
    if not done.entries:
        done.file("02").write_bytes(b"rows")
        done.record(
            "02", done.file("02"), rows=1, start="2013-02-01", middle="2013-02-01", end="2013-02-01"
        )
    project = SimpleNamespace(features=folder, predictions=folder / "none")
    watched: Any = SimpleNamespace(
        newest="2013-01-31", holdout=(), reference=SimpleNamespace(version="1")
    )
    return [
        batch.stamp for batch in _offers(SimpleNamespace(project=project, params=PARAMS), watched)
    ]  # type: ignore[arg-type]


STAMPS: dict[str, Callable[[Path], Any]] = {  # what decides -> its fingerprint
    "validated batches": lambda folder: validate.fingerprint(
        settings_of(folder), PARAMS.validation
    ),
    "prepared batches": prepare_stamp,
    "held batches": hold_stamp,
    "a seed's model": lambda _: seed_fingerprint("rows", PARAMS, "cpu", 0),
    "a way of training": lambda _: way_of(dataset, PARAMS, "xgboost"),
    "the linear way": lambda _: way_of(dataset, PARAMS, "linear"),
    "a training run": lambda _: sweep_fingerprint("rows", PARAMS, "cpu"),
    "a look of monitoring": watch_stamp,
}
FOLLOWS = {
    "INGEST": set(),  # `dvc.yaml` alone knows it: batches that are there stay as they were taken
    "VALIDATE": {"validated batches"},
    "PREPARE": {"prepared batches"},
    "HOLD": {"held batches"},
    "TRAIN": {"a seed's model", "a way of training", "the linear way", "a training run"},
    "JUDGE": {"a training run"},
    "WATCH": {"a look of monitoring"},
}


@pytest.fixture
def stamps(tmp_path: Path) -> Callable[[], dict[str, Any]]:
    """All fingerprints as they are now."""
    for name in STAMPS:
        (tmp_path / name).mkdir()
    return lambda: {name: stamp(tmp_path / name) for name, stamp in STAMPS.items()}


def test_recipes_are_whole_numbers_that_only_grow() -> None:
    assert set(NUMBERS) == set(FOLLOWS)
    assert all(
        type(getattr(recipes, name)) is int and getattr(recipes, name) >= 1 for name in NUMBERS
    )
    lines = Path(recipes.__file__).read_text().splitlines()
    assert [
        name for name in NUMBERS if not any(re.match(rf"{name} = \d+  # ", line) for line in lines)
    ] == []


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_that_moved_moves_what_follows_it_alone(
    number: str, stamps: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stamps()
    assert stamps() == before
    monkeypatch.setattr(recipes, number, getattr(recipes, number) + 1)
    after = stamps()
    assert {name for name in before if after[name] != before[name]} == FOLLOWS[number]


def test_a_docstring_of_the_library_moves_nothing(
    stamps: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if this process had taken every file of the library with another first line."""
    before = stamps()
    for path in code.PACKAGE.rglob("*.py"):
        monkeypatch.setitem(code._KEPT, str(path.resolve()), b"# a typo mended\n" + code.read(path))
    assert stamps() == before


@pytest.mark.parametrize("name", ["dataset", "expectations"])
def test_a_users_file_moves_what_is_made_by_it(
    name: str, stamps: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.util import find_spec

    before, spec = stamps(), find_spec(f"late_flights.{name}")
    assert spec
    assert spec.origin
    path = Path(spec.origin).resolve()
    monkeypatch.setitem(code._KEPT, str(path), code.read(path) + b"# edited\n")
    after = stamps()
    made = {"validated batches", *(["prepared batches"] if name == "dataset" else [])}
    assert {name for name in before if after[name] != before[name]} == made


# --- whole stages


def dvc(project: Project, *words: str) -> str:
    """What `dvc` by itself prints."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *words],
        cwd=project.root, env=environment(project.root), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def project(validated_project: Project) -> Project:
    """A small project whose batches are prepared."""
    dvc(validated_project, "repro")
    return validated_project


def due(project: Project, cli: Callable[..., subprocess.CompletedProcess[str]]) -> set[str]:
    """The stages that `evergreen status` and `dvc status` say are to run."""
    (line,) = [
        line
        for line in cli(project, "status").stdout.splitlines()
        if line.startswith("stages to run")
    ]
    stages = set(line.removeprefix("stages to run").replace(",", "").split()) - {"none"}
    assert set(json.loads(dvc(project, "status", "--json"))) == stages
    return stages


@pytest.mark.slow
def test_a_typo_mended_in_the_library_prepares_nothing_anew(
    project: Project, cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    times = {
        path: path.stat().st_mtime_ns
        for path in (project.root / "data").rglob("*")
        if path.is_file()
    }
    assert due(project, cli) == set()
    for path in (project.root / "src" / "evergreen" / "data").glob("*.py"):
        path.write_text(path.read_text().replace('"""', '"""Mended. ', 1))
    assert due(project, cli) == set()
    assert dvc(project, "repro").count("didn't change, skipping") == 3
    assert "nothing new" in cli(project, "validate").stdout
    assert {path: path.stat().st_mtime_ns for path in times} == times


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "stage", "made"),
    [
        ("VALIDATE", "validate", ["validated"]),
        ("PREPARE", "prepare", ["features"]),
        ("HOLD", "prepare", []),
    ],
)
def test_a_number_that_moved_does_its_step_anew(
    number: str,
    stage: str,
    made: list[str],
    project: Project,
    cli: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    def stamps() -> dict[str, dict[str, Any]]:
        folders = {
            name: Manifest(project.root / "data" / name).entries
            for name in ("raw", "validated", "features")
        }
        return {
            name: {batch: entry.get("stamp") for batch, entry in kept.items()}
            for name, kept in folders.items()
        }

    path, before = project.root / "src" / "evergreen" / "recipes.py", stamps()
    path.write_text(re.sub(rf"^{number} = ", f"{number} = 9", path.read_text(), flags=re.MULTILINE))
    assert due(project, cli) == {stage}
    dvc(project, "repro")
    assert due(project, cli) == set()
    after = stamps()
    assert [
        name for name in before if not set(before[name].items()) & set(after[name].items())
    ] == made
    assert all(before[name] == after[name] for name in before if name not in made)
