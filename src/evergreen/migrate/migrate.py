"""Migrate: a project that is a copy of the whole library becomes one that has it as a wheel.

Such projects were made before the library was apart: their package held all of it, under the
project's name. The template is baked twice, as for an update. A file that is what the template gave
goes, or becomes what it gives now; one that was edited stays, is merged, or is put aside. All of it
is worked out first, tried, and put in place in one step; nothing is committed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from evergreen.errors import InputError
from evergreen.finding import count
from evergreen.migrate.modules import as_dataset, imports_left, with_imports
from evergreen.migrate.params import merge_params
from evergreen.project import Project
from evergreen.template import (
    ANSWERS,
    bake,
    check_clean,
    clone,
    find_commit,
    git,
    read_answers,
    run,
)

Blob = tuple[str, str]  # the mode of a file, and what git calls its content
Files = dict[str, Blob]  # by path
ASIDE = "before-migration"
LOADER = '''"""MLflow loads through this module models from before the library was installed."""

from evergreen.scoring.package import _load_pyfunc

__all__ = ["_load_pyfunc"]
'''
TRY = """
import sys
from importlib import import_module
from pathlib import Path
from evergreen.errors import explain
from evergreen.params import load
from evergreen.project import Project
try:
    project = Project(Path(sys.argv[1]))
    load(project.params)
    project.dataset
    import_module(f"{project.package}.expectations")
except Exception as error:
    said = explain(error)
    sys.exit(str(said) if said else f"{type(error).__name__}: {error}")
"""


@dataclass
class Plan:
    """What a project is to hold, and what its owner is to be told.

    It follows from what the project holds, and from what the template gave and gives.
    """

    root: Path
    package: str
    mine: Files
    old: Files
    new: Files
    files: Files = field(default_factory=dict)
    removed: int = 0
    aside: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @cached_property
    def gone(self) -> set[str]:
        """The library's modules in the project's package."""
        inside = (path for path in self.old if path.startswith(f"src/{self.package}/"))
        return {path for path in inside if path not in self.new}


def migrate(root: Path, ref: str | None = None) -> str:
    """Turn a project with a copy of the library into one with a wheel, of the template at `ref`.

    Returns what was done and what to do next. Raises InputError, and leaves all as it was, where
    the project is no such copy, has changes that are not committed, or cannot be loaded afterwards.
    """
    known = read_answers(root)
    check_clean(root)
    package = str(known["package_name"])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        template = clone(str(known["_template"]), folder / "template")
        was = find_commit(template, str(known["_commit"]))
        base = bake(root, template, was, known, folder / "base")
        wanted = find_commit(template, ref or "origin/HEAD")
        theirs = bake(root, template, wanted, known, folder / "theirs")
        mine, old, new = (files_of(root, commit) for commit in ("HEAD", base, theirs))
        _check_kind(package, old, new)
        plan = Plan(root, package, mine, old, new)
        _settle(plan, folder)
        tree = _write_tree(root, plan.files, folder / "index")
        _try(root, tree, folder / "tried")
        tags = _rename_tags(Project(root), package, folder)
        try:
            git(root, "read-tree", "-m", "-u", "HEAD", tree)
        except InputError:
            tags.undo()
            raise
    return "\n".join(_report(plan, tags.count))


def files_of(root: Path, commit: str) -> Files:
    """Return what a commit holds."""
    rows = git(root, "ls-tree", "-r", "-z", "--full-tree", commit).split("\0")[:-1]
    parts = (row.partition("\t") for row in rows)
    return {path: (facts.split()[0], facts.split()[2]) for facts, _, path in parts}


def _check_kind(package: str, old: Files, new: Files) -> None:
    if f"src/{package}/cli.py" not in old:
        raise InputError("this project has the library as a wheel already: run `evergreen update`")
    if not any(path.startswith("vendor/") for path in new):
        raise InputError("at that commit the template copies the library itself: name a newer one")


def _settle(plan: Plan, folder: Path) -> None:
    """Find out what becomes of each file; `folder`: for temporary ones."""
    for path, found in plan.mine.items():
        if path == ANSWERS:
            plan.files[path] = plan.new[path]
        elif plan.old.get(path) != found:
            _settle_edited(plan, path, found, folder)
        elif path in plan.new:
            plan.files[path] = plan.new[path]
        else:
            plan.removed += 1
    for path in plan.new:
        if path not in plan.files and path not in plan.old:
            plan.files[path] = plan.new[path]
    for name, text in {"__init__": "", "package": LOADER}.items():
        plan.files[f"src/{plan.package}/model/{name}.py"] = _write(plan.root, "100644", text)


def _settle_edited(plan: Plan, path: str, found: Blob, folder: Path) -> None:
    """Find out what becomes of a file that is not the template's to the letter."""
    if path == f"src/{plan.package}/dataset.py":
        text = with_imports(_read(plan.root, found), plan.package, plan.gone)
        plan.files[path] = _write(plan.root, found[0], as_dataset(text))
    elif path == "params.yaml":
        ours, old, new = (
            _read(plan.root, files[path]) for files in (plan.mine, plan.old, plan.new)
        )
        text, notes = merge_params(ours, old, new, plan.package)
        plan.files[path] = _write(plan.root, found[0], text)
        plan.notes += notes
    elif path not in plan.old or path == f"src/{plan.package}/expectations.py":
        plan.files[path] = _settle_own(plan, path, found)
    elif path in plan.new and (merged := _merge(plan, path, folder)):
        plan.files[path] = merged
    else:
        plan.files[f"{ASIDE}/{path}"] = found
        plan.aside.append(path)
        if path in plan.new:
            plan.files[path] = plan.new[path]


