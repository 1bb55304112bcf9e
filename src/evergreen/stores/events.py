"""What was decided about a model's versions, and when: runs of the experiment "... decisions".

An event counts once its run has finished. Tags can be edited in MLflow's pages and parameters
cannot, so an event's parameters go before its tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.decision import Decision
from evergreen.stores.artifacts import Artifacts
from evergreen.stores.client import ROOT, quoted
from evergreen.stores.tracking import MOST, Tracker

if TYPE_CHECKING:
    from mlflow.entities import Run

EVENT = "evergreen.event"
PROMOTED, REFUSED, ASKED, ROLLED_BACK = "promoted", "refused", "waits for approval", "rolled back"
OUTSIDE, PUT_BACK, DENIED = "changed outside", "put back", "not changed"
CHANGES = (PROMOTED, ROLLED_BACK)
DECISIONS = (*CHANGES, REFUSED, ASKED)
EVIDENCE = "decision.json"


@dataclass(frozen=True)
class Event:
    """What was decided about which version, when (UTC) and why, and who was champion before.

    `package`: the version's checksum then, '' where it was not noted. `deleted`: in MLflow, where
    it can be restored. `by`: who decided; '' for the gate and monitoring.
    """

    when: datetime
    what: str
    version: str
    before: str | None
    # The rows that the version was judged on: the newest batch, or words that end in its name
    batch: str
    reason: str
    run_id: str
    model: str = ""
    package: str = ""
    deleted: bool = False
    by: str = ""

    @property
    def told(self) -> tuple[str, str, str, str]:
        """When, which version, what and why, in words."""
        return f"{self.when:%Y-%m-%d %H:%M}", self.version, self.what, self.reason


class Events:
    """The events of one project's model."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker, self.model = tracker, tracker.params.tracking.model
        self.by = ""  # the person whose events begin
        self._ended: list[Run] = []  # that were read already, newest first

    @cached_property
    def _experiment(self) -> str:
        """The id of the experiment that holds the events, which is created where there is none."""
        return self.tracker.experiment_called(self._name)

    @property
    def _name(self) -> str:
        return f"{self.tracker.params.tracking.experiment} decisions"

    def begin(
        self,
        what: str,
        number: str,
        before: str | None,
        reason: str,
        batch: str = "",
        package: str = "",
    ) -> str:
        """Write down an event that is about to take effect; return its id.

        `package`: the version's checksum.
        """
        from mlflow.entities import Param

        client = self.tracker.client
        name = f"version {number} {what}" + (f" ({batch})" if batch else "")
        tags = {
            EVENT: what,
            f"{EVENT}.version": number,
            f"{EVENT}.before": before or "",
            f"{EVENT}.batch": batch,
            f"{EVENT}.reason": reason,
            "mlflow.note.content": reason,
        }
        run_id = str(self.tracker.create_run(self._experiment, name, tags, last=True).info.run_id)
        facts = {
            "what": what,
            "version": number,
            "before": before,
            "model": self.model,
            "package": package,
            "by": self.by,
        }
        params = [Param(key, value) for key, value in facts.items() if value]
        client.log_batch(run_id, params=params)
        return run_id

    def attach(self, run_id: str, decision: Decision | None, files: Sequence[Path] = ()) -> None:
        """Keep the decision behind an event, and `files`, with it."""
        client = self.tracker.client
        if decision:
            client.log_dict(run_id, decision.as_plain(), EVIDENCE)
            client.set_tag(run_id, "mlflow.note.content", decision.as_markdown())
        Artifacts(self.tracker).attach(run_id, files)

    def finish(self, run_id: str) -> Event:
        """Mark an event as done."""
        self.tracker.client.set_terminated(run_id)
        return _event(self.tracker.client.get_run(run_id))

    def close(self, run_id: str, *, done: bool) -> None:
        """Close an event that has begun, as done or as abandoned: it changes nothing then."""
        self.tracker.client.set_terminated(run_id, "FINISHED" if done else "KILLED")

    def restore(self, event: Event) -> None:
        """Restore an event that was deleted in MLflow."""
        self.tracker.client.restore_run(event.run_id)

    def interrupted(self) -> list[Event]:
        """Return the events that a killed process of this project left open, newest first."""
        mine = f"attributes.status = 'RUNNING' and tags.`{ROOT}` = {quoted(self.tracker.root)}"
        return [_event(run) for run in self._search(mine)]

    def last_change(self, shown: str | None, besides: str = "") -> Event | None:
        """Return the newest change of champion, `besides` one event; None before the first.

        One that was interrupted counts once its version is `shown`, the champion in MLflow.
        """
        for run in (run for run in self._all() if run.info.run_id != besides):
            event = _event(run)
            interrupted = run.info.status == "RUNNING" and event.version == shown
            counts = run.info.status == "FINISHED" or interrupted
            if counts and event.what in CHANGES and self._is_mine(event):
                return event
        return None

    def rival(self, run_id: str) -> str | None:
        """Return the version of a promotion that began before this one and has not ended.

        Of two clones that promote at once the one that began first goes on, whichever looks first.
        """
        begun = [run for run in self._all() if run.info.status == "RUNNING"]
        begun.sort(key=lambda run: (run.info.start_time, run.info.run_id))
        for event in map(_event, begun):
            if event.run_id == run_id:
                break
            if event.what == PROMOTED and self._is_mine(event):
                return event.version
        return None

    def history(self) -> list[Event]:
        """Return every event that took effect, oldest first, and those deleted in MLflow."""
        finished = (run for run in reversed(self._all()) if run.info.status == "FINISHED")
        return [event for event in map(_event, finished) if self._is_mine(event)]

    def live_at(self, moment: datetime) -> Event | None:
        """Return the event that had made the champion of `moment` (UTC); None before the first."""
        changes = [
            event for event in self.history() if event.what in CHANGES and event.when <= moment
        ]
        return changes[-1] if changes else None

    def last_decision(self, number: str) -> Event | None:
        """Return the newest decision about a version."""
        events = (event for event in reversed(self.history()) if event.what in DECISIONS)
        return next((event for event in events if event.version == number), None)

    def evidence(self, event: Event) -> dict[str, Any]:
        """Return the decision behind an event as plain values; empty where a person acted alone."""
        artifacts = self.tracker.client.list_artifacts(event.run_id)
        if not any(artifact.path == EVIDENCE for artifact in artifacts):
            return {}
        return Artifacts(self.tracker).read_json(event.run_id, EVIDENCE)

    def _is_mine(self, event: Event) -> bool:
        return event.model in ("", self.model)

    def _all(self) -> list[Run]:
        """Return the runs of all events, newest first.

        One that has ended stays as it is until somebody deletes it, and one that begins comes after
        all that are there: so only what is not known to have ended is asked for again.
        """
        from mlflow.entities import ViewType

        known = {run.info.run_id: run.info.lifecycle_stage == "deleted" for run in self._ended}
        if known:
            deleted = {run.info.run_id for run in self._search("", ViewType.DELETED_ONLY)}
            if any((run_id in deleted) != was for run_id, was in known.items()):
                known, self._ended = {}, []
        since = self._ended[0].info.start_time if self._ended else 0
        later = self._search(f"attributes.start_time >= {since}")
        found = [*(run for run in later if run.info.run_id not in known), *self._ended]
        running = [at for at, run in enumerate(found) if run.info.status == "RUNNING"]
        self._ended = found[running[-1] + 1 :] if running else found
        return found

    def _search(self, condition: str = "", view: int | None = None) -> list[Run]:
        """Return runs of events, newest first; `view`: of MLflow's, else deleted ones as well."""
        from mlflow.entities import ViewType

        client = self.tracker.client
        known = "_experiment" in self.__dict__
        if not known and client.get_experiment_by_name(self._name) is None:
            return []  # reading creates nothing
        how = {
            "run_view_type": view or ViewType.ALL,
            "max_results": MOST,
            "order_by": ["attributes.start_time DESC"],
        }
        return list(client.search_runs([self._experiment], condition, **how))


def _event(run: Run) -> Event:
    tags, facts = run.data.tags, run.data.params  # older events have no parameters
    when = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
    version, before, batch, reason = (
        tags.get(f"{EVENT}.{key}", "") for key in ("version", "before", "batch", "reason")
    )
    what, version = facts.get("what", tags.get(EVENT, "")), facts.get("version", version)
    before = facts.get("before", "" if facts else before)
    deleted = run.info.lifecycle_stage == "deleted"
    about = facts.get("model", ""), facts.get("package", ""), deleted, facts.get("by", "")
    return Event(when, what, version, before or None, batch, reason, str(run.info.run_id), *about)
