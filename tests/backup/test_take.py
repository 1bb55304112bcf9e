"""Take: a snapshot has all that counts, of one moment, and costs what is new."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backup.backed import register, registered

from evergreen.backup.snapshot import find_snapshots, read_about, verify
from evergreen.backup.take import take
from evergreen.errors import InputError
from evergreen.files import write_json
from evergreen.project import Project

pytestmark = pytest.mark.slow  # real stores
LEFT_OUT = (
    "run.lock",
    "stores/replay",
    "stores/reproduced",
    ".part-",
    "data/raw",
    "__pycache__",
    "/.git/",
)


def names(snapshot: Path) -> set[str]:
    return {name.removeprefix("project/") for name in read_about(snapshot).files}


def test_all_that_counts_is_in_it_and_nothing_else(project: Project, tmp_path: Path) -> None:
    taken = take(project, tmp_path / "backup")
    found = names(taken.snapshot)
    assert found >= {
        "code.bundle",
        "dvc.lock",
        "params.yaml",
        "notes.md",
        "inbox/new.csv",
        "stores/mlflow.db",
        "stores/login",
        "stores/mlflow/models/m-2/model.ubj",
        "data/predictions/2013-06/1.parquet",
    }
    cached = [path for path in (project.root / ".dvc/cache/files").rglob("*") if path.is_file()]
    assert cached
    assert {str(path.relative_to(project.root)) for path in cached} <= found
    assert [name for name in found if any(part in f"/{name}" for part in LEFT_OUT)] == []
    verify(taken.snapshot, read_about(taken.snapshot))
    assert taken.lacking == ()
    assert registered(taken.snapshot / "project") == registered(project.root)
    assert stat.S_IMODE(taken.snapshot.stat().st_mode) == 0o700


def test_a_second_one_costs_what_is_new(project: Project, tmp_path: Path) -> None:
    first = take(project, tmp_path / "backup")
    assert first.new == first.size
    register(project, 3)
    second = take(project, tmp_path / "backup")
    changed = [project.stores / "mlflow.db", project.stores / "mlflow/models/m-3/model.ubj"]
    assert second.new == sum(path.stat().st_size for path in changed)
    shutil.rmtree(first.snapshot)
    verify(second.snapshot, read_about(second.snapshot))


def test_the_same_bytes_are_kept_once(project: Project, tmp_path: Path) -> None:
    """As DVC's cache and its remote hold them."""
    for name in ("one", "two"):
        path = project.stores / "dvc" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 9_000)
        os.utime(path, (1, len(name)))
    without = take(project, tmp_path / "first").new
    (project.stores / "dvc" / "three").write_bytes(b"x" * 9_000)
    taken = take(project, tmp_path / "second")
    assert abs(taken.new - without) < 2_000  # the bundle, by a few bytes
    places = [taken.snapshot / "project/stores/dvc" / name for name in ("one", "two", "three")]
    assert len({place.stat().st_ino for place in places}) == 1
    verify(taken.snapshot, read_about(taken.snapshot))


def test_each_version_that_a_snapshot_knows_is_in_it(project: Project, tmp_path: Path) -> None:
    """While versions are registered, one after the other, without a pause."""
    done = threading.Event()

    def go_on() -> None:
        version = 3
        while not done.is_set():
            register(project, version)
            version += 1

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        snapshots = [take(project, tmp_path / "backup").snapshot for _ in range(4)]
    finally:
        done.set()
        thread.join()
    counts = [len(registered(snapshot / "project")) for snapshot in snapshots]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]  # it did go on
    for snapshot in snapshots:
        known = {f"stores/mlflow/models/m-{n}/model.ubj" for n in registered(snapshot / "project")}
        assert known <= names(snapshot)


def test_without_a_commit_the_files_are_kept_and_it_is_said(
    project: Project, tmp_path: Path
) -> None:
    shutil.rmtree(project.root / ".git")
    subprocess.run(["git", "init", "-q", str(project.root)], check=True)
    taken = take(project, tmp_path / "backup")
    assert "nothing is committed yet" in taken.lacking[0]
    assert {"params.yaml", "notes.md", "src/late_flights/dataset.py"} <= names(taken.snapshot)


