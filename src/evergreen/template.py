"""The template that a project was made from, for `evergreen update`: a clone and its bakes.

A bake is a commit in the project's repository, on no branch.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergreen.errors import InputError
from evergreen.stores.git import read_commit

ANSWERS = ".template.json"
LIBRARY = "src/evergreen"  # in the template


@dataclass(frozen=True)
class Library:
    """The library at a commit of the template: version, formats it reads, changelog."""

    version: str
    newest: int
    oldest: int
    changelog: str

    @classmethod
    def at(cls, template: Path, commit: str) -> Library:
        """Read it from a clone of the template. What says nothing of formats reads the first."""
        version = _stated(_show(template, commit, f"{LIBRARY}/__init__.py"), "__version__")
        numbers = _show(template, commit, f"{LIBRARY}/formats.py")
        newest, oldest = (int(_stated(numbers, name) or 1) for name in ("FORMAT", "OLDEST"))
        return cls(
            version or "of no version", newest, oldest, _show(template, commit, "CHANGELOG.md")
        )


def read_answers(root: Path) -> dict[str, Any]:
    """Return what the project was made with.

    Raises InputError where that cannot be known, or the project is no git repository by itself.
    """
    path = root / ANSWERS
    if not path.is_file():
        raise InputError(
            f"there is no {ANSWERS} here: this is the template itself, or was not made from it"
        )
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"{ANSWERS} is damaged ({error}): restore it with `git checkout {ANSWERS}`"
        ) from None
    for key, what in (
        ("_template", "where the template is"),
        ("_commit", "the commit this project was made from"),
    ):
        if not known.get(key) or str(known[key]).endswith("-dirty"):
            raise InputError(
                f"{ANSWERS}: {key} is {known.get(key)!r}; write there {what}, then commit it"
            )
    if git(root, "rev-parse", "--show-toplevel").strip() != str(root.resolve()):
        raise InputError(
            f"{root} is not the top of its git repository: updates need a repository of its own"
        )
    return known


def clone(template: str, folder: Path) -> Path:
    """Clone the template into `folder`. Raises InputError where that fails."""
    done = run(folder.parent, "clone", "--quiet", "--", template, str(folder))
    if done.returncode:
        raise InputError(
            f"{ANSWERS}: the template {template!r} cannot be cloned: {_last(done.stderr)}"
        )
    return folder


def find_commit(template: Path, ref: str) -> str:
    """Return the commit of a commit, tag or branch. Raises InputError where there is none."""
    done = run(template, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if done.returncode and not ref.startswith("origin/"):
        # A branch
        done = run(template, "rev-parse", "--verify", "--quiet", f"origin/{ref}^{{commit}}")
    if done.returncode:
        raise InputError(f"the template has no commit, tag or branch {ref!r}")
    return done.stdout.strip()


def bake(
    root: Path, template: Path, commit: str, answers: Mapping[str, Any], folder: Path, *parents: str
) -> str:
    """Return a commit, on no branch, of what the template at `commit` makes of the answers.

    By its own code.
    """
    git(template, "checkout", "--quiet", "--detach", commit)
    engines = list(template.glob("*_template/bake.py"))
    if not engines:
        raise InputError(f"at {commit[:12]} the template holds nothing that could make a project")
    folder.mkdir()
    facts = {**answers, "_commit": commit}
    (folder / ANSWERS).write_text(json.dumps(facts), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-B", str(engines[0]), str(template), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InputError(f"the template at {commit[:12]} cannot be made: {_last(done.stderr)}")
    index = {"GIT_INDEX_FILE": f"{folder}.index"}
    git(root, f"--work-tree={folder}", "add", "--all", "--force", ".", **index)
    tree = git(root, "write-tree", **index).strip()
    above = [part for parent in parents for part in ("-p", parent)]
    return git(root, "commit-tree", tree, *above, "-m", f"the template at {commit}").strip()


def check_clean(root: Path) -> None:
    """Raise InputError where there are changes that git does not have."""
    if git(root, "status", "--porcelain", "--untracked-files=no"):
        raise InputError(
            "there are changes that are not committed: commit them, or put them away with "
            "`git stash`"
        )


def git(folder: Path, *arguments: str, **environment: str) -> str:
    """Return what git says in `folder`. Raises InputError where it fails."""
    done = run(folder, *arguments, **environment)
    if done.returncode:
        raise InputError(f"git {arguments[0]}: {read_commit(folder).why or _last(done.stderr)}")
    return done.stdout


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run git as nobody in particular: what it commits here is on no branch."""
    who = ("-c", "user.name=template", "-c", "user.email=template@localhost")
    try:
        return subprocess.run(
            ["git", *who, *arguments],
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise InputError("git is needed, and is not there: install it") from None


def _last(said: str) -> str:
    return (said.strip().splitlines() or ["it says nothing"])[-1]


def _show(template: Path, commit: str, path: str) -> str:
    """Return a file of the template at a commit; empty where it has none."""
    return run(template, "show", f"{commit}:{path}").stdout


def _stated(text: str, name: str) -> str:
    """Return what a module's text says that `name` is; empty where it does not."""
    found = re.search(rf"""^{name} = ["']?([\w.+]+)""", text, re.MULTILINE)
    return found[1] if found else ""
