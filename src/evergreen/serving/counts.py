"""Counts: what Prometheus reads of a server, in a registry of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

if TYPE_CHECKING:
    from evergreen.serving.answers import Predicted
    from evergreen.serving.facts import Facts
    from evergreen.serving.live import Watch

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)


class Counts:
    """The numbers of one server."""

    def __init__(self) -> None:
        self._registry = kept = CollectorRegistry()
        self._answers = Counter(
            "evergreen_answers", "Answers by path and status.", ["path", "status"], registry=kept
        )
        self._rows = Counter(
            "evergreen_rows", "Rows predicted, by version.", ["version"], registry=kept
        )
        self._seconds = Histogram(
            "evergreen_predict_seconds", "Seconds of a prediction.", buckets=SECONDS, registry=kept
        )
        self._unseen = Counter(
            "evergreen_unseen_levels",
            "Values that no training row had.",
            ["feature"],
            registry=kept,
        )
        self._record = Counter(
            "evergreen_record_rows",
            "Rows kept, labelled, repeated, of an unknown key, dropped by a full queue, lost; "
            "labels that are tried again (late).",
            ["what"],
            registry=kept,
        )
        self._failures = Counter(
            "evergreen_switch_failures", "Looks at the champion that failed.", registry=kept
        )
        self._version = Gauge(
            "evergreen_model", "1 for the version that answers.", ["version"], registry=kept
        )
        self._trouble = Gauge(
            "evergreen_trouble",
            "1 where the champion, or what was edited, cannot be taken.",
            registry=kept,
        )

    def add(self, facts: Facts) -> None:
        """Let the page tell facts as well."""
        self._registry.register(facts)

    def answered(self, path: str, status: int) -> None:
        """Count an answer."""
        self._answers.labels(path, status).inc()

    def predicted(self, found: Predicted, seconds: float) -> None:
        """Count an answer's rows, and how long it took."""
        self._rows.labels(found.live.scorer.version).inc(found.rows.height)
        self._seconds.observe(seconds)
        for name, rows in found.unseen.items():
            self._unseen.labels(name).inc(rows)

    def recorded(self, what: str, rows: int) -> None:
        """Count what became of rows that were to be kept."""
        self._record.labels(what).inc(rows)

    def failed(self) -> None:
        """Count a look at the champion that failed."""
        self._failures.inc()

    def page(self, watch: Watch) -> tuple[bytes, str]:
        """Return the page, and its content type."""
        self._version.clear()
        if watch.live:
            self._version.labels(watch.live.scorer.version).set(1)
        self._trouble.set(bool(watch.told))
        return generate_latest(self._registry), CONTENT_TYPE_LATEST
