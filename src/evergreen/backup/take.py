"""Take: copy a project's stores, data and code, while runs go on.

The databases are copied first, each as of one moment, then the files that they name, which are
written before they are named and never changed: so every model that a copied database knows is in
the copy. `dvc.lock` follows the databases and comes before DVC's cache, for the same reason.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from evergreen import __version__
from evergreen.backup.snapshot import BUNDLE, FILES, About, find_snapshots, read_about, write_about
from evergreen.errors import InputError
from evergreen.files import sha256_of_file, sweep_left
from evergreen.ingest.listing import few
from evergreen.ingest.personal_key import FILE, VARIABLE, is_personal
from evergreen.project import Project
from evergreen.stores import databases, dvc
from evergreen.stores.git import (
    find_repositories,
    list_files,
    read_commit,
    why_not_cloned,
    write_bundle,
)

DATABASES = ("stores/mlflow.db", "stores/prefect/prefect.db")
DUMP = "stores/stack/mlflow.dump"  # of the stack's database, which infra/backup.sh puts there
STACK = "infra/.env"  # which `make stack` writes
SETTINGS = ".dvc/config.local"
# What git ignores, and no run can make again; of data/ that which DVC does not have
KEPT = ("stores", "data", "feedback", "inbox", "reports", SETTINGS)
CACHE = ".dvc/cache"
LEFT_OUT = (
    "run.lock", "run.pid", "up.lock", "mlflow.lock", "login.lock", f"{FILE}.lock",
    "prefect-server.log",
)  # fmt: skip
PATIENCE = 50  # tenths of a second
WORKSPACES = ("stores/replay", "stores/reproduced")  # made anew by each command


@dataclass(frozen=True)
class Taken:
    """A snapshot that was made: how many files, how many bytes of them are new, and what lacks."""

    snapshot: Path
    files: int
    size: int
    new: int
    lacking: tuple[str, ...]


def take(project: Project, backup: Path) -> Taken:
    """Write a snapshot of the project into the folder `backup`, whole or not at all.

    A file that is as it was in the snapshot before is a hard link to it, where the file system has
    them: any snapshot can be removed, and a daily one costs what is new. Raises InputError where
    the folder is the project's own, a database is damaged or held, or the disk is full.
    """
    backup = backup.expanduser().resolve()
    root = project.root.resolve()
    if backup == root or root in backup.parents:
        raise InputError(f"{backup} is lost with the project that it lies in: name another place")
    moment = datetime.now(UTC)
    snapshot = backup / f"{moment:%Y-%m-%dT%H-%M-%S}"
    part = backup / f".part-{os.getpid()}-{snapshot.name}"
    try:
        backup.mkdir(parents=True, exist_ok=True)
        sweep_left(backup)
        part.mkdir(mode=0o700)  # the login is in it
        copy = _Copy(root, part, *_before(backup))
        commit, lacking = _copy_all(project, copy)
        about = About(moment.isoformat(), __version__, str(root), commit, copy.files)
        write_about(part, about)
        while snapshot.exists():
            snapshot = snapshot.with_name(f"{snapshot.name}-again")
        part.rename(snapshot)
    except OSError as error:
        raise InputError(f"{backup} cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    size = sum(size for size, _ in copy.files.values())
    return Taken(snapshot, len(copy.files), size, copy.new, lacking)


def _before(backup: Path) -> tuple[Path | None, dict[str, tuple[int, str]]]:
    """Return the newest snapshot and its files; none where there is none that can be read."""
    for snapshot in reversed(find_snapshots(backup)):
        try:
            return snapshot, read_about(snapshot).files
        except InputError:
            continue
    return None, {}


def _copy_all(project: Project, copy: _Copy) -> tuple[str, tuple[str, ...]]:
    """Copy everything in the order that keeps it consistent; return the commit, and what lacks."""
    for name in DATABASES:
        if (project.root / name).is_file():
            copy.database(name)
    lacking = []
    commit = read_commit(project.root)
    if commit.why:
        lacking.append(f"the git repository: {commit.why}")
    else:
        if why := why_not_cloned(project.root):
            lacking.append(f"the git repository: {why}")
        else:
            copy.add(BUNDLE, lambda place: write_bundle(project.root, place))
        if other := find_repositories(project.root):
            lacking.append(f"what lies in git repositories of its own: {few(other)}")
    if lock := _read_lock(project):
        copy.add(f"{FILES}/dvc.lock", lambda place: place.write_bytes(lock))
    copy.all(name for name in list_files(project.root) if name != "dvc.lock")
    cache = dvc.cache_of(project)
    versions = dvc.data_versions(project)
    outputs = [path for path, digest in versions.items() if dvc.is_cached(cache, digest)]
    for folder in KEPT:
        copy.all(_below(project.root, folder, (*outputs, *WORKSPACES)))
    copy.cache(cache)
    if why := _why_no_models(project):
        lacking.append(f"models and runs: {why}")
    if not (project.stores / FILE).is_file() and is_personal(project):
        lacking.append(f"the key of personal columns: keep what {VARIABLE} holds elsewhere")
    return commit.name, tuple(lacking)


def _why_no_models(project: Project) -> str:
    """Return where models are that the project's folder does not hold; empty where it does."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if (project.root / DUMP).is_file():
        return ""
    if (project.root / STACK).is_file():
        return "those of `make stack` are in PostgreSQL: `infra/backup.sh FOLDER` writes all of it"
    if uri and str(project.stores) not in uri:
        return "they are in the MLflow server of MLFLOW_TRACKING_URI"
    return ""


