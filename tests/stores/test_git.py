"""Commit: what git says of a folder, and where it says nothing, why and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import git, refusal

from evergreen.stores import git as module
from evergreen.stores.git import Commit, read_commit


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git knows no settings of this machine."""
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one file and one commit."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "file.py").write_text("before\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "start")
    return folder


def head(root: Path) -> str:
    return git(root, "rev-parse", "HEAD").strip()


# --- a commit is known


def detach(root: Path) -> None:
    git(root, "checkout", "-q", "--detach")


def in_a_hook(root: Path) -> None:
    """Not here, but said by the process that calls."""


def colour(root: Path) -> None:
    for key, value in (
        ("color.ui", "always"),
        ("diff.external", "false"),
        ("core.fsmonitor", "false"),
    ):
        git(root, "config", key, value)


def lock(root: Path) -> None:
    (root / ".git" / "index.lock").write_text("")  # somebody commits


@pytest.mark.parametrize("odd", [None, detach, colour, lock])
def test_commit_and_changes(odd: Callable[[Path], None] | None, root: Path) -> None:
    if odd:
        odd(root)
    assert read_commit(root) == Commit(head(root))
    (root / "file.py").write_text("after\n")
    (root / "new.py").write_text("value = 1\n")
    (root / "dvc.lock").write_text("")
    found = read_commit(root)
    assert (found.name, found.why) == (head(root), "")
    assert "\n-before\n+after\nnew file: new.py\n" in found.changes
    assert "dvc.lock" not in found.changes


def test_staged_changes_count(root: Path) -> None:
    (root / "file.py").write_text("after\n")
    git(root, "add", "-A")
    assert "+after" in read_commit(root).changes


def test_a_hook_of_another_repository_does_not_count(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    expected = head(root)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert read_commit(root).name == expected


def test_a_folder_below_is_of_the_same_commit(root: Path) -> None:
    (root / "below").mkdir()
    (root / "file.py").write_text("after\n")
    assert read_commit(root / "below") == Commit(head(root))  # what is changed lies outside


@pytest.mark.slow
def test_a_submodule_is_of_its_own_commit(root: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(root), "inner")
    git(outer, "commit", "-qm", "outer")
    assert read_commit(outer / "inner") == Commit(head(root))


def test_changes_that_are_not_utf8(root: Path) -> None:
    (root / "file.py").write_bytes("größer\n".encode("latin-1"))
    assert "+gr\ufffd\ufffder" in read_commit(root).changes


def test_of_a_huge_diff_the_beginning_is_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 1000)
    (root / "file.py").write_text("much\n" * 1000)
    found = read_commit(root).changes
    assert found.startswith("diff --git")
    assert len(found) < 1100
    assert found.endswith("bytes in all]\n")


# --- no commit is known


def no_repository(root: Path) -> None:
    (root / ".git").rename(root.parent / "gone")


def no_commit(root: Path) -> None:
    no_repository(root)
    git(root, "init", "-q")


def corrupt(root: Path) -> None:
    for path in (root / ".git" / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"")


def bare(root: Path) -> None:
    git(root, "config", "core.bare", "true")


UNKNOWN = {
    "no repository": (no_repository, ("in no git repository", "git init")),
    "no commit": (no_commit, ("nothing is committed yet", "git commit")),
    "corrupt": (corrupt, ("git fails (", "git fsck")),
    "bare": (bare, ("bare git repository", "a clone")),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_why_no_commit_is_known(name: str, root: Path) -> None:
    spoil, parts = UNKNOWN[name]
    spoil(root)
    assert_unknown(root, *parts)


def assert_unknown(root: Path, *parts: str) -> None:
    found = read_commit(root)
    assert (found.name, found.changes) == ("none", "")
    assert "\n" not in found.why
    assert [part for part in parts if part not in found.why] == [], found.why


def test_a_folder_of_another_user(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert_unknown(root, "belongs to another user", f"--add safe.directory {root}")


def test_git_is_not_installed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(root))
    assert_unknown(root, "not installed", "install it")


def test_git_does_not_answer(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0)
    assert_unknown(root, "does not answer", "git status")


def test_no_secret_goes_along_with_the_changes(tmp_path):
    git(tmp_path, "init", "-q")
    files = ("dataset.py", "params.yaml", ".env", "notes.txt", "keys.json")
    for name in files:
        (tmp_path / name).write_text("before\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "start")
    for name in files:
        (tmp_path / name).write_text(
            "PASSWORD = 'hunter2'\nurl: postgresql://me:hunter2@host/db\nkept = 1\n"
        )
    (tmp_path / "new.py").write_text("PASSWORD = 'hunter2'\n")
    changes = read_commit(tmp_path).changes
    assert "hunter2" not in changes
    assert changes.count("+kept = 1") == 2
    assert [
        line
        for line in changes.splitlines()
        if line.endswith((".env", "notes.txt", "keys.json", "new.py"))
    ] == [
        "new file: new.py",
        "changed, not shown: .env",
        "changed, not shown: keys.json",
        "changed, not shown: notes.txt",
    ]


# --- restored elsewhere


def edit(root: Path) -> str:
    """Change the file, add others; return what a run would keep of that."""
    (root / "file.py").write_text("after\n")
    (root / "notes.txt").write_text("new")
    return read_commit(root).changes


@pytest.mark.slow
@pytest.mark.parametrize("below", ["", "deep/project"])
def test_a_commit_and_its_changes_are_restored_elsewhere(
    below: str, root: Path, tmp_path: Path
) -> None:
    commit, place = head(root), root / below
    place.mkdir(parents=True, exist_ok=True)
    diff, named = module.split_changes(edit(root))
    git(root, "commit", "-qam", "later")
    restored = module.check_out(place, commit, tmp_path / "clone")
    assert restored == tmp_path / "clone" / below
    assert (tmp_path / "clone" / "file.py").read_text() == "before\n"
    assert module.apply(tmp_path / "clone", diff) == ""
    assert (tmp_path / "clone" / "file.py").read_text() == "after\n"
    assert named == ("notes.txt",)


def test_hooks_do_not_run_in_a_clone(root: Path, tmp_path: Path) -> None:
    hook = root / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    git(root, "config", "core.hooksPath", str(hook.parent))
    module.check_out(root, head(root), tmp_path / "clone")
    assert not (tmp_path / "ran").exists()


def test_a_commit_that_is_not_there_is_told(root: Path, tmp_path: Path) -> None:
    refusal(lambda: module.check_out(root, "12" * 20, tmp_path / "clone"), "git fetch")
    refusal(lambda: module.check_out(tmp_path, "12" * 20, tmp_path / "clone"), "no git repository")
    assert not (tmp_path / "clone").exists()


@pytest.mark.parametrize(
    ("diff", "why"),
    [
        ("+token=***\n", "a secret in it is masked"),
        (f"+a\n{module.CUT}12 bytes in all]\n", "too long"),
        ("diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\n", "x.py"),
    ],
)
def test_why_changes_cannot_be_applied(diff: str, why: str, root: Path) -> None:
    assert why in module.apply(root, diff)
    assert git(root, "status", "--short") == ""
