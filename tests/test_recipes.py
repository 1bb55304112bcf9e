"""Recipes: what is done again depends on the numbers and the user's files, nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import settings_of

from evergreen import code, recipes
from evergreen.features import prepare
from evergreen.files import read_entries
from evergreen.ingest.manifest import Manifest
from evergreen.params import Drift, Params
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
        batch.fingerprint
        for batch in _offers(SimpleNamespace(project=project, params=PARAMS), watched)
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


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_that_moved_moves_what_follows_it_alone(
    number: str, stamps: Callable[[], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stamps()
    assert stamps() == before
    monkeypatch.setattr(recipes, number, getattr(recipes, number) + 1)
    after = stamps()
    assert {name for name in before if after[name] != before[name]} == FOLLOWS[number]


@pytest.mark.slow
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
