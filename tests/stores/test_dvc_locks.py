"""DVC: no lock of its own outlives a process that was killed."""

from __future__ import annotations

import json
import os
import subprocess
import time

import pytest
from staged import held_locks, lock_of, rwlock_of, work_of

from evergreen.errors import InputError
from evergreen.stores.dvc import (
    run_stage,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_cache")]  # real stores


@pytest.fixture
def living():
    """A process that does nothing but live."""
    process = subprocess.Popen(["sleep", "600"])
    yield process.pid
    process.kill()
    process.wait()


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def leave_lock(project, content, *, age=0.0):
    """Write what a `dvc` process leaves while it works, `age` seconds ago."""
    path = rwlock_of(project)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    moment = time.time() - age
    os.utime(path, (moment, moment))


def held(project, pid, mode):
    """A lock on `data/features` by process `pid`."""
    path, holder = str(project.features), {"pid": pid, "cmd": "dvc repro"}
    return {
        "read": {path: [holder]} if mode == "read" else {},
        "write": {path: holder} if mode == "write" else {},
    }


def run_again(project):
    return run_stage(project, "prepare", work_of(project, "prepare"), force=True)


@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_lock_of_a_dead_process_is_dropped(mode, settled, dead):
    leave_lock(settled, held(settled, dead, mode))
    assert run_again(settled) == "prepare done"
    assert held_locks(settled) == []


@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_lock_is_dropped_whose_process_number_was_given_to_another(mode, settled, living):
    leave_lock(settled, held(settled, living, mode), age=3600)
    assert run_again(settled) == "prepare done"
    assert held_locks(settled) == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"read": {"/a/b": [{"pi',
        "[]",
        "null",
        '{"read": {}, "write": {"/a": {}}}',
        pytest.param("\0" * 99, id="zeros"),
    ],
)
def test_a_lock_that_was_cut_short_is_dropped(content, settled):
    leave_lock(settled, content)
    assert run_again(settled) == "prepare done"
    assert held_locks(settled) == []


@pytest.mark.parametrize("mode", ["read", "write"])
@pytest.mark.parametrize("empty", ["kept", "left out"])  # DVC writes an empty part, or none
def test_a_lock_of_a_process_at_work_is_respected(mode, empty, settled, living):
    content = held(settled, living, mode)
    if empty == "left out":
        content = {mode: content[mode]}
    leave_lock(settled, content, age=-5)  # the process is older than the file
    before = lock_of(settled)
    with pytest.raises(InputError, match="DVC is busy with this project: wait"):
        run_again(settled)
    assert lock_of(settled) == before
    assert json.loads(rwlock_of(settled).read_text()).items() >= content.items()


def test_a_living_lock_beside_a_dead_one_is_respected(settled, living, dead):
    content = held(settled, living, "write")
    content["write"]["/somewhere/else"] = {"pid": dead, "cmd": "dvc add"}
    leave_lock(settled, content, age=-5)
    with pytest.raises(InputError, match="DVC is busy"):
        run_again(settled)


def test_a_living_lock_on_other_data_does_not_stop_a_stage(settled, living):
    leave_lock(
        settled,
        {"read": {}, "write": {"/somewhere/else": {"pid": living, "cmd": "dvc add"}}},
        age=-5,
    )
    assert run_again(settled) == "prepare done"
    assert [lock["pid"] for lock in held_locks(settled)] == [living]
