"""The template for an update: a commit by name, its library, and what it makes of the answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import begin, git, refusal

from evergreen.template import ANSWERS, Library, bake, check_clean, clone, find_commit

BAKE = """
import json, sys
from pathlib import Path
template, project = map(Path, sys.argv[1:3])
if json.loads((project / ".template.json").read_text())["name"] == "wrong":
    sys.exit("no such name")
(project / "made.txt").write_text((template / "words.txt").read_text())
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A template of one commit."""
    folder = tmp_path / "template"
    for name, text in {
        "the_template/bake.py": BAKE, "words.txt": "words\n", "CHANGELOG.md": "# Changes\n",
        "src/evergreen/__init__.py": '__version__ = "0.4.1"\n',
        "src/evergreen/formats.py": "FORMAT = 5  # written\nOLDEST = 3\n",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    begin(folder)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project's repository."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine\n")
    begin(folder)
    return folder


def test_the_library_of_a_commit(template: Path) -> None:
    assert Library.at(template, "HEAD") == Library("0.4.1", 5, 3, "# Changes\n")


def test_a_library_that_says_nothing_of_formats_reads_the_first(template: Path) -> None:
    git(template, "rm", "-q", "src/evergreen/formats.py", "CHANGELOG.md")
    git(template, "commit", "-qm", "less")
    assert Library.at(template, "HEAD") == Library("0.4.1", 1, 1, "")


def test_commits_tags_and_branches_are_found(template: Path, tmp_path: Path) -> None:
    git(template, "tag", "v1")
    git(template, "branch", "next")
    head = git(template, "rev-parse", "HEAD").strip()
    copy = clone(str(template), tmp_path / "clone")
    assert [find_commit(copy, ref) for ref in (head[:9], "v1", "next", "origin/HEAD")] == [head] * 4
    refusal(lambda: find_commit(copy, "v2"), "no commit, tag or branch 'v2'")
    refusal(lambda: clone(str(tmp_path / "none"), tmp_path / "other"), "cannot be cloned")


@pytest.mark.slow
def test_a_bake_is_a_commit_on_no_branch(template: Path, root: Path, tmp_path: Path) -> None:
    head = git(template, "rev-parse", "HEAD").strip()
    made = bake(root, template, head, {"name": "right"}, tmp_path / "baked")
    assert git(root, "show", f"{made}:made.txt") == "words\n"
    assert json.loads(git(root, "show", f"{made}:{ANSWERS}")) == {"name": "right", "_commit": head}
    assert git(root, "branch", "--contains", made) == ""
    assert git(root, "status", "--porcelain") == ""
    refusal(
        lambda: bake(root, template, head, {"name": "wrong"}, tmp_path / "again"), "no such name"
    )


def test_changes_that_git_does_not_have_are_told(root: Path) -> None:
    check_clean(root)
    (root / "new.txt").write_text("nobody asked\n")
    check_clean(root)
    (root / "mine.txt").write_text("changed\n")
    refusal(lambda: check_clean(root), "not committed")
