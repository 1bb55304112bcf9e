"""Restore: code, library, parameters and data as they were, and what is lacking, told."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, begin, git
from registries import package

from evergreen.errors import InputError
from evergreen.reproduce import restore as module
from evergreen.reproduce.flow import FLOW
from evergreen.reproduce.recorded import Recorded
from evergreen.reproduce.restore import AGAIN, restore
from evergreen.scoring.package import read_package
from evergreen.stores.dvc_bytes import Brought
from evergreen.stores.git import read_commit

pytestmark = pytest.mark.slow  # git, again and again
LATER = "params.yaml", "src/own.py"
SEEDS = {"evergreen.seeds": "[0]"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A committed project, edited since."""
    root = tmp_path / "home"
    (root / "src").mkdir(parents=True)
    (root / "params.yaml").write_text("task: binary\n")
    (root / "src" / "own.py").write_text("VALUE = 1\n")
    (root / "flows").mkdir()
    shutil.copy(ROOT / FLOW, root / FLOW)
    begin(root)
    return root


@pytest.fixture
def recorded(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """A version made there, of an uncommitted change, before the project went on."""
    monkeypatch.setattr(module, "bring_back", lambda *_: Brought(2))
    (home / "params.yaml").write_text("task: regression\n")
    (home / "src" / "own.py").write_text("VALUE = 2\n")
    commit = read_commit(home)
    git(home, "commit", "-qam", "later")
    for name in LATER:
        (home / name).write_text("later\n")
    library = tmp_path / "evergreen-1-py3-none-any.whl"
    with zipfile.ZipFile(library, "w") as archive:
        archive.writestr(AGAIN, "")
    place = package(tmp_path / "package")
    tags = SEEDS | {"mlflow.source.git.commit": commit.name}
    texts = "task: regression\n", "stages: {}\n", commit.changes
    return Recorded("1", tags, {}, *texts, place, library, read_package(place))


def test_all_is_as_it_was(recorded: Recorded, home: Path, tmp_path: Path) -> None:
    found = restore(recorded, home, tmp_path / "w")
    assert (found.stops, found.lacks) == ((), ())
    assert (found.root / "src" / "own.py").read_text() == "VALUE = 2\n"
    assert (found.root / "params.yaml").read_text() == "task: regression\n"
    assert (found.root / "dvc.lock").read_text() == "stages: {}\n"
    assert (found.library / AGAIN).is_file()
    assert {(home / name).read_text() for name in LATER} == {"later\n"}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"changes": "+password = ***\n"}, "cannot be applied (a secret in it is masked)"),
        ({"changes": "new file: src/more.py\n"}, "neither committed nor kept: src/more.py"),
        ({"params": "token: ***\n"}, "a secret in params.yaml is masked"),
    ],
)
def test_what_may_change_the_model_is_told(
    change: dict[str, Any], part: str, recorded: Recorded, home: Path, tmp_path: Path
) -> None:
    found = restore(replace(recorded, **change), home, tmp_path / "w")
    (told,) = found.lacks
    assert (found.stops, part in told) == ((), True)


def test_a_secret_that_is_committed_is_masked_and_still_there(
    recorded: Recorded, home: Path, tmp_path: Path
) -> None:
    (home / "params.yaml").write_text("token: abc\n")
    git(home, "commit", "-qam", "a secret")
    tags = {"mlflow.source.git.commit": git(home, "rev-parse", "HEAD").strip()}
    found = restore(
        replace(recorded, tags=tags, changes="", params="token: ***\n"), home, tmp_path / "w"
    )
    assert (found.root / "params.yaml").read_text() == "token: abc\n"
    assert found.lacks == ()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"tags": SEEDS | {"evergreen.git.no_commit": "no git here"}}, "code: no git here"),
        ({"tags": SEEDS | {"mlflow.source.git.commit": "12" * 20}}, "is not in this repository"),
        ({"library": None}, "library: "),
        ({"params": ""}, "parameters: "),
        ({"lock": ""}, "data: dvc.lock is not among"),
    ],
)
def test_what_is_lacking_stops(
    change: dict[str, Any], part: str, recorded: Recorded, home: Path, tmp_path: Path
) -> None:
    found = restore(replace(recorded, **change), home, tmp_path / "w")
    (told,) = found.stops
    assert part in told


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (Brought(1, altered=("data/raw/a",)), ["not the bytes that were recorded: data/raw/a"]),
        (
            Brought(1, missing=("data/raw/b",), unread=("s3://x: no login",)),
            ["in its remote: data/raw/b", "s3://x: no login"],
        ),
        (Brought(2, unread=("s3://x: not needed",)), []),
    ],
)
def test_data_that_cannot_be_brought_back_stop(
    data: Brought,
    parts: list[str],
    recorded: Recorded,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "bring_back", lambda *_: data)
    told = restore(recorded, home, tmp_path / "w").stops
    assert [part in said for part, said in zip(parts, told, strict=True)] == [True] * len(parts)


def test_a_run_that_names_no_seeds_stops(recorded: Recorded, home: Path, tmp_path: Path) -> None:
    tags = {name: value for name, value in recorded.tags.items() if name not in SEEDS}
    (told,) = restore(replace(recorded, tags=tags), home, tmp_path / "w").stops
    assert told.startswith("seeds: ")


def test_a_damaged_lock_or_library_stops(
    recorded: Recorded, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> Brought:
        raise InputError("the run's dvc.lock is damaged")

    monkeypatch.setattr(module, "bring_back", damaged)
    assert recorded.library
    recorded.library.write_text("no archive")
    told = restore(recorded, home, tmp_path / "w").stops
    assert [said.partition(":")[0] for said in told] == ["library", "data"]