def _settle_own(plan: Plan, path: str, found: Blob) -> Blob:
    """Return a file of the owner's, which asks the library for what was a module beside it."""
    if not path.endswith(".py"):
        return found
    before = _read(plan.root, found)
    text = with_imports(before, plan.package, plan.gone)
    for name in imports_left(text, plan.package, plan.gone):
        plan.notes.append(
            f"{path} imports {name}, which the library calls otherwise or keeps to itself: "
            "look for it in evergreen, or copy what you need"
        )
    return found if text == before else _write(plan.root, found[0], text)


def _merge(plan: Plan, path: str, folder: Path) -> Blob | None:
    """Return a file merged three ways; None where it is no text, or both changed a line."""
    names = []
    for number, files in enumerate((plan.mine, plan.old, plan.new)):
        names.append(str(folder / f"merge-{number}"))
        text = _read(plan.root, files[path])
        if "\0" in text:
            return None
        Path(names[-1]).write_text(text, encoding="utf-8")
    done = run(plan.root, "merge-file", "-p", *names)
    return _write(plan.root, plan.new[path][0], done.stdout) if done.returncode == 0 else None


def _read(root: Path, found: Blob) -> str:
    return git(root, "cat-file", "blob", found[1])


def _write(root: Path, mode: str, text: str) -> Blob:
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        return mode, git(root, "hash-object", "-w", "--no-filters", file.name).strip()


def _write_tree(root: Path, files: Files, index: Path) -> str:
    rows = "".join(f"{mode} {blob}\t{path}\0" for path, (mode, blob) in files.items())
    listing = index.with_name("listing")
    listing.write_text(rows, encoding="utf-8")
    environment = {**os.environ, "GIT_INDEX_FILE": str(index)}
    with listing.open("rb") as given:
        command = ["git", "update-index", "-z", "--index-info"]
        subprocess.run(command, cwd=root, env=environment, stdin=given, check=True)
    return git(root, "write-tree", GIT_INDEX_FILE=str(index)).strip()


def _try(root: Path, tree: str, folder: Path) -> None:
    """Raise InputError where the new project's own part cannot be loaded by this library."""
    folder.mkdir()
    index = {"GIT_INDEX_FILE": f"{folder}.index"}
    git(root, f"--work-tree={folder}", "read-tree", tree, **index)
    git(root, f"--work-tree={folder}", "checkout-index", "--all", **index)
    own = os.environ | {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", TRY, str(folder)]
    done = subprocess.run(command, env=own, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise InputError(
            f"nothing is changed: the project could not be loaded with the library: {said}"
        )


@dataclass
class _Tags:
    """Tags in MLflow that were given the library's names, and how to take them back."""

    count: int = 0
    database: Path | None = None
    copy: Path | None = None

    def undo(self) -> None:
        if self.database and self.copy:
            shutil.copy2(self.copy, self.database)


def _rename_tags(project: Project, package: str, folder: Path) -> _Tags:
    from evergreen.params import load
    from evergreen.stores.renamed import rename_tags
    from evergreen.stores.tracking import Tracker

    tracker = Tracker(project, load(folder / "tried" / "params.yaml"))
    if not tracker.is_there:
        return _Tags()
    with project.lock():
        database = project.stores / "mlflow.db"
        tags = _Tags()
        if database.is_file():
            tags = _Tags(0, database, folder / "mlflow.db")
            shutil.copy2(database, folder / "mlflow.db")
        try:
            tags.count = rename_tags(tracker, package)
        except BaseException:
            tags.undo()
            raise
    return tags


def _report(plan: Plan, tags: int) -> Iterator[str]:
    yield f"{count(plan.removed, 'file')} of the library taken out; it lies in vendor/ now"
    if plan.aside:
        yield (
            f"{count(len(plan.aside), 'file')} edited here, in {ASIDE}/: put what you changed into "
            "an extension point (`evergreen docs make-it-yours`) or the file of that name, then "
            "remove it:"
        )
        yield from (f"  {path}" for path in plan.aside)
    yield from plan.notes
    if tags:
        yield f"tags of {count(tags, 'run or version', 'runs and versions')} in MLflow named anew"
    yield (
        f"models registered before are loaded through src/{plan.package}/model/package.py: keep it "
        "while one is in use\n"
        "batches are validated and prepared once more by the next run; the champion stays until "
        "the gate lets another pass\n"
        "next: look (`git diff --cached --stat`), `make setup`, `make test`, commit; "
        "`git reset --hard` gives it up"
    )
