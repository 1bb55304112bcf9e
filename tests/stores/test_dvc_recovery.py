"""Recovery: `dvc.lock` comes back after a kill, and only locks that nobody holds are dropped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evergreen.project import Project
from evergreen.stores.dvc_recovery import drop_stale_locks, keep_record, restore_record


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / ".dvc" / "tmp").mkdir(parents=True)
    return Project(tmp_path)


@pytest.mark.parametrize("before", [None, b"stages: {}\n"], ids=["the first", "a later one"])
def test_a_record_that_was_interrupted_is_restored(before: bytes | None, project: Project) -> None:
    lock = project.root / "dvc.lock"
    if before:
        lock.write_bytes(before)

    def interrupted() -> None:
        with keep_record(project):
            lock.write_bytes(b"")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    restore_record(project)
    assert (lock.read_bytes() if lock.exists() else None) == before
    lock.write_bytes(b"later")
    restore_record(project)  # nothing is left to restore
    assert lock.read_bytes() == b"later"


def test_a_record_that_was_written_stays(project: Project) -> None:
    lock = project.root / "dvc.lock"
    lock.write_bytes(b"before")
    with keep_record(project):
        lock.write_bytes(b"after")
    restore_record(project)
    assert lock.read_bytes() == b"after"


def dead() -> int:
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1)
    return int(done.stdout)


HOLDERS = {  # the content of DVC's file of locks, and whether it stays
    "a living writer": (lambda: {"write": {"data": {"pid": os.getpid()}}}, True),
    "a living reader": (lambda: {"read": {"data": [{"pid": os.getpid()}]}}, True),
    "a dead writer": (lambda: {"write": {"data": {"pid": dead()}}}, False),
    "a dead reader": (lambda: {"read": {"data": [{"pid": dead()}]}}, False),
    "nobody": (dict, False),
}


@pytest.mark.parametrize("case", HOLDERS)
def test_locks_are_dropped_whose_holders_are_gone(case: str, project: Project) -> None:
    content, stays = HOLDERS[case]
    path = project.root / ".dvc" / "tmp" / "rwlock"
    path.write_text(json.dumps(content()))
    drop_stale_locks(project)
    assert path.exists() == stays


def test_a_lock_is_dropped_that_an_earlier_process_of_the_same_number_left(
    project: Project,
) -> None:
    path = project.root / ".dvc" / "tmp" / "rwlock"
    path.write_text(json.dumps({"write": {"data": {"pid": os.getpid()}}}))
    os.utime(path, (1, 1))  # before this process began
    drop_stale_locks(project)
    assert not path.exists()


@pytest.mark.parametrize("content", ["", '{"write": {"data"', "[]", '{"write": 1}'])
def test_a_file_of_locks_that_was_cut_short_is_dropped(content: str, project: Project) -> None:
    path = project.root / ".dvc" / "tmp" / "rwlock"
    path.write_text(content)
    drop_stale_locks(project)
    assert not path.exists()
