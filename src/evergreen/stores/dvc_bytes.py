"""The bytes that DVC keeps: pushed to the remote, and brought back for another dvc.lock.

A file is brought back from the project's cache, else from its remote, and compared with its hash on
the way: DVC itself takes a write-protected file of its cache for whole.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

from evergreen.errors import InputError
from evergreen.files import read_entries, sha256_of, sha256_of_file, write_entries
from evergreen.project import Project
from evergreen.stores.dvc import data_versions, outputs_of, read_lock

if TYPE_CHECKING:
    from dvc.repo import Repo

DIR = ".dir"  # the end of the hash of a folder: its object lists the files
CHUNK = 1 << 20  # bytes
PATIENCE = 60.0  # seconds for the first answer of a remote elsewhere


def push(project: Project, *, only_local: bool) -> int:
    """Push what dvc.lock names to the remote; return how many files were not there.

    `only_local`: unless the remote is a folder of this machine. Nothing is opened where the same
    was pushed before. Raises InputError where it cannot be pushed.
    """
    note, lock = _note(project), read_lock(project).decode(errors="replace")
    known, what = read_entries(note), sha256_of(lock, _settings(project), only_local)
    where = known.get("where")
    if known.get("what") == what and (not where or Path(where).is_dir()):
        return 0
    with ExitStack() as opened:
        try:
            sent, where = _send(project, _open(project.root, opened), only_local=only_local)
        except InputError:
            raise
        except Exception as error:  # each kind of remote has its own
            raise InputError(f"DVC: {' '.join(str(error).split())}") from error
    write_entries(note, {"what": what, "where": where})
    return sent


def _send(project: Project, repo: Repo, *, only_local: bool) -> tuple[int, str]:
    """Push what is not in the remote yet; return how many files, and the remote's folder, if any.

    A folder's list goes last, so that where that is, its files are.
    """
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.transfer import transfer

    if not repo.config["core"].get("remote"):
        return 0, ""
    remote = repo.cloud.get_remote(command="push")
    local = remote.fs.protocol == "local"
    if only_local and not local:
        return 0, ""
    objects = [HashInfo("md5", digest) for digest in data_versions(project).values()]
    if not local:
        _ask(remote)
    done = transfer(repo.cache.local, remote.odb, objects, shallow=False)
    if done.failed:
        raise InputError(f"{len(done.failed)} file(s) did not arrive in {remote.path}")
    return len(done.transferred), str(remote.path) if local else ""


def _ask(remote: Any) -> None:
    """Raise InputError where the remote gives no answer: DVC itself waits minutes for each file."""

    def work() -> None:
        with suppress(Exception):  # also an answer, of which the transfer tells
            remote.odb.exists("0" * 32)

    asking = Thread(target=work, daemon=True, name="remote")
    asking.start()
    asking.join(PATIENCE)
    if asking.is_alive():
        raise InputError(f"{remote.path} gives no answer for {PATIENCE:g} s")


@dataclass(frozen=True)
class Brought:
    """What became of the files that a dvc.lock names.

    `altered`: files whose bytes, where there are any, are not those that were recorded; `missing`:
    files that are nowhere; `unread`: places that could not be asked, and why.
    """

    files: int
    altered: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def bring_back(lock: str, folder: Path, roots: Sequence[Path]) -> Brought:
    """Write the files that `lock`, the text of a dvc.lock, names into `folder`.

    They come from the cache or the remote of the first of the projects at `roots` that has them.
    Raises InputError where `lock` is damaged, or names what is not below `folder`.
    """
    with ExitStack() as opened:
        places = Places(roots, opened)
        files, altered, missing = 0, list[str](), list[str]()
        for path, digest in outputs_of(lock, "the run's dvc.lock is damaged").items():
            for name, of_file in places.listed(path, digest):
                said = places.copy(of_file, _within(folder, name)) if of_file else "missing"
                files += said == ""
                altered += [name] if said == "altered" else []
                missing += [name] if said == "missing" else []
        return Brought(files, tuple(altered), tuple(missing), tuple(places.unread))


def _within(folder: Path, name: str) -> Path:
    """Return the place of a file below `folder`. Raises InputError where it is not below it."""
    place = folder / name
    if not place.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"the run's dvc.lock names {name}, which is outside of the project")
    return place


class Places:
    """Where bytes are looked for, opened one after the other as they are needed."""

    def __init__(self, roots: Sequence[Path], opened: ExitStack) -> None:
        self.unread: list[str] = []
        self._found: list[Any] = []
        self._ahead = self._open_all(roots, opened)

    def listed(self, path: str, digest: str) -> Iterator[tuple[str, str]]:
        """Yield path and hash of each file of an output; without a hash where no list is found."""
        if not digest.endswith(DIR):
            yield path, digest
            return
        for store in self._all():
            with ExitStack() as reading:
                if (file := self._read(store, digest, reading)) is None:
                    continue
                content = file.read()
            if hashlib.md5(content, usedforsecurity=False).hexdigest() != digest.removesuffix(DIR):
                continue
            for entry in json.loads(content):
                yield f"{path}/{entry['relpath']}", entry["md5"]
            return
        yield path, ""

    def copy(self, digest: str, target: Path) -> str:
        """Write the file with this hash to `target`; return "", "missing" or "altered"."""
        said = "missing"
        target.parent.mkdir(parents=True, exist_ok=True)
        for store in self._all():
            with ExitStack() as reading:
                file = self._read(store, digest, reading)
                if file is None:
                    continue
                found = hashlib.md5(usedforsecurity=False)
                with target.open("wb") as copy:
                    while chunk := file.read(CHUNK):
                        found.update(chunk)
                        copy.write(chunk)
            if found.hexdigest() == digest:
                return ""
            said = "altered"
        target.unlink(missing_ok=True)
        return said

    def _all(self) -> Iterator[Any]:
        yield from [*self._found]
        for store in self._ahead:
            self._found.append(store)
            yield store

    def _open_all(self, roots: Sequence[Path], opened: ExitStack) -> Iterator[Any]:
        for root in dict.fromkeys(roots):
            if not (root / ".dvc").is_dir():
                continue
            try:
                repo = _open(root, opened)
                yield repo.cache.local
                if repo.config["core"].get("remote"):
                    yield repo.cloud.get_remote_odb(command="fetch")
            except Exception as error:  # each kind of remote has its own, one for what it lacks too
                self.unread.append(f"{root}: {' '.join(str(error).split())}")

    def _read(self, store: Any, digest: str, opened: ExitStack) -> IO[bytes] | None:
        """Return the object as a file; None where it is not there, or the store does not answer."""
        try:
            file: IO[bytes] = opened.enter_context(store.fs.open(store.oid_to_path(digest), "rb"))
        except FileNotFoundError:
            return None
        except Exception as error:
            told = f"{store.path}: {' '.join(str(error).split()) or type(error).__name__}"
            if told not in self.unread:
                self.unread.append(told)
            return None
        return file


def _open(root: Path, opened: ExitStack) -> Repo:
    from dvc.repo import Repo

    for name in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    repo = Repo(str(root))
    opened.callback(repo.close)
    return repo


def _note(project: Project) -> Path:
    """Return the file of what was pushed last."""
    return project.root / ".dvc" / "tmp" / "pushed.json"


def _settings(project: Project) -> list[str]:
    """Return what stands for the settings of the remote."""
    paths = (project.root / ".dvc" / name for name in ("config", "config.local"))
    return [sha256_of_file(path) if path.is_file() else "" for path in paths]
