"""Write: all files or none; what git does not have is never written over."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import begin, git, settings_of

from evergreen.adopt import write as module
from evergreen.adopt.adopt import Adoption
from evergreen.adopt.write import OWN, check_fresh, take_first_batches, write
from evergreen.errors import InputError
from evergreen.project import Project

FILES = [name.format(package="customers") for name in OWN]
ADOPTION = Adoption(
    {
        **{name: f"new {name}\n" for name in FILES if not name.endswith("/flights.py")},
        "reports/adopt.md": "# seen\n",
    },
    {"inbox/a.csv": b"a\n1\n", "inbox/b.csv": b"a\n2\n"},
    "seen",
    plan=None,  # type: ignore[arg-type]
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that git has all of."""
    root = tmp_path / "project"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"old {name}\n")
    project = settings_of(root, "customers")
    begin(root)
    return project


def files(project: Project) -> dict[str, str]:
    found = (
        path for path in project.root.rglob("*") if path.is_file() and ".git" not in path.parts
    )
    return {str(path.relative_to(project.root)): path.read_text() for path in found}


def test_everything_is_written_and_nothing_else(project: Project) -> None:
    check_fresh(project)
    write(project, ADOPTION)
    settings = (project.root / "pyproject.toml").read_text()
    assert files(project) == {
        **ADOPTION.texts,
        "pyproject.toml": settings,
        "inbox/a.csv": "a\n1\n",
        "inbox/b.csv": "a\n2\n",
    }


def test_an_empty_inbox_is_filled(project: Project) -> None:
    (project.root / "inbox").mkdir()
    check_fresh(project)
    write(project, ADOPTION)
    assert (project.root / "inbox" / "b.csv").exists()


@pytest.mark.parametrize("failing", [*ADOPTION.texts, "inbox"])
def test_a_failure_leaves_all_as_it_was(
    failing: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, whole, replace = files(project), module.write_whole, Path.replace

    def fail(path: Path, fill: Callable[[Path], object]) -> None:
        if str(path).endswith(failing):
            raise OSError(28, "No space left on device")
        whole(path, fill)

    def fail_too(path: Path, target: Path) -> Path:
        if target.name == failing:
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(module, "write_whole", fail)
    monkeypatch.setattr(Path, "replace", fail_too)
    with pytest.raises(OSError, match="No space left"):
        write(project, ADOPTION)
    assert files(project) == before


def spoil_file(project: Project) -> None:
    (project.root / FILES[0]).write_text("mine")


def spoil_staged(project: Project) -> None:
    spoil_file(project)
    git(project.root, "add", "-A")


def spoil_data(project: Project) -> None:
    project.raw.mkdir(parents=True)
    (project.raw / "manifest.json").write_text(
        '{"2013-01": {"start": "2013-01-01", "end": "2013-02-01"}}'
    )


def spoil_inbox(project: Project) -> None:
    (project.root / "inbox").mkdir()
    (project.root / "inbox" / "mine.csv").write_text("a\n")


def spoil_git(project: Project) -> None:
    (project.root / ".git").rename(project.root / "elsewhere")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_file, "src/customers/dataset.py: changed since the last commit"),
        (spoil_staged, "src/customers/dataset.py: changed since the last commit"),
        (spoil_data, "`rm -rf data stores reports dvc.lock inbox` forgets all of it"),
        (spoil_inbox, "inbox/ already holds files"),
        (spoil_git, "is in no git repository"),
    ],
)
def test_nothing_is_written_over_that_would_be_lost(
    spoil: Any, says: str, project: Project
) -> None:
    spoil(project)
    with pytest.raises(InputError) as caught:
        check_fresh(project)
    assert says in str(caught.value)


def test_what_the_steps_refuse_is_said_in_their_words(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        failed = command[-1] == "validate"
        return subprocess.CompletedProcess(
            command, int(failed), "", "a warning\nerror: batch 'a' is bad" if failed else ""
        )

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(InputError) as caught:
        take_first_batches(project)
    assert "`evergreen validate` refused the table: batch 'a' is bad\nedit dataset.py" in str(
        caught.value
    )


def test_what_the_last_step_says_is_shown(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = subprocess.CompletedProcess([], 0, "1 new\n", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: said)
    assert take_first_batches(project) == "1 new"
