"""What a killed process leaves of DVC: a `dvc.lock` cut short, and locks that nobody holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evergreen.files import write_whole
from evergreen.project import Project


@contextmanager
def keep_record(project: Project) -> Iterator[None]:
    """Keep a copy of `dvc.lock` while DVC rewrites it: a kill then would leave an empty one."""
    lock, before = project.root / "dvc.lock", _before(project)
    content = lock.read_bytes() if lock.exists() else b""
    write_whole(before, lambda part: part.write_bytes(content))
    yield
    before.unlink()


def restore_record(project: Project) -> None:
    """Restore `dvc.lock` to what it was before a process that wrote it was killed, or failed."""
    before = _before(project)
    if before.exists():
        if content := before.read_bytes():
            write_whole(project.root / "dvc.lock", lambda part: part.write_bytes(content))
        else:
            (project.root / "dvc.lock").unlink(missing_ok=True)
        before.unlink()


def _before(project: Project) -> Path:
    return project.root / ".dvc" / "tmp" / "dvc.lock.before"


def drop_stale_locks(project: Project) -> None:
    """Drop locks whose holder is gone, even if another process has its number by now.

    DVC asks only whether a process of that number is alive, which in a container is nearly always
    so.
    """
    path = project.root / ".dvc" / "tmp" / "rwlock"
    if not path.exists():
        return
    written = path.stat().st_mtime
    try:
        lock = json.loads(path.read_text(encoding="utf-8"))
        readers = [reader for readers in lock.get("read", {}).values() for reader in readers]
        holders = [*readers, *lock.get("write", {}).values()]
        alive = any(_older_than(int(holder["pid"]), written) for holder in holders)
    except (ValueError, KeyError, TypeError, AttributeError):
        # Cut short by a crash while it was written
        alive = False
    if not alive:
        path.unlink(missing_ok=True)


def _older_than(pid: int, moment: float) -> bool:
    """Return whether a process runs, and has done so since before `moment`."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time()) <= moment
    except psutil.NoSuchProcess:
        return False
