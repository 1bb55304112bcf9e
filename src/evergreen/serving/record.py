"""Record: what was predicted, kept as `evergreen score` keeps it, and labels that come later.

A thread of its own does both, behind a queue that never waits: where it is full, rows are dropped
and counted. Every few minutes what came in becomes a batch of `data/predictions/`, scored once more
by the model that answered, with the same bits; its rows lie in `stores/serving/` until their labels
come. Those become whole rows, files in `feedback/` that a source of files reads as batches.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evergreen.dataset import Dataset
from evergreen.features.keys import hash_keys
from evergreen.files import sweep_left, write_whole
from evergreen.project import Project
from evergreen.scoring.unlabelled import Given
from evergreen.validation.report import BatchReport, Outcome

if TYPE_CHECKING:
    from evergreen.params import Serve
    from evergreen.serving.live import Live

FEEDBACK, SERVED = "feedback", "serving"  # folders: of the project, and of its stores
LABELLED = "labelled.npy"  # hashes of the keys whose labels were written
OPEN_BATCHES = 500  # whose rows wait for labels; older ones are forgotten
Count = Callable[[str, int], object]
log = logging.getLogger(__name__)


@dataclass
class _Pending:
    """What waits to be written, since when."""

    since: float = 0.0
    rows: int = 0
    served: dict[str, tuple[Live, list[pl.DataFrame]]] = field(default_factory=dict)
    labels: list[pl.DataFrame] = field(default_factory=list)


class Recorder:
    """The queue and its thread. `count`: is told what happened, and to how many rows."""

    def __init__(
        self,
        project: Project,
        dataset: Dataset,
        task: str,
        params: Serve,
        count: Count = lambda what, rows: None,
    ) -> None:
        self._project, self._dataset, self._task = project, dataset, task
        self._params, self._count = params, count
        self._queue: queue.Queue[tuple[Live | None, pl.DataFrame] | None] = queue.Queue(
            params.queue
        )
        self._pending, self._rows_queued = _Pending(), 0
        self._thread = threading.Thread(target=self._write, name="record", daemon=True)

    def start(self) -> None:
        """Write from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, and end."""
        with suppress(queue.Full):
            self._queue.put(None, timeout=60)
        self._thread.join(timeout=60)

    def predicted(self, live: Live, rows: pl.DataFrame) -> None:
        """Let valid `rows`, which `live` has answered, be kept."""
        self._put((live, rows))

    def labelled(self, rows: pl.DataFrame) -> bool:
        """Let labels be kept: key and what is known later; return whether there was room."""
        return self._put((None, rows))

    def _put(self, item: tuple[Live | None, pl.DataFrame]) -> bool:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self._count("dropped", item[1].height)
            return False
        return True

    def _write(self) -> None:
        going = True
        while going:
            try:
                item = self._queue.get(timeout=1)
                going = item is not None
                if item:
                    self._take(*item)
            except queue.Empty:
                pass
            due = time.monotonic() - self._pending.since > self._params.keep_minutes * 60
            full = self._pending.rows >= self._params.keep_rows
            if self._pending.rows and (due or full or not going):
                self._flush()

    def _take(self, live: Live | None, rows: pl.DataFrame) -> None:
        pending = self._pending
        pending.since = pending.since if pending.rows else time.monotonic()
        pending.rows += rows.height
        if live is None:
            pending.labels.append(rows)
        else:
            pending.served.setdefault(live.scorer.version, (live, []))[1].append(rows)

    def _flush(self) -> None:
        pending, self._pending = self._pending, _Pending()
        for live, frames in pending.served.values():
            self._try("served", frames, lambda live=live, frames=frames: self._keep(live, frames))  # type: ignore[misc]
        if pending.labels:
            self._try("labels", pending.labels, lambda: self._label(pending.labels))

    def _try(self, what: str, frames: Sequence[pl.DataFrame], work: Callable[[], object]) -> None:
        try:
            work()
        # A full disk must not end the thread, and with it all that follows
        except (Exception, pl.exceptions.PanicException):
            self._count("lost", sum(frame.height for frame in frames))
            log.exception("%s could not be kept", what)

    def _keep(self, live: Live, frames: Sequence[pl.DataFrame]) -> None:
        """Keep rows as a batch, each key once: the newest, as it was asked last."""
        from evergreen.scoring.score_and_keep import score_and_keep

        dataset, rows = self._dataset, pl.concat(frames)
        if dataset.key:
            rows = rows.unique(dataset.key, keep="last", maintain_order=True)
        name = self._name(SERVED)
        report = BatchReport(name, rows.height, rows.height, 0, ())
        outcome = Outcome(report, rows, rows.clear())
        given = Given(name, rows)
        kept, _, _ = score_and_keep(
            self._project, dataset, self._task, live.model, live.scorer, given, outcome
        )
        if dataset.key:
            write_whole(self._served / f"{name}.parquet", rows.write_parquet)
            for old in sorted(self._served.glob(f"{SERVED}-*.parquet"))[:-OPEN_BATCHES]:
                old.unlink()
        self._count("kept", kept.scored)

    def _label(self, frames: Sequence[pl.DataFrame]) -> None:
        """Join labels with the rows that were predicted; write those that are whole by now."""
        dataset, key = self._dataset, list(self._dataset.key)
        rows = pl.concat(frames).unique(key, keep="last", maintain_order=True)
        before = self._known()
        fresh = rows.filter(~np.isin(hash_keys(rows, key), before))
        self._count("repeated", rows.height - fresh.height)
        known = [name for name in dataset.known_in_time if name not in key]
        parts, left = [], fresh
        for path in sorted(self._served.glob(f"{SERVED}-*.parquet"), reverse=True):
            served = pl.read_parquet(path).select(*key, *known)
            parts.append(left.join(served, on=key, nulls_equal=True, maintain_order="left"))
            left = left.join(served, on=key, how="anti", nulls_equal=True)
            if left.is_empty():
                break
        self._count("unknown", left.height)
        whole = pl.concat(parts).select(*dataset.columns) if parts else fresh.clear()
        if whole.is_empty():
            return
        path = self._project.root / FEEDBACK / f"{self._name(FEEDBACK)}.parquet"
        write_whole(path, whole.write_parquet)
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

    def _name(self, what: str) -> str:
        return f"{what}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"


def _save(path: Path, hashes: np.ndarray[Any, np.dtype[np.uint64]]) -> None:
    with path.open("wb") as file:
        np.save(file, hashes, allow_pickle=False)


def sweep(project: Project) -> None:
    """Remove what a killed process left half-written."""
    for folder in (project.stores / SERVED, project.root / FEEDBACK):
        sweep_left(folder)
