"""Watch: tell Prefect of batches that wait in the source, so that monitoring starts.

It looks at what is there, not at what was said: what was told to a server that was down is told again after the next
start, since the batch still waits.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Mapping

from evergreen.data.sources import Offer
from evergreen.errors import explain
from evergreen.files import sha256_of
from evergreen.project import Project
from flows.server import tag_of

ARRIVED = "evergreen.batch.arrived"
OPENED = "evergreen.house.opened"
DRIFTED = "evergreen.drift.detected"
PAUSE = {"files": 10.0, "sql": 300.0, "python": 60.0}  # seconds between two looks
PATIENCE = 3600.0  # seconds until what still waits is told again
Tell = Callable[[str, Mapping[str, object]], None]


class Watcher:
    """What it has seen of the source, and what it has told of it."""

    def __init__(
        self, look: Callable[[], list[Offer]], tell: Tell, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look, self._tell, self._clock = look, tell, clock
        self._seen: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._when = 0.0

    def look(self) -> list[str]:
        """Look once; return the batches that were told of.

        A batch counts when two looks find it the same: a file that is still being written is left alone.
        """
        waiting = {one.name: one.origin for one in self._look()}
        settled = {name: origin for name, origin in waiting.items() if self._seen.get(name) == origin}
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

    Events that say the same within a minute start one run, others one each: `prefect.yaml` looks at `evergreen.about`.
    """
    from prefect.events import emit_event

    emit_event(event, resource=resource_of(project, payload), payload=dict(payload))


def resource_of(project: Project, payload: Mapping[str, object]) -> dict[str, str]:
    """Return what the triggers know the project by, and a fingerprint of what is said."""
    about = {"evergreen.about": sha256_of(dict(payload))}
    return {"prefect.resource.id": f"evergreen.project.{tag_of(project)}"} | about


def look_once(watcher: Watcher, said: str = "") -> str:
    """Look; print what was told, or what went wrong and was not `said` before; return what went wrong."""
    try:
        if found := watcher.look():
            print("told of", ", ".join(found), flush=True)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a source that is away comes back; panics of polars and exits are no Exceptions
        known = explain(error)
        wrong = str(known or f"{type(error).__name__}: {error}")
        if wrong != said:
            print(wrong if known else traceback.format_exc(), file=sys.stderr, flush=True)
        return wrong
    return ""


def main() -> None:
    """Watch the source of the project around the working directory until told to stop."""
    from evergreen.data.batches import waiting
    from evergreen.params import load

    project, kind = Project.find(), "files"

    def look() -> list[Offer]:
        nonlocal kind
        params = load(project.params)  # a person may have changed it
        kind = params.source.kind
        return waiting(project, params)

    watcher = Watcher(look, lambda *said: tell(project, *said))
    tell(project, OPENED, {})
    said = ""
    while True:
        said = look_once(watcher, said)
        time.sleep(PAUSE[kind])


if __name__ == "__main__":
    main()
