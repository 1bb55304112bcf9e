"""Spool: rows on disk that wait to be worked on, so that a kill loses none of them.

A line an entry: its checksum, a word, and the rows as an Arrow stream in base64. Each begins with
the end of the line before, so that one which was cut off by a kill takes no other with it. Several
processes may add to a spool, and take from it.
"""

from __future__ import annotations

import base64
import io
import logging
import os
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from filelock import FileLock

MOST = 64 * 2**20  # bytes that may wait
log = logging.getLogger(__name__)


class Spool:
    """What waits under a name in a folder."""

    def __init__(self, folder: Path, name: str, most: int = MOST) -> None:
        self._folder, self._name, self._most = folder, name, most
        self._path = folder / f"{name}.spool"
        self._lock = FileLock(folder / f"{name}.lock", poll_interval=0.005)

    def add(self, entries: Iterable[tuple[str, pl.DataFrame]], *, sync: bool = False) -> bool:
        """Append rows, each with a word; return whether there was room for them.

        `sync`: they survive a loss of power as well, not only a kill.
        """
        lines = b"".join(_line(word, rows) for word, rows in entries)
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            if (
                sum(path.stat().st_size for path in self._folder.glob(f"{self._name}*"))
                > self._most
            ):
                return False
            with self._path.open("ab", buffering=0) as file:
                fresh = not file.tell()
                file.write(lines)
                if sync:
                    os.fsync(file.fileno())
            if sync and fresh:
                _sync_folder(self._folder)
        return True

    def take(self) -> list[Path]:
        """Set aside what waits; return all that is set aside, also by who is gone, oldest first.

        Each is to be removed when it is done.
        """
        if self._path.exists():
            with self._lock:
                stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
                self._path.replace(self._folder / f"{self._name}-{stamp}.taken")
        return sorted(self._folder.glob(f"{self._name}-*.taken"))


def read(path: Path) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the words and rows of what was taken; what is not whole is passed over."""
    for line in path.read_bytes().split(b"\n"):
        checksum, _, content = line.partition(b" ")
        word, _, packed = content.partition(b" ")
        try:
            if line and checksum == b"%08x" % zlib.crc32(content):
                yield word.decode(), pl.read_ipc_stream(io.BytesIO(base64.b64decode(packed)))
            elif line:
                log.warning("%s: what was being written when a process ended is left out", path)
        except (ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
            log.exception("%s: a line is left out, written by another version", path)


def stamp_of(path: Path) -> str:
    """Return when something was taken, as its name has it: the same whenever it is read."""
    return path.stem.rpartition("-")[2]


def _line(word: str, rows: pl.DataFrame) -> bytes:
    packed = io.BytesIO()
    # A frame of its own: Polars locks it while it writes to Python, and whoever asks that frame for
    # anything meanwhile has Python's lock, and waits for the other
    rows.clone().write_ipc_stream(packed)
    content = b"%s %s" % (word.encode(), base64.b64encode(packed.getvalue()))
    return b"\n%08x %s\n" % (zlib.crc32(content), content)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
