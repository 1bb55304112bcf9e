"""Watch: tell Prefect of batches that wait in the source, so that monitoring starts.

It looks at what is there, not at what was said: what was told to a server that was down is told
again after the next start, since the batch still waits.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping

from evergreen import code
from evergreen.errors import explain
from evergreen.files import sha256_of
from evergreen.ingest.batches import Waiting
from evergreen.ingest.sources import Offer
from evergreen.orchestration.server import tag_of
from evergreen.params import Params
from evergreen.project import Project
from evergreen.redact import redact

ARRIVED = "evergreen.batch.arrived"
OPENED = "evergreen.house.opened"
DRIFTED = "evergreen.drift.detected"
TOUCHED = "evergreen.champion.touched"  # by a person in MLflow, or its files are damaged
GUARDED = 60.0  # seconds between two looks at the models
PAUSE = {"files": 10.0, "sql": 300.0, "python": 60.0}  # seconds between two looks
PATIENCE = 3600.0  # seconds until what still waits is told again
_REFUSED: dict[str, int] = {}  # edited files that could not be imported, and when they were edited
Tell = Callable[[str, Mapping[str, object]], None]


class Watcher:
    """What it has seen of the source, and what it has told of it."""

    def __init__(
        self,
        look: Callable[[], list[Offer]],
        tell: Tell,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look, self._tell, self._clock = look, tell, clock
        self._seen: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._when = 0.0

    def look(self) -> list[str]:
        """Look once; return the batches that were told of.

        A batch counts when two looks find it the same: a file that is still being written is left
        alone.
        """
        waiting = {one.name: one.origin for one in self._look()}
        settled = {
            name: origin for name, origin in waiting.items() if self._seen.get(name) == origin
        }
        self._seen = waiting
        again = self._clock() - self._when > PATIENCE
        if not settled or (settled == self._told and not again):
            self._told = {name: origin for name, origin in self._told.items() if name in waiting}
            return []
        self._tell(ARRIVED, {"batches": sorted(settled)})
        self._told, self._when = settled, self._clock()
        return sorted(settled)


def tell(project: Project, event: str, payload: Mapping[str, object]) -> None:
    """Emit an event of this project; Prefect sends it from a thread, at the latest before the process ends.

    Events that say the same within a minute start one run, others one each: `prefect.yaml` looks at
    `evergreen.about`.
    """
    from prefect.events import emit_event

    emit_event(event, resource=resource_of(project, payload), payload=dict(payload))


def resource_of(project: Project, payload: Mapping[str, object]) -> dict[str, str]:
    """Return what the triggers know the project by, and a fingerprint of what is said."""
    about = {"evergreen.about": sha256_of(dict(payload))}
    return {"prefect.resource.id": f"evergreen.project.{tag_of(project)}"} | about


def tell_once(
    look: Callable[[], Waiting], say: Callable[[str], object]
) -> Callable[[], list[Offer]]:
    """Return a look at what waits that says of each file once, as long as it is there, that it is passed over."""
    before: tuple[str, ...] = ()

    def look_and_say() -> list[Offer]:
        nonlocal before
        seen = look()
        if new := [file for file in seen.passed_over if file not in before]:
            say(f"passed over in the source: {', '.join(new)}")
        before = seen.passed_over
        return list(seen.offers)

    return look_and_say


def restart_if_edited(project: Project) -> None:
    """Begin anew in this process where code was edited, so that what is watched is what a run would take.

    Code that cannot be imported is told, and waited for.
    """
    edited = {str(path): path.stat().st_mtime_ns if path.exists() else 0 for path in code.changed()}
    if not edited or edited == _REFUSED:
        return
    command = [
        sys.executable,
        "-c",
        "import evergreen.ingest.batches, evergreen.orchestration.watch",
    ]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        print("begun anew with what was edited:", ", ".join(edited), flush=True)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    print(
        f"{', '.join(edited)}: {last}: correct it; until then the code from before is used",
        file=sys.stderr,
        flush=True,
    )
    _REFUSED.clear()
    _REFUSED.update(edited)


class Guard:
    """What it has said of the models: each sentence once, until it is true no more."""

    def __init__(self, look: Callable[[], list[str]], tell: Tell) -> None:
        self._look, self._tell, self._told = look, tell, set[str]()

    def look(self) -> list[str]:
        """Look once; return what is new."""
        found = self._look()
        new = [said for said in found if said not in self._told]
        for said in new:
            self._tell(TOUCHED, {"what": said})
        self._told = set(found)
        return new


def warnings_of(project: Project, params: Params) -> list[str]:
    """Return what a person must be told of the project's models; nothing where there is none."""
    from evergreen.stores.outside import warnings
    from evergreen.stores.registry import Registry
    from evergreen.stores.tracking import Tracker

    tracker = Tracker(project, params)
    return warnings(Registry(tracker)) if tracker.is_there else []


def look_once(watcher: Watcher, said: str = "") -> str:
    """Look; print what was told, or what went wrong and was not `said` before; return what went wrong."""

    def look() -> None:
        if found := watcher.look():
            print("told of", ", ".join(found), flush=True)

    return survive(look, said)


def survive(do: Callable[[], object], said: str = "") -> str:
    """Do something; print what went wrong and was not `said` before; return what went wrong."""
    try:
        do()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # A source that is away comes back; panics of polars and exits are no Exceptions
        known = explain(error)
        wrong = str(known or f"{type(error).__name__}: {error}")
        if wrong != said:
            print(wrong if known else redact(traceback.format_exc()), file=sys.stderr, flush=True)
        return wrong
    return ""


def main() -> None:
    """Watch the source of the project around the working directory until told to stop."""
    from evergreen.ingest.batches import find_waiting
    from evergreen.params import load

    project, kind = Project.find(), "files"

    def see() -> Waiting:
        nonlocal kind
        params = load(project.params)  # a person may have changed it
        kind = params.source.kind
        return find_waiting(project, project.dataset, params)

    def guard_models() -> None:
        for what in guard.look():
            print(what, flush=True)

    looked = tell_once(see, lambda what: print(what, file=sys.stderr, flush=True))
    watcher = Watcher(looked, lambda *said: tell(project, *said))
    guard = Guard(
        lambda: warnings_of(project, load(project.params)), lambda *said: tell(project, *said)
    )
    tell(project, OPENED, {})
    said, wrong, guarded = "", "", -GUARDED
    while True:
        restart_if_edited(project)
        said = look_once(watcher, said)
        if time.monotonic() - guarded >= GUARDED:
            guarded, wrong = time.monotonic(), survive(guard_models, wrong)
        time.sleep(PAUSE[kind])


if __name__ == "__main__":
    main()