def _read_lock(project: Project) -> bytes:
    """Return `dvc.lock`; DVC empties it for a moment before it writes it."""
    for _ in range(PATIENCE):
        with suppress(InputError):
            if (lock := dvc.read_lock(project)) and dvc.data_versions(project):
                return lock
        if not (project.root / "dvc.lock").exists():
            return b""
        time.sleep(0.1)
    raise InputError(dvc.DAMAGED)


def _below(root: Path, folder: str, skipped: Iterable[str]) -> Iterator[str]:
    """Yield the files below `root/folder`, relative to `root`; nothing of what is `skipped`."""
    left_out = {str(root / name) for name in skipped}
    if (root / folder).is_file():
        yield folder
    seen = set[str]()
    for where, folders, names in os.walk(root / folder, followlinks=True):  # to another disk, say
        if (real := os.path.realpath(where)) in seen:  # a link to a folder above it
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(
            name for name in folders
            if str(Path(where, name)) not in left_out and not name.startswith(".part-")
        )  # fmt: skip
        for name in sorted(names):
            path = Path(where, name)
            if name not in LEFT_OUT and not name.startswith(".part-"):
                yield str(path.relative_to(root))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes of another encoding
        return False
    return True


class _Copy:
    """A snapshot in the making; `before`: an earlier one and its files."""

    def __init__(
        self, root: Path, part: Path, before: Path | None, known: dict[str, tuple[int, str]]
    ) -> None:
        self.root, self.part, self.before, self.known = root, part, before, known
        self.files: dict[str, tuple[int, str]] = {}
        self.alike: dict[tuple[str, int], Path] = {}  # DVC's cache and its remote, say
        self.new = 0

    def add(self, name: str, write: Callable[[Path], object]) -> None:
        """Let `write` make the file `name` of the snapshot."""
        place = self.part / name
        place.parent.mkdir(parents=True, exist_ok=True)
        write(place)
        self._note(name, place)

    def database(self, name: str) -> None:
        """Copy a database of SQLite as it is at one moment."""
        source = self.root / name
        databases.check(source, "mend or move it away before the backup")
        try:
            self.add(f"{FILES}/{name}", lambda place: _copy_database(source, place))
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise InputError(databases.busy_message(source)) from None
            raise OSError(f"{error}: is its disk full?") from None

    def all(self, names: Iterable[str]) -> None:
        """Copy files of the project; one that vanishes meanwhile is left out."""
        for name in names:
            if not _is_text(name):
                raise InputError(f"the name of {name!r} is no text in UTF-8: rename the file")
            if f"{FILES}/{name}" not in self.files:
                self._copy(self.root / name, f"{FILES}/{name}")

    def cache(self, cache: Path) -> None:
        """Copy DVC's cache, wherever the project has it."""
        for name in _below(cache, "files", ()):
            self._copy(cache / name, f"{FILES}/{CACHE}/{name}")

    def _copy(self, source: Path, name: str) -> None:
        place = self.part / name
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            if not source.is_file():  # a pipe, a socket, a link to nothing
                return
            if self._link(source, name, place):
                self.files[name] = self.known[name]
                return
            shutil.copy2(source, place)
        except FileNotFoundError:
            place.unlink(missing_ok=True)
            return
        self._note(name, place)

    def _link(self, source: Path, name: str, place: Path) -> bool:
        """Link to the file of the snapshot before, where size and time are the same."""
        if self.before is None or name not in self.known:
            return False
        earlier, now = self.before / name, source.stat()
        try:
            then = earlier.stat()
            if (then.st_size, then.st_mtime_ns) != (now.st_size, now.st_mtime_ns):
                return False
            place.hardlink_to(earlier)
        except OSError:  # gone, or no hard links there
            return False
        return True

    def _note(self, name: str, place: Path) -> None:
        """Note a file; where the same bytes are there already, it becomes a link to them."""
        about = place.stat()
        found = self.files[name] = (about.st_size, sha256_of_file(place))
        known = self.before / name if self.before and self.known.get(name) == found else None
        same = known or self.alike.setdefault((found[1], about.st_mode), place)
        if same != place:
            link = place.with_name(f".part-link-{place.name}")
            with suppress(OSError):  # no hard links there
                link.hardlink_to(same)
                link.replace(place)
                return
        self.new += found[0]


def _copy_database(source: Path, place: Path) -> None:
    with (
        closing(sqlite3.connect(source, timeout=databases.PATIENCE)) as old,
        closing(sqlite3.connect(place)) as new,
    ):
        old.backup(new)
        if (found := new.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            raise InputError(f"{source} is damaged ({found}): mend it before the backup")
