"""Record: what was predicted, kept as `evergreen score` keeps it, and labels that come later.

A thread of its own writes both to spools in `stores/serving/`, behind a queue that never waits:
where it is full, rows are dropped and counted. Every few minutes another thread takes what lies
there: rows become a batch of `data/predictions/`, scored once more by the version that answered,
with the same bits; and wait in `stores/serving/` until their labels come. Those become whole rows,
files in `feedback/` that a source of files reads as batches. What a killed process leaves in the
spools is taken by the next.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from filelock import FileLock, Timeout

from evergreen.dataset import Dataset
from evergreen.features.keys import hash_keys
from evergreen.files import sweep_left, write_whole
from evergreen.project import Project
from evergreen.scoring.unlabelled import Given
from evergreen.serving import spool
from evergreen.serving.spool import Spool
from evergreen.validation.report import BatchReport, Outcome

if TYPE_CHECKING:
    from evergreen.params import Serve
    from evergreen.serving.live import Live

FEEDBACK, SERVED = "feedback", "serving"  # folders: of the project, and of its stores
LABELLED = "labelled.npy"  # hashes of the keys whose labels were written
OPEN_BATCHES = 500  # whose rows wait for labels; older ones are forgotten
AT_ONCE = 200  # requests that are written in one go
GATHER = 0.05  # seconds in which others may join what was predicted: to write costs as much as it
PATIENCE = 60  # seconds for what is left at the end
Count = Callable[[str, int], object]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Item:
    """Rows that were predicted by a version; or labels, and who waits until they are on disk."""

    rows: pl.DataFrame = field(repr=False)
    version: str = ""
    written: Future[bool] | None = None


class Recorder:
    """The queue, the spools and their threads.

    `load`: returns a version of the model. `count`: is told what happened, and to how many rows.
    """

    def __init__(
        self,
        project: Project,
        dataset: Dataset,
        task: str,
        params: Serve,
        load: Callable[[str], Live],
        count: Count = lambda what, rows: None,
    ) -> None:
        self._project, self._dataset, self._task = project, dataset, task
        self._params, self._load, self._count = params, load, count
        self._queue: queue.Queue[_Item | None] = queue.Queue(params.queue)
        folder = self._served / "waiting"
        self._rows, self._labels = Spool(folder, "rows"), Spool(folder, "labels")
        self._lock = FileLock(self._served / "keep.lock")
        self._due, self._ended, self._waiting = threading.Event(), False, 0
        names = (*dataset.key, *dataset.known_later)
        self._of_labels = {name: dataset.columns[name] for name in names}
        self._threads = [
            threading.Thread(target=work, name=work.__name__.strip("_"), daemon=True)
            for work in (self._write, self._work)
        ]

    def start(self) -> None:
        """Write from now on; first what an earlier process has left."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Write what is left, and end."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=PATIENCE)
        writer, worker = self._threads
        writer.join(timeout=PATIENCE)
        self._ended = True
        self._due.set()
        worker.join(timeout=PATIENCE)

    def predicted(self, live: Live, rows: pl.DataFrame) -> None:
        """Let valid `rows`, which `live` has answered, be kept."""
        try:
            self._queue.put_nowait(_Item(rows, live.scorer.version))
        except queue.Full:
            self._count("dropped", rows.height)

    async def labelled(self, rows: pl.DataFrame) -> bool:
        """Let labels be kept, key and what is known later; return whether they are on disk."""
        written: Future[bool] = Future()
        try:
            self._queue.put_nowait(_Item(rows, written=written))
        except queue.Full:
            return False
        return await asyncio.wrap_future(written)

    def _write(self) -> None:
        """Write what comes to the spools: rows before the labels that came after them."""
        going = True
        while going:
            items = [self._queue.get()]
            if items[0] and not items[0].written:
                time.sleep(GATHER)
            with suppress(queue.Empty):
                while len(items) < AT_ONCE:
                    items.append(self._queue.get_nowait())
            going = None not in items
            there = [item for item in items if item]
            labels = [item for item in there if item.written]
            rows: dict[str, list[pl.DataFrame]] = {}
            for item in there:
                if not item.written:
                    rows.setdefault(item.version, []).append(item.rows)
            self._add(rows, sync=bool(labels))
            if labels:
                self._add_labels(labels)

    def _add(self, rows: dict[str, list[pl.DataFrame]], *, sync: bool) -> None:
        if not rows:
            return
        height = sum(frame.height for frames in rows.values() for frame in frames)
        try:
            entries = [(version, pl.concat(frames)) for version, frames in rows.items()]
            if not self._rows.add(entries, sync=sync):
                self._count("dropped", height)
        except OSError:
            self._count("lost", height)
            log.exception("what was predicted could not be written")
        self._waiting += height
        if self._waiting >= self._params.keep_rows:
            self._due.set()

    def _add_labels(self, labels: Sequence[_Item]) -> None:
        try:
            there = self._labels.add([("labels", item.rows) for item in labels], sync=True)
        except OSError:
            there = False
            log.exception("labels could not be written")
        for item in labels:
            # Who asked may have gone
            if item.written and item.written.set_running_or_notify_cancel():
                item.written.set_result(there)

    def _work(self) -> None:
        while True:
            ended = self._ended
            self._due.clear()
            try:
                with self._lock.acquire(timeout=PATIENCE / 2):
                    self._flush()
            except Timeout:
                pass  # another process is at it
            # A full disk must not end the thread, and with it all that follows
            except (Exception, pl.exceptions.PanicException):
                log.exception("what waits could not be taken")
            if ended:
                return
            self._due.wait(self._params.keep_minutes * 60)

    def _flush(self) -> None:
        self._waiting = 0
        # Labels first: then the rows of each of them are among those that are taken next
        labels = self._labels.take()
        for path in self._rows.take():
            served: dict[str, list[pl.DataFrame]] = {}
            for version, rows in spool.read(path):
                served.setdefault(version, []).append(rows)
            for version, frames in served.items():
                self._try(SERVED, frames, partial(self._keep, path, version, frames))
            path.unlink()
        for path in labels:
            frames = [rows for _, rows in spool.read(path)]
            fit = [rows for rows in frames if rows.schema == self._of_labels]
            if not fit or self._try("labels", fit, partial(self._label, path, fit)):
                path.unlink()
                # Those of an earlier dataset.py
                self._count("lost", sum(f.height for f in frames) - sum(f.height for f in fit))

    def _try(self, what: str, frames: Sequence[pl.DataFrame], work: Callable[[], object]) -> bool:
        try:
            work()
        except (Exception, pl.exceptions.PanicException):
            self._count("lost" if what == SERVED else "late", sum(f.height for f in frames))
            log.exception("%s could not be kept", what)
            return False
        return True

    def _keep(self, path: Path, version: str, frames: Sequence[pl.DataFrame]) -> None:
        """Keep rows as a batch, each key once: the newest, as it was asked last."""
        from evergreen.scoring.score_and_keep import score_and_keep

        dataset, rows = self._dataset, pl.concat(frames)
        # The same name if a kill lets it be done again
        name = f"{SERVED}-{spool.stamp_of(path)}-v{version}"
        if dataset.key:
            rows = rows.unique(dataset.key, keep="last", maintain_order=True)
            write_whole(self._served / f"{name}.parquet", rows.write_parquet)
            for old in sorted(self._served.glob(f"{SERVED}-*.parquet"))[:-OPEN_BATCHES]:
                old.unlink()
        live = self._load(version)
        report = BatchReport(name, rows.height, rows.height, 0, ())
        outcome = Outcome(report, rows, rows.clear())
        given = Given(name, rows)
        kept, _, _ = score_and_keep(
            self._project, dataset, self._task, live.model, live.scorer, given, outcome
        )
        self._count("kept", kept.scored)

    def _label(self, path: Path, frames: Sequence[pl.DataFrame]) -> None:
        """Join labels with the rows that were predicted; write those that are whole by now."""
        dataset, key = self._dataset, list(self._dataset.key)
        rows = pl.concat(frames).unique(key, keep="last", maintain_order=True)
        before = self._known()
        fresh = rows.filter(~np.isin(hash_keys(rows, key), before))
        self._count("repeated", rows.height - fresh.height)
        known = [name for name in dataset.known_in_time if name not in key]
        parts, left = [], fresh
        for batch in sorted(self._served.glob(f"{SERVED}-*.parquet"), reverse=True):
            served = pl.read_parquet(batch).select(*key, *known)
            parts.append(left.join(served, on=key, nulls_equal=True, maintain_order="left"))
            left = left.join(served, on=key, how="anti", nulls_equal=True)
            if left.is_empty():
                break
        self._count("unknown", left.height)
        whole = pl.concat(parts).select(*dataset.columns) if parts else fresh.clear()
        if whole.is_empty():
            return
        name = f"{FEEDBACK}-{spool.stamp_of(path)}.parquet"
        write_whole(self._project.root / FEEDBACK / name, whole.write_parquet)
        hashes = np.concatenate([before, hash_keys(whole, key)])
        write_whole(self._served / LABELLED, lambda part: _save(part, hashes))
        self._count("labelled", whole.height)

    def _known(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """Return the hashes of the keys whose labels were written before."""
        path = self._served / LABELLED
        if not path.is_file():
            return np.array([], np.uint64)
        return np.asarray(np.load(path, allow_pickle=False), np.uint64)

    @property
    def _served(self) -> Path:
        return self._project.stores / SERVED


def _save(path: Path, hashes: np.ndarray[Any, np.dtype[np.uint64]]) -> None:
    with path.open("wb") as file:
        np.save(file, hashes, allow_pickle=False)


def sweep(project: Project) -> None:
    """Remove what a killed process left half-written."""
    for folder in (project.stores / SERVED, project.root / FEEDBACK):
        sweep_left(folder)
