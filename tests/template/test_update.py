"""A project takes a newer template, by a three-way merge that keeps what was changed in it."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from conftest import begin, git
from template.making import bake, verify, wheel_of

from evergreen.errors import InputError
from evergreen.update import update

pytestmark = pytest.mark.slow

PROJECT_README = "evergreen_template/overlay/always/README.md"
LIBRARY_MODULE = "src/evergreen/features/keys.py"
OWN_EDITS = {  # of somebody whose project it is
    "src/churn_model/dataset.py": ("YOURS: ", "OURS: "),
    "params.yaml": ("max_bad_rows: 0.02 ", "max_bad_rows: 0.05 "),
    "flows/training.py": ('"""', '"""Ours. '),
    "README.md": ("## What is yours", "## What is ours"),
}
ALONE = {  # of files in which nothing is new
    "src/churn_model/expectations.py": ('"""', '"""Ours. '),
    "tests/test_dataset.py": ('"""', '"""Ours. '),
    "prefect.yaml": ("# What runs by itself", "# Ours. What runs by itself"),
    "Makefile": ("## the quick tests", "## our quick tests"),
}


@pytest.fixture
def project(clone: Path, tmp_path: Path) -> Path:
    """A project made from the clone, with edits of its own."""
    made = bake(clone, tmp_path / "churn-model", project_name="Churn Model")
    answers = (made / ".template.json").read_text()
    (made / ".template.json").write_text(
        answers.replace('"_template": null', f'"_template": "{clone}"')
    )
    begin(made)
    for name, (old, new) in (OWN_EDITS | ALONE).items():
        edit(made, name, old, new)
    keep(made, "mine")
    return made


def edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))


def append(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text((folder / name).read_text() + text)


def keep(folder: Path, why: str) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", why)


def read_library(project: Path, name: str) -> str:
    """Return the text of a module in the project's wheel."""
    with zipfile.ZipFile(wheel_of(project)) as wheel:
        return wheel.read(name.removeprefix("src/")).decode()


def test_nothing_new(project: Path) -> None:
    assert "nothing new" in update(project)
    assert git(project, "status", "--porcelain") == ""


def test_a_newer_library_and_what_is_new_come_in_and_edits_stay(project: Path, clone: Path) -> None:
    edit(clone, LIBRARY_MODULE, "The same on every machine", "The same for all on every machine")
    append(clone, "src/late_flights/dataset.py", "\n# The end of late_flights.\n")
    append(clone, "params.yaml", "# The end.\n")
    append(clone, "flows/training.py", "\n\n# The end.\n")
    append(clone, PROJECT_README, "The end.\n")
    (clone / "flows" / "news.py").write_text('"""What is new in late_flights."""\n')
    (clone / "infra" / "databases.sql").unlink()
    keep(clone, "newer")
    before = wheel_of(project)
    assert "files merged" in update(project)
    assert wheel_of(project) == before
    assert "The same for all on every machine" in read_library(project, LIBRARY_MODULE)
    for name, (_, new) in OWN_EDITS.items():
        text = (project / name).read_text()
        assert new in text, name
        assert "The end" in text, name
    for name, (_, new) in ALONE.items():
        text = (project / name).read_text()
        assert new in text, name
        assert text == git(project, "show", f"HEAD:{name}"), name
    assert "# The end of churn_model.\n" in (project / "src/churn_model/dataset.py").read_text()
    assert (project / "flows" / "news.py").read_text() == '"""What is new in churn_model."""\n'
    assert not (project / "infra" / "databases.sql").exists()
    assert git(clone, "rev-parse", "HEAD").strip() in (project / ".template.json").read_text()
    verify(project)
    keep(project, "updated")
    assert "nothing new" in update(project)