def test_models_in_a_server_are_said_to_lack(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert "MLFLOW_TRACKING_URI" in take(project, tmp_path / "backup").lacking[0]


@pytest.mark.parametrize("uri", ["", "http://mlflow:5000"])  # without and within a container
def test_what_is_in_the_stack_has_a_command_of_its_own(
    uri: str, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    (project.root / "infra").mkdir()
    (project.root / "infra" / ".env").write_text("COMPOSE_PROFILES=cpu\n")
    (lacking,) = take(project, tmp_path / "backup").lacking
    assert lacking.endswith("PostgreSQL: `infra/backup.sh FOLDER` writes all of it")
    dump = project.stores / "stack" / "mlflow.dump"  # which that puts there
    dump.parent.mkdir()
    dump.write_bytes(b"PGDMP")
    assert take(project, tmp_path / "backup").lacking == ()


def test_folders_that_are_links_are_followed(project: Project, tmp_path: Path) -> None:
    models = project.stores / "mlflow"
    shutil.move(models, tmp_path / "disk")
    models.symlink_to(tmp_path / "disk")
    (models / "models" / "loop").symlink_to(tmp_path / "disk")
    found = names(take(project, tmp_path / "backup").snapshot)
    assert "stores/mlflow/models/m-2/model.ubj" in found
    assert not [name for name in found if "loop" in name]


def test_what_a_bundle_cannot_hold_is_said(project: Project, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(project.root / "tools")], check=True)
    (project.root / ".git" / "shallow").write_bytes(
        subprocess.run(
            ["git", "-C", str(project.root), "rev-parse", "HEAD"], check=True, capture_output=True
        ).stdout
    )
    taken = take(project, tmp_path / "backup")
    assert "shallow" in taken.lacking[0]
    assert "tools/" in taken.lacking[1]
    assert "code.bundle" not in names(taken.snapshot)


def test_a_full_disk_is_no_database_that_is_held(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("evergreen.backup.take._copy_database", fill)
    with pytest.raises(InputError, match=r"cannot be written: .* disk is full"):
        take(project, tmp_path / "backup")


def test_a_key_that_is_in_no_file_is_said_to_lack(project: Project, tmp_path: Path) -> None:
    told = {"personal": {"columns": {"email": "hash"}, "key": "k"}}
    write_json(project.raw / "manifest.json", {"2013-01": told})
    assert "EVERGREEN_PERSONAL_KEY" in take(project, tmp_path / "backup").lacking[0]
    (project.stores / "personal.key").write_text("k" * 32)
    assert take(project, tmp_path / "backup").lacking == ()


def inside(project: Project, backup: Path) -> Path:
    return project.root / "backup"


def held(project: Project, backup: Path) -> Path:
    (project.stores / "mlflow.db").write_bytes(b"SQLite format 3\0 and then nothing")
    return backup


def a_file(project: Project, backup: Path) -> Path:
    backup.write_text("")
    return backup


def empty_lock(project: Project, backup: Path) -> Path:
    (project.root / "dvc.lock").write_text("")
    return backup


def no_git(project: Project, backup: Path) -> Path:
    shutil.rmtree(project.root / ".git")
    return backup


def odd_name(project: Project, backup: Path) -> Path:
    Path(os.fsdecode(os.fsencode(project.root / "inbox") + b"/caf\xe9.csv")).touch()
    return backup


REFUSED: dict[str, tuple[Callable[[Project, Path], Path], str]] = {
    "in the project": (inside, "is lost with the project that it lies in"),
    "a damaged database": (held, r"mlflow\.db is damaged"),
    "a file": (a_file, "cannot be written"),
    "a name in another encoding": (odd_name, "is no text in UTF-8: rename the file"),
    "no repository": (no_git, "is in no git repository"),
    "a damaged dvc.lock": (empty_lock, r"dvc\.lock is damaged"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_backup_that_cannot_be_is_one_sentence_and_leaves_nothing(
    case: str, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evergreen.backup.take.PATIENCE", 1)
    make, says = REFUSED[case]
    place = make(project, tmp_path / "backup")
    with pytest.raises(InputError, match=says):
        take(project, place)
    assert find_snapshots(place) == []
    assert not place.is_dir() or [*place.iterdir()] == []


def test_what_a_kill_left_goes_and_a_damaged_one_before_is_passed_over(
    project: Project, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    first = take(project, backup).snapshot
    (first / "backup.json").write_text("{")
    (backup / ".part-999999999-x").mkdir()
    second = take(project, backup)
    assert second.new == second.size
    assert sorted(path.name for path in backup.iterdir()) == [first.name, second.snapshot.name]


def test_files_that_vanish_or_are_no_files_are_left_out(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(project.root / "inbox" / "pipe")
    (project.root / "inbox" / "loop").symlink_to("loop")
    copy2 = shutil.copy2

    def vanish(source: Path, *more: Any) -> Any:
        if source.name == "new.csv":
            source.unlink()
        return copy2(source, *more)

    monkeypatch.setattr("evergreen.backup.take.shutil.copy2", vanish)
    found = names(take(project, tmp_path / "backup").snapshot)
    assert [name for name in found if name.startswith("inbox/")] == []
