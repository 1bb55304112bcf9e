"""Restore: a snapshot put into a project that has neither models nor data yet.

The databases come last, so that a restoration that was killed is seen and can be done again. They
name files by the folder that the project was in; where it is another one now, they name that.
"""

from __future__ import annotations

import filecmp
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from evergreen.backup.snapshot import BUNDLE, FILES, About, choose_snapshot, read_about, verify
from evergreen.backup.take import CACHE, DATABASES, KEPT, SETTINGS
from evergreen.errors import InputError
from evergreen.files import write_whole
from evergreen.project import Project
from evergreen.stores import databases, dvc
from evergreen.stores.git import has, is_changed, read_commit

LOCK = "dvc.lock"
MARK = ".restoring"  # below stores/, while a restoration is not complete


@dataclass(frozen=True)
class Restored:
    """What was restored. `left`: why the project's own code is not that of the snapshot, if so."""

    snapshot: Path
    about: About
    left: str


def restore(project: Project, place: Path) -> Restored:
    """Put the snapshot at `place`, or the newest in it, into `project`.

    Code is written where the project is at the snapshot's commit and nothing is changed in it: then
    what was not committed comes back too. Raises InputError where the project has data or models,
    or a file of the snapshot is not as it was written; nothing is changed then.
    """
    databases.check_place(project.stores)
    snapshot = choose_snapshot(place.expanduser().resolve())
    about = read_about(snapshot)
    mark = project.stores / MARK
    _check_empty(project, mark)
    _check_ours(project, snapshot, about)
    verify(snapshot, about)
    if not mark.exists():
        _check_links(project)
    left = _why_not_code(project, about)
    write_whole(mark, lambda part: part.write_text(f"{snapshot}\n"))
    names = [name.removeprefix(f"{FILES}/") for name in about.files if name.startswith(FILES)]
    if SETTINGS in names:  # says where DVC's cache is
        _copy(snapshot / FILES / SETTINGS, project.root / SETTINGS)
    cache = dvc.cache_of(project)
    for name in _chosen(names, code=not left):
        _copy(snapshot / FILES / name, _target(project, name, cache))
    if LOCK in names:
        dvc.checkout(project, [out for out in dvc.data_versions(project) if _holds(names, out)])
    for name in reversed(DATABASES):
        if name in names:
            _place_database(snapshot / FILES / name, project.root / name, about.root, project.root)
    mark.unlink()
    return Restored(snapshot, about, left)


def _check_empty(project: Project, mark: Path) -> None:
    """Raise InputError where restoring would put one project's models beside another's."""
    there = [
        name
        for name in (*DATABASES[:1], "data/raw/manifest.json")
        if (project.root / name).exists()
    ]
    # Of a restoration that was killed; its last database comes last of all, or a run made it since
    if mark.exists():
        there = [name for name in there if name in DATABASES]
    if there:
        raise InputError(
            f"{' and '.join(there)} of {project.root} would be overwritten: move stores/ and data/ "
            "away first, or restore into a new clone"
        )


def _check_ours(project: Project, snapshot: Path, about: About) -> None:
    """Raise InputError where the snapshot is of another repository: two may share a folder."""
    if about.commit != "none" and not has(project.root, about.commit):
        raise InputError(
            f"{snapshot} is of {about.root} at commit {about.commit[:12]}, which the repository of "
            f"{project.root} does not have: name a snapshot of this project, `git fetch`, or clone "
            f"{snapshot / BUNDLE}"
        )


def _check_links(project: Project) -> None:
    """Raise InputError where files would be written over those of another folder, by a link."""
    for name in ("feedback", "inbox", "reports"):
        path = project.root / name
        if path.is_symlink() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(
                f"{path} is a link to {path.readlink()}, whose files would be overwritten: remove "
                "the link, restore, and move the files there"
            )


def _why_not_code(project: Project, about: About) -> str:
    """Return why the project's files are left as they are; empty where they may be written."""
    here = read_commit(project.root)
    if about.commit != here.name:
        return (
            f"the code is left as it is: it is at commit {here.name[:12]}, the backup's at "
            f"{about.commit[:12]}"
        )
    if about.commit != "none" and is_changed(project.root) and not (
        project.stores / MARK
    ).exists():  # fmt: skip
        return "the code is left as it is: it has changes that are not committed"
    return ""


def _chosen(names: Iterable[str], *, code: bool) -> Iterator[str]:
    """Yield the files to copy: stores, data and DVC's cache always, the project's own if `code`."""
    kept = tuple(f"{folder}/" for folder in (*KEPT, CACHE))
    for name in names:
        if name not in DATABASES and (
            code or name == LOCK or name in KEPT or name.startswith(kept)
        ):
            yield name


def _holds(names: Iterable[str], output: str) -> bool:
    """Return whether the files of an output are among `names`: DVC's cache did not have it."""
    return any(name == output or name.startswith(f"{output}/") for name in names)


def _target(project: Project, name: str, cache: Path) -> Path:
    """Return where a file goes: DVC's cache may be elsewhere in this project."""
    if name.startswith(f"{CACHE}/"):
        return cache / name.removeprefix(f"{CACHE}/")
    return project.root / name


def _copy(source: Path, target: Path) -> None:
    if target.is_file() and filecmp.cmp(source, target, shallow=False):
        return
    try:
        # Whose mode from the start: the login is among them
        mode = stat.S_IMODE(source.stat().st_mode)
        write_whole(target, lambda part: shutil.copyfile(source, part), mode=mode)
        shutil.copystat(source, target)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}") from None


def _place_database(source: Path, target: Path, old: str, root: Path) -> None:
    """Put a database in place, what it says of files in the folder `old` said of `root`."""

    def write(part: Path) -> None:
        shutil.copyfile(source, part)
        if old != str(root):
            databases.move(part, old, str(root))

    write_whole(target, write)