@pytest.mark.long
def test_a_library_of_another_version_takes_the_place_of_the_old_one(
    project: Path, clone: Path
) -> None:
    edit(clone, "src/evergreen/__init__.py", '__version__ = "0.1.0"', '__version__ = "0.2.0"')
    edit(clone, "evergreen_template/overlay/always/pyproject.toml", ">=0.1,<0.2", ">=0.2,<0.3")
    edit(clone, "CHANGELOG.md", "## 0.1.0", "## 0.2.0 - 2027-01-01\n\n- It is faster.\n\n## 0.1.0")
    keep(clone, "0.2.0")
    told: list[str] = []
    done = update(project, tell=told.append)
    assert told == ["evergreen 0.1.0 -> 0.2.0\n\n## 0.2.0 - 2027-01-01\n\n- It is faster."]
    assert re.search(r"^ pyproject.toml +\| +2 \+-$", done, re.MULTILINE), done
    assert "4 files merged" in done
    assert wheel_of(project).name == "evergreen-0.2.0-py3-none-any.whl"
    assert {path.split()[-1] for path in git(project, "status", "--porcelain").splitlines()} == {
        ".template.json",
        "pyproject.toml",
        "requirements/library.txt",
        "vendor/evergreen-0.2.0-py3-none-any.whl",
    }
    verify(project)


@pytest.mark.long
def test_a_file_that_was_renamed_here_gets_the_change(project: Path, clone: Path) -> None:
    git(project, "mv", "flows/monitoring.py", "flows/watching.py")
    keep(project, "renamed")
    append(clone, "flows/monitoring.py", "\n\n# The end.\n")
    keep(clone, "newer")
    update(project)
    assert "# The end.\n" in (project / "flows/watching.py").read_text()


def test_conflicts_look_like_those_of_git_and_can_be_given_up(project: Path, clone: Path) -> None:
    edit(clone, "params.yaml", "max_bad_rows: 0.02 ", "max_bad_rows: 0.03 ")
    edit(clone, LIBRARY_MODULE, "The same on every machine", "Equal on every machine")
    keep(clone, "newer")
    with pytest.raises(InputError, match="both changed the same lines"):
        update(project)
    text = (project / "params.yaml").read_text()
    assert "<<<<<<<" in text
    assert "max_bad_rows: 0.05 " in text
    assert "max_bad_rows: 0.03 " in text
    assert git(project, "diff", "--name-only", "--diff-filter=U").split() == ["params.yaml"]
    assert "Equal on every machine" in read_library(project, LIBRARY_MODULE)
    git(project, "reset", "--merge")
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.long
def test_another_answer_and_an_older_commit(project: Path, clone: Path) -> None:
    git(clone, "tag", "v1")
    (clone / "flows" / "news.py").write_text('"""News."""\n')
    edit(clone, LIBRARY_MODULE, "The same on every machine", "Equal on every machine")
    keep(clone, "newer")
    update(project, answers={"ci": "gitlab"})
    assert (project / ".gitlab-ci.yml").exists()
    assert not (project / ".github").exists()
    assert "Equal on every machine" in read_library(project, LIBRARY_MODULE)
    keep(project, "on gitlab")
    update(project, "v1")
    assert not (project / "flows" / "news.py").exists()
    assert "The same on every machine" in read_library(project, LIBRARY_MODULE)
    assert (project / ".gitlab-ci.yml").exists()


def test_a_library_that_cannot_read_what_is_stored_is_refused_before_anything_is_merged(
    project: Path, clone: Path
) -> None:
    manifest = project / "data" / "features" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"2013-01": {"format": 3}}')
    git(clone, "tag", "v1")
    edit(clone, "src/evergreen/formats.py", "FORMAT = 1", "FORMAT = 3")
    append(clone, "params.yaml", "# The end.\n")
    keep(clone, "newer")
    told: list[str] = []
    with pytest.raises(InputError, match=r"data/features is of format 3, and the requested"):
        update(project, "v1", tell=told.append)
    assert (told, git(project, "status", "--porcelain")) == ([], "")
    assert "files merged" in update(project, tell=told.append)


def test_a_commit_that_is_not_there(project: Path) -> None:
    with pytest.raises(InputError, match="no commit, tag or branch 'v9'"):
        update(project, "v9")
