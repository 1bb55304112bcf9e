"""The only caller of DVC: which bytes of data, and whether a stage has anything to do."""

from __future__ import annotations

import gc
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from evergreen.errors import InputError
from evergreen.files import read_entries, sha256_of, write_entries, write_whole
from evergreen.project import Project

if TYPE_CHECKING:
    from dvc.repo import Repo

T = TypeVar("T")
STAGES = ("ingest", "validate", "prepare")


def run_stage(project: Project, name: str, work: Callable[[bool], T], *, force: bool = False) -> T | None:
    """Run the stage `name` of `dvc.yaml` here if DVC says that it has changed, and record it as `dvc repro` would.

    `work` is told whether the stage's outputs differ from what was recorded, so that it can tell finished files from
    altered ones; DVC's lock is held meanwhile. Returns None, and calls nothing, where nothing changed (unless
    `force`). Raises InputError where DVC cannot work.
    """
    with _opened(project) as repo:
        stage = _stage(repo, name)
        due = force or stage.changed_stage() or stage.changed_deps()
        untouched = due and read_entries(_left(project)).get(name) == _signature(stage, _files(stage))
        altered = not untouched and stage.changed_outs()
        if not (due or altered):
            return None
        result = work(altered)
        # As save() and commit() do, but each output's files are looked at once. The run cache is left to `dvc repro`:
        # restoring from it would bring back old outputs.
        files = _files(stage)
        stage.save_deps()
        stage.add_outs(relink=_links(repo))
        stage.md5 = stage.compute_md5()
        with _undoable(project):
            stage.dump(update_pipeline=False)
        if files and files == _files(stage):  # else DVC may have seen what is no longer there
            write_entries(_left(project), read_entries(_left(project)) | {name: _signature(stage, files)})
        return result


def is_altered(project: Project, name: str) -> bool:
    """Say whether the outputs of the stage `name` are not as DVC recorded them."""
    with _opened(project) as repo:
        return bool(_stage(repo, name).changed_outs())


def load_library() -> None:
    """Import DVC, which takes a moment."""
    import dvc.repo  # noqa: F401


def changed_stages(project: Project) -> list[str]:
    """Return the stages that a run would not skip for DVC's reasons."""
    with _opened(project) as repo:
        return [name for name in STAGES if _stage(repo, name).changed()]


def data_versions(project: Project) -> dict[str, str]:
    """Return path -> DVC hash of every output in `dvc.lock`; empty before the first run."""
    lock = project.root / "dvc.lock"
    if not lock.exists():
        return {}
    stages = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("stages", {})
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def _stage(repo: Repo, name: str) -> Any:
    # By absolute path: a bare name is looked up in the dvc.yaml of the working directory.
    return repo.stage.load_one(str(Path(repo.root_dir) / "dvc.yaml"), name)


def _left(project: Project) -> Path:
    """Return where it is kept how outputs were left: where nobody has touched them, DVC need not look at each file."""
    return project.root / ".dvc" / "tmp" / "left.json"


def _signature(stage: Any, files: list[Any]) -> str:
    """Return what tells that outputs are as they were left: their recorded hash, and their files."""
    return sha256_of([str(out.hash_info) for out in stage.outs], files)


def _files(stage: Any) -> list[Any]:
    """Return each file of the outputs and what DVC knows it again by: time, size, inode. Empty where one is unreadable."""
    paths = [
        os.path.join(folder, name)  # noqa: PTH118
        for out in stage.outs
        for folder, _, names in os.walk(out.fs_path)
        for name in names
    ]
    try:
        found = [(path, os.stat(path)) for path in sorted(paths)]  # noqa: PTH116
    except OSError:  # a link to nothing
        return []
    return [[path, one.st_mtime_ns, one.st_size, one.st_ino] for path, one in found]


def _links(repo: Repo) -> bool:
    """Say whether files are links into DVC's cache, not copies of their own: only links are ever made again."""
    return not {"hardlink", "symlink"}.isdisjoint(repo.cache.local.cache_types)


@contextmanager
def _undoable(project: Project) -> Iterator[None]:
    """Keep `dvc.lock` as it is while DVC rewrites it, emptied first: a kill in between would leave nothing to read."""
    lock, before = project.root / "dvc.lock", _before(project)
    content = lock.read_bytes() if lock.exists() else b""
    write_whole(before, lambda part: part.write_bytes(content))
    yield
    before.unlink()


def _undo_cut(project: Project) -> None:
    """Bring `dvc.lock` back to what it was before a process was killed, or failed, as it wrote it."""
    before = _before(project)
    if before.exists():
        if content := before.read_bytes():
            write_whole(project.root / "dvc.lock", lambda part: part.write_bytes(content))
        else:
            (project.root / "dvc.lock").unlink(missing_ok=True)
        before.unlink()


def _before(project: Project) -> Path:
    return project.root / ".dvc" / "tmp" / "dvc.lock.before"


@contextmanager
def _opened(project: Project) -> Iterator[Repo]:
    """Open DVC here with its lock held."""
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo

    for name in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # DVC makes so many objects that at Python's 700 all libraries are searched for garbage often, 0.2 s a time.
    gc.set_threshold(10_000)
    _drop_stale_locks(project.root / ".dvc" / "tmp" / "rwlock")
    try:
        repo = Repo(str(project.root))
    except DvcException as error:
        raise InputError(f"DVC cannot open {project.root}: {error}") from None
    try:
        with repo.lock:
            _undo_cut(project)
            yield repo
    except LockError:
        raise InputError(
            "DVC is busy with this project: wait until the other dvc command ends, then run again"
        ) from None
    except DvcException as error:
        raise InputError(f"DVC: {error}") from error
    finally:
        repo.close()


def _drop_stale_locks(path: Path) -> None:
    """Forget locks whose holder is gone, also where its process id has since been given to another process.

    DVC asks only whether a process of that number is alive, which in a container is nearly always so.
    """
    import psutil

    if not path.exists():
        return
    written = path.stat().st_mtime
    try:
        lock = json.loads(path.read_text(encoding="utf-8"))
        holders = [one for ones in lock.get("read", {}).values() for one in ones] + list(lock.get("write", {}).values())
        alive = any(_older_than(psutil, int(one["pid"]), written) for one in holders)
    except (ValueError, KeyError, TypeError, AttributeError):  # cut short by a crash while it was written
        alive = False
    if not alive:
        path.unlink(missing_ok=True)


def _older_than(psutil: object, pid: int, moment: float) -> bool:
    try:
        return float(psutil.Process(pid).create_time()) <= moment  # type: ignore[attr-defined]
    except psutil.NoSuchProcess:  # type: ignore[attr-defined]
        return False
