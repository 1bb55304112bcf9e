"""The journal of monitoring in MLflow: what each batch showed of each champion, and requests.

One run of the experiment "... monitoring" per batch and champion. An entry counts once its run has
finished, so a killed monitoring leaves nothing that counts and the next one writes it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.decision import Decision
from evergreen.stores.artifacts import Artifacts
from evergreen.stores.client import ROOT, quoted
from evergreen.stores.tracking import MOST, Tracker

if TYPE_CHECKING:
    from mlflow.entities import Run

SEEN = "evergreen.seen"
ASKED, ANSWERED, BACK = f"{SEEN}.asked", f"{SEEN}.answered", f"{SEEN}.back"
FACTS = "facts.json"
LONGEST = 5000  # characters of a tag, which every database of MLflow holds


@dataclass(frozen=True)
class Entry:
    """What monitoring found of one batch under one champion.

    `fingerprint`: of what the entry depends on; another one means that it is out of date.
    """

    batch: str
    version: str
    fingerprint: str
    action: str = ""
    reason: str = ""
    run_id: str = ""


class Journal:
    """One project's entries."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker, self.client = tracker, tracker.client

    @cached_property
    def _place(self) -> str:
        return self.tracker.experiment_called(
            f"{self.tracker.params.tracking.experiment} monitoring"
        )

    def write(
        self,
        entry: Entry,
        facts: Mapping[str, Any],
        metrics: Mapping[str, float],
        decision: Decision,
        *,
        ask: bool,
    ) -> Entry:
        """Record what was found (`facts`, plain values) and decided.

        `ask`: a retraining is requested until `answer` says that it was made.
        """
        from mlflow.entities import Metric, RunTag

        tags = {
            SEEN: entry.batch,
            f"{SEEN}.version": entry.version,
            f"{SEEN}.stamp": entry.fingerprint,
            f"{SEEN}.action": decision.action,
            f"{SEEN}.reason": "; ".join(decision.reasons)[:LONGEST],
            **({ASKED: "true"} if ask else {}),
            "mlflow.note.content": decision.as_markdown()[:LONGEST],
        }
        name = f"{entry.batch} under version {entry.version}: {decision.action}"
        made = self.tracker.create_run(self._place, name, {}, last=True)
        run_id, now = str(made.info.run_id), made.info.start_time
        # NaN is no finding
        known = [Metric(key, value, now, 0) for key, value in metrics.items() if value == value]
        self.client.log_batch(
            run_id, known, tags=[RunTag(key, value) for key, value in tags.items()]
        )
        self.client.log_dict(run_id, decision.as_plain(), "decision.json")
        self.client.log_dict(run_id, dict(facts), FACTS)
        self.client.set_terminated(run_id)
        return _entry(self.client.get_run(run_id))

    def entries(self, version: str | None = None) -> list[Entry]:
        """Return the newest entry of each batch and champion (or of one), oldest written first."""
        only = f" and tags.`{SEEN}.version` = '{version}'" if version else ""
        found = map(_entry, self._search(f"attributes.status = 'FINISHED'{only}"))
        return list({(entry.version, entry.batch): entry for entry in found}.values())

    def facts(self, entry: Entry) -> dict[str, Any]:
        """Return what was found, as `write` was given it."""
        return Artifacts(self.tracker).read_json(entry.run_id, FACTS)

    def attach(self, entry: Entry, files: Sequence[Path]) -> None:
        """Keep `files` with an entry."""
        Artifacts(self.tracker).attach(entry.run_id, files)

    def asked(self) -> list[Entry]:
        """Return the entries that request a retraining which has not been made, oldest first."""
        found = self._search(f"attributes.status = 'FINISHED' and tags.`{ASKED}` = 'true'")
        return [_entry(run) for run in found if ANSWERED not in run.data.tags]

    def looked_back(self, version: str, *, done: bool = False) -> bool:
        """Return whether every entry under a champion was part of a comparison with the one before.

        `done`: now they are.
        """
        found = self._search(
            f"attributes.status = 'FINISHED' and tags.`{SEEN}.version` = '{version}'"
        )
        missing = [run for run in found if BACK not in run.data.tags]
        for run in missing if done else ():
            self.client.set_tag(run.info.run_id, BACK, "true")
        return done or not missing

    def answer(self, run_id: str) -> list[Entry]:
        """Record that the training run `run_id` answers the open entries; return these."""
        open_entries = self.asked()
        for entry in open_entries:
            self.client.set_tag(entry.run_id, ANSWERED, run_id)
        return open_entries

    def recover(self) -> None:
        """Close what a killed monitoring left open; call it with the project's lock held."""
        for run in self._search(
            f"attributes.status = 'RUNNING' and tags.`{ROOT}` = {quoted(self.tracker.root)}"
        ):
            self.client.set_terminated(run.info.run_id, "KILLED")

    def _search(self, filter_string: str) -> list[Run]:
        """Return runs, oldest first."""
        oldest_first = ["attributes.start_time ASC"]
        return list(
            self.client.search_runs(
                [self._place], filter_string, max_results=MOST, order_by=oldest_first
            )
        )


def _entry(run: Run) -> Entry:
    tags = run.data.tags
    version, fingerprint, action, reason = (
        tags.get(f"{SEEN}.{key}", "") for key in ("version", "stamp", "action", "reason")
    )
    return Entry(tags.get(SEEN, ""), version, fingerprint, action, reason, str(run.info.run_id))
