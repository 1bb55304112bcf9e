"""Update: bring what has changed in the template into a project made from it, keeping what was changed here.

The template is baked twice with this project's answers, at the commit it was made from and at the
one wanted. Both trees become commits on no branch, and git merges the difference as `git
cherry-pick` does: three ways, with its own marks where both sides changed a line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evergreen.errors import InputError
from evergreen.finding import count
from evergreen.stores.git import read_commit

ANSWERS = ".template.json"


def update(root: Path, ref: str | None = None, answers: Mapping[str, str] | None = None) -> str:
    """Merge the template at `ref` (its default branch, where None) into the working tree; returns what to do next.

    `answers` replace those the project was made with. Raises InputError where the project was not
    made from a template that can be found, where its own changes are not committed, where there is
    no such commit or answer, and where git leaves conflicts, which then stand in the files.
    """
    known = _read_answers(root)
    if _git(root, "status", "--porcelain", "--untracked-files=no"):
        raise InputError(
            "there are changes that are not committed: commit them, or put them away with `git stash`"
        )
    if unknown := [key for key in answers or {} if key not in known or key.startswith("_")]:
        asked = ", ".join(key for key in known if not key.startswith("_"))
        raise InputError(f"{unknown[0]!r} is no question of the template: there are {asked}")
    with tempfile.TemporaryDirectory() as folder:
        template = _clone(str(known["_template"]), Path(folder, "template"))
        was = _commit(template, str(known["_commit"]))
        wanted = _commit(template, ref or "origin/HEAD")
        base = _bake(root, template, was, known, Path(folder, "base"))
        theirs = _bake(
            root, template, wanted, {**known, **(answers or {})}, Path(folder, "theirs"), base
        )
    changed = _git(root, "diff", "--name-only", base, theirs).splitlines()
    if not [name for name in changed if name != ANSWERS]:
        return "the template has nothing new for this project"
    merged = _run(root, "cherry-pick", "--no-commit", theirs)
    if merged.returncode:
        raise InputError(
            "the template and this project both changed the same lines: resolve them (`git status` names the files), then "
            "commit; or give up with `git reset --merge`"
        )
    return f"{count(len(changed), 'file')} merged into the working tree: look (`git diff --cached`), run `make test`, commit"


def _read_answers(root: Path) -> dict[str, Any]:
    path = root / ANSWERS
    if not path.is_file():
        raise InputError(
            f"there is no {ANSWERS} here: this is the template itself, or was not made from it"
        )
    try:
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"{ANSWERS} is damaged ({error}): bring it back with `git checkout {ANSWERS}`"
        ) from None
    for key, what in (
        ("_template", "where the template is"),
        ("_commit", "the commit this project was made from"),
    ):
        if not known.get(key) or str(known[key]).endswith("-dirty"):
            raise InputError(
                f"{ANSWERS}: {key} is {known.get(key)!r}; write there {what}, then commit it"
            )
    if _git(root, "rev-parse", "--show-toplevel").strip() != str(root.resolve()):
        raise InputError(
            f"{root} is not the top of its git repository: updates need a repository of its own"
        )
    return known


def _clone(template: str, folder: Path) -> Path:
    done = _run(folder.parent, "clone", "--quiet", "--", template, str(folder))
    if done.returncode:
        raise InputError(
            f"{ANSWERS}: the template {template!r} cannot be cloned: {_last(done.stderr)}"
        )
    return folder


def _commit(template: Path, ref: str) -> str:
    done = _run(template, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if done.returncode and not ref.startswith("origin/"):
        # A branch
        done = _run(template, "rev-parse", "--verify", "--quiet", f"origin/{ref}^{{commit}}")
    if done.returncode:
        raise InputError(f"the template has no commit, tag or branch {ref!r}")
    return done.stdout.strip()


def _bake(
    root: Path, template: Path, commit: str, answers: Mapping[str, Any], folder: Path, *parents: str
) -> str:
    """Return a commit, on no branch, of what the template at `commit` makes of these answers, by its own code."""
    _git(template, "checkout", "--quiet", "--detach", commit)
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
    _git(root, f"--work-tree={folder}", "add", "--all", "--force", ".", **index)
    tree = _git(root, "write-tree", **index).strip()
    above = [one for parent in parents for one in ("-p", parent)]
    return _git(root, "commit-tree", tree, *above, "-m", f"the template at {commit}").strip()


def _git(folder: Path, *arguments: str, **environment: str) -> str:
    done = _run(folder, *arguments, **environment)
    if done.returncode:
        raise InputError(f"git {arguments[0]}: {read_commit(folder).why or _last(done.stderr)}")
    return done.stdout


def _run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
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
