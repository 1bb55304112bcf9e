"""Facts: what Prometheus is to know of a project besides its answers, read from its stores.

A thread of its own reads them now and then, so that a page costs nothing and a store that is away
holds no page up: what was known stays, with the time at which it was read.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prometheus_client.core import GaugeMetricFamily

from evergreen.ingest.manifest import Manifest
from evergreen.monitoring.drift import FEWEST_ROWS
from evergreen.project import Project
from evergreen.quality.held_batches import read_held

if TYPE_CHECKING:
    from evergreen.serving.live import Live
    from evergreen.stores.journal import Journal
    from evergreen.stores.registry import Registry
    from evergreen.stores.runs import Runs

PAUSE = 60.0  # seconds between two looks
LOOKED_AT = 10  # newest batches that monitoring has seen
END = ("metric", "end")  # labels of an estimate: value, low or high
GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {  # name -> what it says, its labels
    "evergreen_facts_read_timestamp_seconds": ("When the stores were read last.", ()),
    "evergreen_champion_since_timestamp_seconds": ("When the champion became it.", ("version",)),
    "evergreen_champion_newest_row_timestamp_seconds": (
        "The newest row that the champion has learnt from.",
        ("version",),
    ),
    "evergreen_champion_behind_seconds": (
        "From the newest row that the champion has learnt from to the newest that is prepared.",
        (),
    ),
    "evergreen_stale_cost": (
        "How much better a fresh model does on the newest batch than the champion.",
        END,
    ),
    "evergreen_performance": (
        "The champion on the newest batch that tells, by labels or estimated.",
        (*END, "by"),
    ),
    "evergreen_drifted_columns": (
        "Columns that drifted in the newest batch of enough rows that was looked at.",
        (),
    ),
    "evergreen_batches_held": ("Batches that are held back from training.", ()),
    "evergreen_batches_waiting": ("Prepared batches that monitoring has not looked at.", ()),
    "evergreen_retrainings_asked": ("Batches that ask for a retraining not made yet.", ()),
    "evergreen_training_running": ("Trainings under way.", ()),
    "evergreen_training_seconds": ("How long the last training that finished took.", ()),
    "evergreen_training_failures": ("Trainings that failed or were killed since then.", ()),
    "evergreen_disk_free_bytes": ("Free space of the disk below stores/.", ()),
    "evergreen_disk_bytes": ("Size of that disk.", ()),
}
Sample = tuple[tuple[str, ...], float]  # values of labels, and the number
log = logging.getLogger(__name__)


class Facts:
    """What was read last, as a collector of prometheus_client; `live`: the model that answers."""

    def __init__(
        self,
        project: Project,
        registry: Registry,
        runs: Runs,
        journal: Journal,
        live: Callable[[], Live | None],
    ) -> None:
        self._project, self._registry, self._runs = project, registry, runs
        self._journal, self._live = journal, live
        self._known: Mapping[str, list[Sample]] = {}
        self._read: dict[str, dict[str, Any]] = {}  # what entries hold, by the run that keeps it
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield each fact that is known; the disk is asked anew."""
        known = {**self._known, **self._disk()}
        for name, (says, labels) in GAUGES.items():
            family = GaugeMetricFamily(name, says, labels=labels)
            for values, number in known.get(name, ()):
                family.add_metric(list(values), number)
            yield family

    def look(self) -> None:
        """Read the stores; what a store raises is logged, and what was known stays."""
        live = self._live()
        if live is None:  # to ask would make experiments in MLflow
            return
        try:
            self._known = self._find(live)
        except Exception:
            log.exception("the stores could not be read")

    def start(self) -> None:
        """Look now and then, in a thread of its own."""

        def watch() -> None:
            while True:
                self.look()
                # Until there is a champion it costs nothing to look
                if self._stop.wait(PAUSE if self._known else 1.0):
                    return

        self._thread = threading.Thread(target=watch, name="facts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=1)  # it only reads

    def _disk(self) -> dict[str, list[Sample]]:
        with suppress(OSError):
            disk = shutil.disk_usage(self._project.stores)
            return {
                "evergreen_disk_free_bytes": [((), disk.free)],
                "evergreen_disk_bytes": [((), disk.total)],
            }
        return {}

    def _find(self, live: Live) -> dict[str, list[Sample]]:
        version, newest = live.scorer.version, live.model.learnt.newest
        entries = self._journal.entries(version)
        event, trained = self._registry.decision(), self._runs.ended()
        done = Manifest(self._project.features)
        later = {
            name: entry["end"] for name, entry in done.entries.items() if entry["end"] > newest
        }
        behind = _seconds(max(later.values())) - _seconds(newest) if later else 0.0
        seen = {entry.batch for entry in entries}
        finished = [seconds for status, seconds in trained if status == "FINISHED"]
        states = [status for status, _ in trained]
        since = states.index("FINISHED") if finished else len(states)
        found: dict[str, list[Sample]] = {
            "evergreen_facts_read_timestamp_seconds": [((), time.time())],
            "evergreen_champion_newest_row_timestamp_seconds": [((version,), _seconds(newest))],
            "evergreen_champion_behind_seconds": [((), behind)],
            "evergreen_batches_held": [((), len(read_held(done).keys() & done.entries.keys()))],
            "evergreen_batches_waiting": [((), len(later.keys() - seen))],
            "evergreen_retrainings_asked": [((), len(self._journal.asked()))],
            "evergreen_training_running": [((), states.count("RUNNING"))],
            "evergreen_training_failures": [
                ((), sum(state in ("FAILED", "KILLED") for state in states[:since]))
            ],
            "evergreen_training_seconds": [((), seconds) for seconds in finished[:1]],
        }
        if event:
            when = event.when.timestamp()
            found["evergreen_champion_since_timestamp_seconds"] = [((event.version,), when)]
        self._read = {
            entry.run_id: self._read.get(entry.run_id) or self._journal.facts(entry)
            for entry in entries[-LOOKED_AT:]
        }
        # The newest that knows: rows that were scored have no labels, and few rows tell little
        for facts in sorted(self._read.values(), key=lambda facts: str(facts["end"])):
            found |= {name: samples for name, samples in _seen(facts).items() if samples}
        return found


def _seen(facts: Mapping[str, Any]) -> dict[str, list[Sample]]:
    """Return what monitoring found of a batch."""
    metric, found = str(facts.get("metric", "")), dict[str, list[Sample]]()
    found["evergreen_stale_cost"] = [
        ((metric, end), number) for end, number in _ends(facts.get("staleness"))
    ]
    found["evergreen_performance"] = [
        ((name, end, by), number)
        for by, kept in (("labels", "real"), ("estimate", "adjusted"))
        for name, estimate in facts.get(kept, {}).items()
        for end, number in _ends(estimate)
    ]
    if facts["rows"] >= FEWEST_ROWS:
        found["evergreen_drifted_columns"] = [((), len(facts["drift"]["drifted"]))]
    return found


def _ends(estimate: Mapping[str, float] | None) -> list[tuple[str, float]]:
    """Return value, low and high of an estimate as plain values; what is no number is left out."""
    ends = ((end, (estimate or {}).get(end)) for end in ("value", "low", "high"))
    return [(end, float(number)) for end, number in ends if number is not None and number == number]


def _seconds(moment: str) -> float:
    """Return a moment of the data as Unix time; one without a time zone is taken as UTC."""
    when = datetime.fromisoformat(moment)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
