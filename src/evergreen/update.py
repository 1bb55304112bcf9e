"""Update: bring what has changed in the template into a project made from it, keeping what was changed here.

The template is baked twice with this project's answers, at the commit it was made from and at the
one wanted. Both trees become commits on no branch, and git merges the difference as `git
cherry-pick` does: three ways, with its own marks where both sides changed a line. A template whose
library could not read what this project has stored is refused before.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evergreen import formats
from evergreen.errors import InputError
from evergreen.files import read_entries
from evergreen.finding import count
from evergreen.project import Project
from evergreen.stores.git import read_commit

ANSWERS = ".template.json"
LIBRARY = "src/evergreen"  # in the template


@dataclass(frozen=True)
class Library:
    """The library of a commit of the template: its version, the formats that it reads, and its changelog."""

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


def update(
    root: Path,
    ref: str | None = None,
    answers: Mapping[str, str] | None = None,
    tell: Callable[[str], object] = print,
) -> str:
    """Merge the template at `ref` (its default branch, where None) into the working tree.

    Returns what was merged and what to do next; `tell` is told before what the changelog says is
    new. `answers` replace those the project was made with. Raises InputError where the project was
    not made from a template that can be found, where its own changes are not committed, where there
    is no such commit or answer, where the library of that commit could not read what the project
    has stored, and where git leaves conflicts, which then stand in the files.
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
        had, library = (Library.at(template, commit) for commit in (was, wanted))
        _check_readable(root, library)
        base = _bake(root, template, was, known, Path(folder, "base"))
        theirs = _bake(
            root, template, wanted, {**known, **(answers or {})}, Path(folder, "theirs"), base
        )
    changed = _git(root, "diff", "--name-only", base, theirs).splitlines()
    if not [name for name in changed if name != ANSWERS]:
        return "the template has nothing new for this project"
    tell("\n\n".join([f"evergreen {had.version} -> {library.version}", *_news(had, library)]))
    merged = _run(root, "cherry-pick", "--no-commit", theirs)
    if merged.returncode:
        raise InputError(
            "the template and this project both changed the same lines: resolve them (`git status` "
            "names the files), then commit; or give up with `git reset --merge`"
        )
    lines = _git(root, "diff", "--cached", "--stat=100").rstrip()
    return (
        f"{lines}\n{count(len(changed), 'file')} merged into the working tree: look (`git diff --cached`), "
        "run `make test`, commit"
    )


def _check_readable(root: Path, library: Library) -> None:
    """Raise InputError where a library could not read what this project has stored."""
    for number, where in sorted(_stored_formats(Project(root))):
        what = (
            f"{where} is of format {number}, and evergreen {library.version}, which is asked for,"
        )
        if number > library.newest:
            raise InputError(
                f"{what} reads up to {library.newest}: name a newer commit of the template, or bring "
                f"back {where} as it was (from a backup; `git checkout` and `dvc checkout` do for data/)"
            )
        if number < library.oldest:
            raise InputError(
                f"{what} reads from {library.oldest} on: update to a release between the two first "
                "(`evergreen update REF`), and run it once"
            )


def _stored_formats(project: Project) -> Iterator[tuple[int, str]]:
    """Yield the format of each thing that is stored, also one that is not read, and where it is."""
    for folder in (project.raw, project.validated, project.features):
        for entry in read_entries(folder / "manifest.json").values():
            yield int(entry.get(formats.NUMBER, 1)), f"data/{folder.name}"
    for path in project.predictions.glob("*/*.json"):
        yield int(read_entries(path).get(formats.NUMBER, 1)), "data/predictions"
    if project.params.is_file():
        from evergreen.params import load
        from evergreen.stores.tracking import Tracker

        for number in Tracker(project, load(project.params)).stored_formats():
            yield number, "stores/ (MLflow)"


def _news(had: Library, wanted: Library) -> Iterator[str]:
    """Yield what a changelog says that the earlier one did not, below the headings that it stands under."""
    known, headings = {*_blocks(had.changelog)}, dict[int, str]()
    for block in _blocks(wanted.changelog):
        if level := len(block) - len(block.lstrip("#")):
            headings = {depth: said for depth, said in headings.items() if depth < level}
            headings |= {level: block} if level > 1 else {}
        elif block not in known:
            yield "\n\n".join([*headings.values(), block])
            headings = {}


def _blocks(changelog: str) -> list[str]:
    return [
        block.rstrip()
        for block in re.split(r"^(?=- |#)", changelog, flags=re.MULTILINE)
        if block.strip()
    ]


def _show(template: Path, commit: str, path: str) -> str:
    """Return a file of the template at a commit; empty where it has none."""
    return _run(template, "show", f"{commit}:{path}").stdout


def _stated(text: str, name: str) -> str:
    """Return what a module's text says that `name` is; empty where it does not."""
    found = re.search(rf"""^{name} = ["']?([\w.+]+)""", text, re.MULTILINE)
    return found[1] if found else ""


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
