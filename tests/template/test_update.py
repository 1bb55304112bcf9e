"""A project takes a newer template, by a three-way merge that keeps what was changed in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import begin, git
from template.making import bake, verify

from evergreen.errors import InputError
from evergreen.update import update

pytestmark = pytest.mark.slow

MODULE = "src/evergreen/data/keys.py"


@pytest.fixture
def project(clone: Path, tmp_path: Path) -> Path:
    """A project made from the clone, with an edit of its own."""
    made = bake(clone, tmp_path / "churn-model", project_name="Churn Model")
    answers = (made / ".template.json").read_text()
    (made / ".template.json").write_text(answers.replace('"_template": null', f'"_template": "{clone}"'))
    begin(made)
    edit(made, MODULE, '"""Row keys', '"""Our own row keys')
    keep(made, "mine")
    return made


def edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))


def keep(folder: Path, why: str) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", why)


def test_nothing_new(project: Path) -> None:
    assert "nothing new" in update(project)
    assert git(project, "status", "--porcelain") == ""


def test_what_is_new_comes_in_and_edits_stay(project: Path, clone: Path) -> None:
    edit(
        clone,
        MODULE,
        "The same on every machine",
        "The same for all on every machine",
    )
    (clone / "docs" / "news.md").write_text("What is new in late_flights.\n")
    (clone / "src/evergreen/data/finding.py").unlink()
    keep(clone, "newer")
    assert "files merged" in update(project)
    text = (project / MODULE).read_text()
    assert "Our own row keys" in text
    assert "The same for all on every machine" in text
    assert (project / "docs" / "news.md").read_text() == "What is new in churn_model.\n"
    assert not (project / "src/evergreen/data/finding.py").exists()
    assert git(clone, "rev-parse", "HEAD").strip() in (project / ".template.json").read_text()
    verify(project)
    keep(project, "updated")
    assert "nothing new" in update(project)


def test_a_file_that_was_renamed_here_gets_the_change(project: Path, clone: Path) -> None:
    git(project, "mv", MODULE, MODULE.replace("keys", "row_keys"))
    keep(project, "renamed")
    edit(clone, MODULE, "The same on every machine", "Equal on every machine")
    keep(clone, "newer")
    update(project)
    assert "Equal on every machine" in (project / MODULE.replace("keys", "row_keys")).read_text()


def test_conflicts_look_like_those_of_git_and_can_be_given_up(project: Path, clone: Path) -> None:
    edit(clone, MODULE, '"""Row keys', '"""Their row keys')
    keep(clone, "newer")
    with pytest.raises(InputError, match="both changed the same lines"):
        update(project)
    text = (project / MODULE).read_text()
    assert "<<<<<<<" in text
    assert "Our own row keys" in text
    assert "Their row keys" in text
    git(project, "reset", "--merge")
    assert git(project, "status", "--porcelain") == ""


def test_another_answer_and_an_older_commit(project: Path, clone: Path) -> None:
    git(clone, "tag", "v1")
    (clone / "docs" / "news.md").write_text("News.\n")
    keep(clone, "newer")
    update(project, answers={"ci": "gitlab"})
    assert (project / ".gitlab-ci.yml").exists()
    assert not (project / ".github").exists()
    keep(project, "on gitlab")
    update(project, "v1")
    assert not (project / "docs" / "news.md").exists()
    assert (project / ".gitlab-ci.yml").exists()


def test_a_commit_that_is_not_there(project: Path) -> None:
    with pytest.raises(InputError, match="no commit, tag or branch 'v9'"):
        update(project, "v9")
