"""Updates are refused where there is nothing to update from, and one's own work is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import ROOT, begin, git, refusal

from evergreen import __version__
from evergreen.errors import InputError
from evergreen.files import write_json
from evergreen.template import ANSWERS, Library
from evergreen.update import _check_readable, _news, update


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
        InputError, match=f"'{question}' is no question of the template, which asks for ci"
    ):
        update(root, answers={question: "x"})


def test_a_project_within_another_repository(root: Path) -> None:
    inner = root / "inner"
    inner.mkdir()
    answer(inner)
    with pytest.raises(InputError, match="not the top of its git repository"):
        update(inner)


# --- what a library reads, and what is new in it

STORED = {  # where something is stored -> a file of it, and what that holds of a format
    "data/raw": ("data/raw/manifest.json", {"a": {"format": 2}, "b": {"format": 3}}),
    "data/features": ("data/features/manifest.json", {"a": {"format": 3}}),
    "data/predictions": ("data/predictions/a/1.json", {"format": 3}),
}


@pytest.mark.parametrize("where", STORED)
def test_a_library_that_cannot_read_what_is_stored_is_refused(where: str, tmp_path: Path) -> None:
    path, content = STORED[where]
    write_json(tmp_path / path, content)
    said = f"{where} is of format 3, and the requested evergreen 0.2.0 reads up to 2: "
    refusal(lambda: _check_readable(tmp_path, Library("0.2.0", 2, 1, "")), said, "a newer commit")
    _check_readable(tmp_path, Library("0.3.0", 3, 1, ""))
    _check_readable(tmp_path, Library("0.4.0", 4, 2, ""))
    said = f"{where} is of format"
    refusal(
        lambda: _check_readable(tmp_path, Library("0.9.0", 9, 4, "")),
        said,
        "reads from 4 on",
        "REF",
    )


def test_what_says_no_format_is_of_the_first(tmp_path: Path) -> None:
    write_json(tmp_path / "data/raw/manifest.json", {"a": {"rows": 3}})
    _check_readable(tmp_path, Library("0.1.0", 1, 1, ""))
    refusal(
        lambda: _check_readable(tmp_path, Library("0.9.0", 9, 2, "")), "data/raw is of format 1"
    )


def test_a_project_without_stores_takes_any_library(tmp_path: Path) -> None:
    _check_readable(tmp_path, Library("0.9.0", 9, 9, ""))
    assert list(tmp_path.iterdir()) == []


OLD = """# Changes

Words.

## 0.1.0 - unreleased

### Added

- One thing,
  of two lines.
"""
NEW = OLD.replace("unreleased", "2027-01-01").replace(
    "## 0.1.0",
    """## 0.2.0 - unreleased

### Added

- Another thing.
- A third.

### Removed

- Nothing.

## 0.1.0""",
)
MORE = OLD + "- More of the same version.\n"
ADDED = "## 0.2.0 - unreleased\n\n### Added\n\n- Another thing."


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (OLD, OLD, []),
        (OLD, NEW, [ADDED, "- A third.", "### Removed\n\n- Nothing."]),
        (OLD, MORE, ["## 0.1.0 - unreleased\n\n### Added\n\n- More of the same version."]),
        (NEW, OLD, []),
        (OLD, OLD.replace("unreleased", "2027-01-01"), []),
        ("", OLD, ["## 0.1.0 - unreleased\n\n### Added\n\n- One thing,\n  of two lines."]),
        (OLD, "", []),
    ],
    ids=["same", "a new version", "more of a version", "back", "released", "the first", "none"],
)
def test_what_a_changelog_says_that_the_earlier_one_did_not(
    before: str, after: str, said: list[str]
) -> None:
    had, wanted = (Library("0.1.0", 1, 1, changelog) for changelog in (before, after))
    assert list(_news(had, wanted)) == said


def test_the_changelog_of_this_version_is_news_to_a_project_without_one() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert f"## {__version__} - " in text
    assert len(list(_news(Library("", 1, 1, ""), Library("", 1, 1, text)))) > 5
