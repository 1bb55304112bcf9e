"""Updates are refused where there is nothing to update from, and one's own work is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import begin, git

from evergreen.errors import InputError
from evergreen.update import ANSWERS, update


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "README.md").write_text("mine\n")
    begin(folder)
    return folder


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "work", "--allow-empty")


def answer(folder: Path, **facts: object) -> None:
    (folder / ANSWERS).write_text(
        json.dumps({"ci": "none", "_template": "/nowhere", "_commit": "1234"} | facts)
    )
    commit(folder)


def test_the_template_itself(root: Path) -> None:
    with pytest.raises(InputError, match="this is the template itself"):
        update(root)


def test_answers_that_are_damaged(root: Path) -> None:
    (root / ANSWERS).write_text("{")
    commit(root)
    with pytest.raises(InputError, match="is damaged"):
        update(root)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"_commit": None}, "_commit is None; write there the commit"),
        ({"_commit": "1234-dirty"}, "_commit is '1234-dirty'"),
        ({"_template": ""}, "_template is ''; write there where the template is"),
        ({}, "'/nowhere' cannot be cloned"),
    ],
)
def test_a_template_that_cannot_be_found(root: Path, facts: dict[str, object], said: str) -> None:
    answer(root, **facts)
    with pytest.raises(InputError, match=said):
        update(root)
    assert git(root, "status", "--porcelain") == ""


def test_own_changes_must_be_committed(root: Path) -> None:
    answer(root)
    (root / "README.md").write_text("changed\n")
    with pytest.raises(InputError, match="not committed"):
        update(root)
    assert (root / "README.md").read_text() == "changed\n"


@pytest.mark.parametrize("question", ["colour", "_commit"])
def test_an_answer_to_no_question(root: Path, question: str) -> None:
    answer(root)
    with pytest.raises(
        InputError, match=f"'{question}' is no question of the template: there are ci"
    ):
        update(root, answers={question: "x"})


def test_a_project_within_another_repository(root: Path) -> None:
    inner = root / "inner"
    inner.mkdir()
    answer(inner)
    with pytest.raises(InputError, match="not the top of its git repository"):
        update(inner)
