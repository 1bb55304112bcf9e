"""Update: bring the template's changes into a project made from it, keeping its own.

The template is baked twice with this project's answers, at the commit it was made from and at the
one wanted. Both trees become commits on no branch, and git merges the difference as `git
cherry-pick` does: three ways, with its own marks where both sides changed a line. A template whose
library could not read what this project has stored is refused before.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from evergreen import formats
from evergreen.errors import InputError
from evergreen.files import read_entries
from evergreen.finding import count
from evergreen.project import Project
from evergreen.template import (
    ANSWERS,
    Library,
    bake,
    check_clean,
    clone,
    find_commit,
    git,
    read_answers,
    run,
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
    known = read_answers(root)
    check_clean(root)
    if unknown := [key for key in answers or {} if key not in known or key.startswith("_")]:
        asked = ", ".join(key for key in known if not key.startswith("_"))
        raise InputError(f"{unknown[0]!r} is no question of the template, which asks for {asked}")
    with tempfile.TemporaryDirectory() as folder:
        template = clone(str(known["_template"]), Path(folder, "template"))
        was = find_commit(template, str(known["_commit"]))
        wanted = find_commit(template, ref or "origin/HEAD")
        had, library = (Library.at(template, commit) for commit in (was, wanted))
        base = bake(root, template, was, known, Path(folder, "base"))
        theirs = bake(
            root, template, wanted, {**known, **(answers or {})}, Path(folder, "theirs"), base
        )
    _check_no_copy(root, str(known.get("package_name")), base, theirs)
    _check_readable(root, library)
    changed = git(root, "diff", "--name-only", base, theirs).splitlines()
    if not [name for name in changed if name != ANSWERS]:
        return "the template has nothing new for this project"
    tell("\n\n".join([f"evergreen {had.version} -> {library.version}", *_news(had, library)]))
    merged = run(root, "cherry-pick", "--no-commit", theirs)
    if merged.returncode:
        raise InputError(
            "the template and this project both changed the same lines: resolve them (`git status` "
            "names the files), then commit; or give up with `git reset --merge`"
        )
    lines = git(root, "diff", "--cached", "--stat=100").rstrip()
    return (
        f"{lines}\n{count(len(changed), 'file')} merged into the working tree: look "
        "(`git diff --cached`), run `make test`, commit"
    )


def _check_no_copy(root: Path, package: str, base: str, theirs: str) -> None:
    """Raise InputError where the project is a copy of the library, which is a wheel since."""
    gone = git(root, "diff", "--name-only", "--diff-filter=D", "--no-renames", base, theirs)
    if f"src/{package}/cli.py" in gone.splitlines():
        raise InputError(
            "this project is a copy of the whole library, which the template gives as a wheel now: "
            "run `evergreen migrate`"
        )


def _check_readable(root: Path, library: Library) -> None:
    """Raise InputError where a library could not read what this project has stored."""
    for number, where in sorted(_stored_formats(Project(root))):
        what = f"{where} is of format {number}, and the requested evergreen {library.version}"
        if number > library.newest:
            raise InputError(
                f"{what} reads up to {library.newest}: name a newer commit of the template, or "
                f"restore {where} as it was (from a backup; `git checkout` and `dvc checkout` "
                "do for data/)"
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
    """Yield what a changelog adds to the earlier one, below its headings."""
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
