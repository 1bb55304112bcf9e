"""The project: found from below, and held by one process at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evergreen.errors import InputError
from evergreen.project import Project

SRC = Path(__file__).resolve().parents[1] / "src"
HOLD = (
    "import sys, time; from pathlib import Path; from evergreen.project import Project\n"
    "with Project(Path(sys.argv[1])).lock():\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.read()\n"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder that is a project."""
    root = tmp_path / "project"
    root.mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        (root / name).touch()
    return root


# --- finding


@pytest.mark.parametrize("below", [".", "data", "src/evergreen/data", "a b/ü"])
def test_found_from_any_folder_below(
    root: Path, below: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / below).mkdir(parents=True, exist_ok=True)
    assert Project.find(root / below) == Project(root)
    monkeypatch.chdir(root / below)
    assert Project.find() == Project(root)


def test_the_innermost_project_is_found(root: Path) -> None:
    inner = root / "copies" / "other"
    inner.mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml"):
        (inner / name).touch()
    assert Project.find(inner).root == inner
    assert Project.find(inner.parent).root == root


def test_found_through_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert Project.find(tmp_path / "link").root == root


def unfinished(root: Path) -> None:
    (root / "dvc.yaml").unlink()


def folder(root: Path) -> None:
    (root / "params.yaml").unlink()
    (root / "params.yaml").mkdir()


@pytest.mark.parametrize("spoil", [unfinished, folder])
def test_half_a_project_is_none(root: Path, spoil: Callable[[Path], None]) -> None:
    spoil(root)
    with pytest.raises(InputError, match=r"holds params\.yaml and dvc\.yaml"):
        Project.find(root)


def test_no_project_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        Project.find()
    assert str(tmp_path) in str(caught.value)


def test_places_lie_in_the_project(root: Path) -> None:
    project = Project(root)
    assert project.params == root / "params.yaml"
    data = [
        project.raw,
        project.validated,
        project.validation,
        project.quarantine,
        project.features,
    ]
    assert [place.relative_to(root / "data").name for place in data] == [
        "raw", "validated", "validation", "quarantine", "features"]  # fmt: skip
    assert [project.reports, project.stores] == [root / "reports", root / "stores"]


# --- the lock


@contextmanager
def holder(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the project until it is told to stop."""
    command = [sys.executable, "-c", HOLD, str(root)]
    env = os.environ | {"PYTHONPATH": str(SRC)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_second_process_is_refused_with_the_pid_of_the_first(root: Path) -> None:
    with holder(root) as process:
        for _ in range(2):
            with pytest.raises(InputError) as caught, Project(root).lock():
                pytest.fail("two runs at once")
            said = str(caught.value)
            assert f"process {process.pid}" in said
            assert "wait for it, or stop it, then run again" in said
        process.communicate(b"")
        with Project(root).lock():
            assert (root / "stores" / "run.pid").read_text() == str(os.getpid())


@pytest.mark.slow
def test_lock_is_free_once_its_holder_was_killed(root: Path) -> None:
    with holder(root) as process:
        process.kill()
        process.wait()
        with Project(root).lock():
            pass


def test_lock_is_free_after_use_and_after_an_error(root: Path) -> None:
    project = Project(root)
    for _ in range(2):
        with project.lock():
            pass
        with pytest.raises(ValueError, match="a bug"), project.lock():
            raise ValueError("a bug")


def test_second_holder_in_one_process_is_refused(root: Path) -> None:
    refused: list[str] = []

    def try_it() -> None:
        try:
            with Project(root).lock():
                pass
        except InputError as error:
            refused.append(str(error))

    with Project(root).lock():
        try_it()
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    assert len(refused) == 2
    assert all(f"process {os.getpid()}" in said for said in refused)


def test_projects_are_held_apart(root: Path, tmp_path: Path) -> None:
    with Project(root).lock(), Project(tmp_path / "other").lock():
        assert (tmp_path / "other" / "stores" / "run.lock").exists()


@pytest.mark.slow
def test_unknown_holder_is_said_to_be_unknown(root: Path) -> None:
    with holder(root):
        (root / "stores" / "run.pid").unlink()
        with pytest.raises(InputError, match="process unknown"), Project(root).lock():
            pytest.fail("two runs at once")


# --- temporary folders

LEAVE = """
import os, sys
from pathlib import Path
from evergreen.project import Project
project = Project(Path(sys.argv[1]))
left = project.temporary()
left.__enter__()
project.reports.mkdir()
(project.reports / f'.part-{os.getpid()}-x.png').write_text('')
os._exit(1)
"""


def test_a_temporary_folder_goes_with_the_block(root: Path) -> None:
    with Project(root).temporary() as folder:
        assert Path(folder).parent == root / "stores"
        with Project(root).lock():  # of another command, say
            assert Path(folder).is_dir()
    assert list((root / "stores").glob(".part-*")) == []


@pytest.mark.slow
def test_what_a_killed_process_left_goes_with_the_next_run(root: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", LEAVE, str(root)],
        env=os.environ | {"PYTHONPATH": str(SRC)},
        check=False,
    )
    assert len([*root.rglob(".part-*")]) == 2
    with Project(root).lock():
        assert [*root.rglob(".part-*")] == []


def test_the_error_of_a_block_is_told_though_its_folder_will_not_go(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, dir_fd: int | None = None) -> None:
        raise OSError(39, "Directory not empty", path)  # as where a thread still writes into it

    def fail() -> None:
        with Project(root).temporary():
            monkeypatch.setattr(os, "rmdir", refuse)
            raise InputError("what matters")

    with pytest.raises(InputError, match="what matters"):
        fail()
    monkeypatch.undo()
