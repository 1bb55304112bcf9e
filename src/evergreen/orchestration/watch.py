"""Watch: emit an event to Prefect for batches that wait in the source, so that monitoring starts.

It checks what is there, not what was emitted before: an event that a server missed while it was
down is emitted again after the next start, since the batch still waits.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial

from evergreen.errors import explain
from evergreen.files import sha256_of
from evergreen.ingest.batches import Waiting
from evergreen.ingest.sources import Offer
from evergreen.orchestration.edits import Edits, restart
from evergreen.orchestration.server import tag_of
from evergreen.params import Params
from evergreen.project import Project
from evergreen.redact import redact

ARRIVED = "evergreen.batch.arrived"
STARTED = "evergreen.services.started"
REQUESTED = "evergreen.retraining.requested"
TOUCHED = "evergreen.champion.touched"  # by a person in MLflow, or its files are damaged
GUARDED = 60.0  # seconds between two checks of the models
PAUSE = {"files": 10.0, "sql": 300.0, "python": 60.0}  # seconds between two checks
PATIENCE = 3600.0  # seconds until what still waits is reported again
TRIAL = ("-c", "import evergreen.ingest.batches, evergreen.orchestration.watch")
Emit = Callable[[str, Mapping[str, object]], None]


class Watcher:
    """What it has seen in the source, and which events it has emitted."""

    def __init__(
        self,
        find: Callable[[], list[Offer]],
        emit: Emit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find, self._emit, self._clock = find, emit, clock
        self._seen: dict[str, str] = {}
        self._reported: dict[str, str] = {}
        self._when = 0.0

    @property
    def waits(self) -> bool:
        """Whether the last check found a batch, of which an event tells as soon as it is whole."""
        return bool(self._seen)

    def check(self) -> list[str]:
        """Check the source once; return the batches that were reported.

        A batch counts when two checks find it the same: a file that is still being written is left
        alone.
        """
        waiting = {offer.name: offer.origin for offer in self._find()}
        settled = {
            name: origin for name, origin in waiting.items() if self._seen.get(name) == origin
        }
        self._seen = waiting
        again = self._clock() - self._when > PATIENCE
        if not settled or (settled == self._reported and not again):
            self._reported = {
                name: origin for name, origin in self._reported.items() if name in waiting
            }
            return []
        self._emit(ARRIVED, {"batches": sorted(settled)})
        self._reported, self._when = settled, self._clock()
        return sorted(settled)


def emit(project: Project, event: str, payload: Mapping[str, object]) -> None:
    """Emit an event of this project; Prefect sends it from a thread before the process ends.

    Events with the same payload within a minute start one run, others one each: `prefect.yaml`
    compares `evergreen.about`.
    """
    from prefect.events import emit_event

    emit_event(event, resource=resource_of(project, payload), payload=dict(payload))


def resource_of(project: Project, payload: Mapping[str, object]) -> dict[str, str]:
    """Return the resource that triggers match, with a fingerprint of the payload."""
    about = {"evergreen.about": sha256_of(dict(payload))}
    return {"prefect.resource.id": f"evergreen.project.{tag_of(project)}"} | about


def report_once(
    find: Callable[[], Waiting], report: Callable[[str], object]
) -> Callable[[], list[Offer]]:
    """Return `find`; each file that is passed over is reported once, as long as it is there."""
    before: tuple[str, ...] = ()

    def find_and_report() -> list[Offer]:
        nonlocal before
        found = find()
        if new := [file for file in found.passed_over if file not in before]:
            report(f"passed over in the source: {', '.join(new)}")
        before = found.passed_over
        return list(found.offers)

    return find_and_report


def restart_if_edited(edits: Edits) -> None:
    """Restart this process where code was edited, so that it watches what a run would take.

    Code that cannot be imported is reported, and waited for.
    """
    edited = edits.find()
    if not edited:
        return
    if why := edits.refuses(edited):
        print(why, file=sys.stderr, flush=True)
        return
    print("restarted with what was edited:", ", ".join(edited), flush=True)
    restart()


class Guard:
    """The warnings about models that it has emitted: each once, for as long as it holds."""

    def __init__(self, find: Callable[[], list[str]], emit: Emit) -> None:
        self._find, self._emit, self._reported = find, emit, set[str]()

    def check(self) -> list[str]:
        """Check the models once; return the new warnings."""
        found = self._find()
        new = [warning for warning in found if warning not in self._reported]
        for warning in new:
            self._emit(TOUCHED, {"what": warning})
        self._reported = set(found)
        return new


def warnings_of(project: Project, params: Params) -> list[str]:
    """Return warnings about the project's models; none where there is no store."""
    from evergreen.stores.outside import warnings
    from evergreen.stores.registry import Registry
    from evergreen.stores.tracking import Tracker

    tracker = Tracker(project, params)
    return warnings(Registry(tracker)) if tracker.is_there else []


def check_once(watcher: Watcher, before: str = "") -> str:
    """Check the source; print what was reported, or a failure other than `before`; return it."""

    def check() -> None:
        if found := watcher.check():
            print("reported", ", ".join(found), flush=True)

    return survive(check, before)


def survive(do: Callable[[], object], before: str = "") -> str:
    """Do something; print a failure other than `before`, the last one; return it."""
    try:
        do()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # A source that is away comes back; panics of polars and exits are no Exceptions
        known = explain(error)
        failure = str(known or f"{type(error).__name__}: {error}")
        if failure != before:
            print(failure if known else redact(traceback.format_exc()), file=sys.stderr, flush=True)
        return failure
    return ""


def main() -> None:
    """Watch the source of the project around the working directory until stopped."""
    from evergreen.ingest.batches import find_waiting
    from evergreen.params import load

    project, kind = Project.find(), "files"

    def find() -> Waiting:
        nonlocal kind
        params = load(project.params)  # a person may have changed it
        kind = params.source.kind
        return find_waiting(project, project.dataset, params)

    def guard_models() -> None:
        for warning in guard.check():
            print(warning, flush=True)

    send = partial(emit, project)
    watcher = Watcher(report_once(find, partial(print, file=sys.stderr, flush=True)), send)
    guard = Guard(lambda: warnings_of(project, load(project.params)), send)
    of_source, of_models, guarded, greeted = "", "", -GUARDED, False
    edits = Edits(project.root, TRIAL)
    while True:
        restart_if_edited(edits)
        of_source = check_once(watcher, of_source)
        if not (greeted or watcher.waits):  # else the event of the batch starts the same run
            send(STARTED, {})
        greeted = True
        if time.monotonic() - guarded >= GUARDED:
            guarded, of_models = time.monotonic(), survive(guard_models, of_models)
        time.sleep(PAUSE[kind])


if __name__ == "__main__":
    main()
