"""Facts: what is read of a project's stores, and what stays when they are away."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from evergreen import formats, params
from evergreen.files import write_json
from evergreen.ingest.manifest import Manifest
from evergreen.project import Project
from evergreen.serving.facts import GAUGES, Facts
from evergreen.serving.serve import build
from evergreen.stores.journal import Entry

DAY = 86400
LIVE = SimpleNamespace(
    scorer=SimpleNamespace(version="3"),
    model=SimpleNamespace(learnt=SimpleNamespace(newest="2013-06-30T23:00:00")),
)
SEEN = {
    "rows": 1516,
    "end": "2013-07-31T22:45:00",
    "metric": "roc_auc",
    "drift": {"drifted": ["origin", "dest"]},
    "unfit": ["too far from usual"],
    "staleness": {"value": 0.02, "low": 0.01, "high": float("nan")},
    "real": {"roc_auc": {"value": 0.7, "low": 0.6, "high": 0.8}},
    "adjusted": {"roc_auc": {"value": 0.75, "low": 0.5, "high": 1.0}},
}
SCORED = {  # none of which drifted
    "rows too few to tell": {"rows": 199, "end": "2013-08-01T09:00:00"},
    "rows of before": {"rows": 1516, "end": "2013-07-30T00:00:00"},
    "rows of August": {"rows": 200, "end": "2013-08-01T09:00:00"},
}


class Journal:
    """What monitoring found; counts how often a file is asked for."""

    def __init__(self, *batches):
        self.batches, self.read = batches, 0

    def entries(self, version):
        assert version == "3"
        return [Entry(batch, version, "", run_id=f"run of {batch}") for batch in self.batches]

    def facts(self, entry):
        self.read += 1
        scored = entry.batch.startswith("rows")
        none = {"staleness": None, "real": {}, "adjusted": {}, "drift": {"drifted": []}}
        return SEEN | none | SCORED.get(entry.batch, {}) if scored else SEEN

    def asked(self):
        return self.entries("3")[-1:]


def facts_of(folder, journal, ended=(), live=LIVE):
    event = SimpleNamespace(version="3", when=datetime(2026, 11, 1, tzinfo=UTC))
    registry = SimpleNamespace(decision=lambda: event)
    runs = SimpleNamespace(ended=lambda: list(ended))
    project = Project(folder)
    project.stores.mkdir(exist_ok=True)
    entries = {
        f"2013-0{month}": {"end": f"2013-0{month}-28T00:00:00", "rows": 9} for month in (6, 7, 8)
    }
    project.features.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(project.features)
    write_json(manifest.path, entries)
    return Facts(project, registry, runs, journal, lambda: live)


def told(facts):
    kept = CollectorRegistry()
    kept.register(facts)
    families = text_string_to_metric_families(generate_latest(kept).decode())
    return {
        (sample.name, *(sample.labels[name] for name in GAUGES[sample.name][1])): sample.value
        for family in families
        for sample in family.samples
    }


def test_what_the_stores_hold_is_told(tmp_path):
    ended = [("FAILED", 3.0), ("KILLED", 4.0), ("RUNNING", float("nan")), ("FINISHED", 61.0),
             ("FAILED", 1.0), ("FINISHED", 99.0)]  # fmt: skip
    journal = Journal("2013-07", "rows too few to tell")
    facts = facts_of(tmp_path, journal, ended)
    held = {"2013-08": ["carrier is UA in every row"], "2013-09, not there": ["odd"], "2013-06": []}
    write_json(
        tmp_path / "data/features/held.json",
        {name: formats.stamp({"held": dict(enumerate(why))}) for name, why in held.items()},
    )
    facts.look()
    facts.look()
    found = told(facts)
    assert journal.read == 2  # an entry does not change
    assert time.time() - found.pop(("evergreen_facts_read_timestamp_seconds",)) < 60
    assert found.pop(("evergreen_disk_free_bytes",)) <= found.pop(("evergreen_disk_bytes",))
    assert found == {
        ("evergreen_champion_since_timestamp_seconds", "3"): 1793491200.0,
        ("evergreen_champion_newest_row_timestamp_seconds", "3"): 1372633200.0,
        ("evergreen_champion_behind_seconds",): 58 * DAY + 3600,
        ("evergreen_stale_cost", "roc_auc", "value"): 0.02,
        ("evergreen_stale_cost", "roc_auc", "low"): 0.01,
        ("evergreen_performance", "roc_auc", "value", "labels"): 0.7,
        ("evergreen_performance", "roc_auc", "low", "labels"): 0.6,
        ("evergreen_performance", "roc_auc", "high", "labels"): 0.8,
        ("evergreen_performance", "roc_auc", "value", "estimate"): 0.75,
        ("evergreen_performance", "roc_auc", "low", "estimate"): 0.5,
        ("evergreen_performance", "roc_auc", "high", "estimate"): 1.0,
        ("evergreen_drifted_columns",): 2.0,
        ("evergreen_batches_held",): 1.0,
        ("evergreen_batches_waiting",): 1.0,  # 2013-08
        ("evergreen_retrainings_asked",): 1.0,
        ("evergreen_training_running",): 1.0,
        ("evergreen_training_seconds",): 61.0,
        ("evergreen_training_failures",): 2.0,
    }


@pytest.mark.parametrize(
    ("scored", "drifted"),
    [("rows too few to tell", 2), ("rows of before", 2), ("rows of August", 0)],
)
def test_rows_that_were_scored_hide_drift_only_where_they_are_newer_and_enough(
    tmp_path, scored, drifted
):
    facts = facts_of(tmp_path, Journal("2013-07", scored))
    facts.look()
    assert told(facts)["evergreen_drifted_columns",] == drifted


def test_without_a_champion_only_the_disk_is_known_and_no_store_is_asked(tmp_path):
    facts = facts_of(tmp_path, None, live=None)
    facts.look()
    assert set(told(facts)) == {("evergreen_disk_free_bytes",), ("evergreen_disk_bytes",)}


def test_before_monitoring_has_looked_at_a_batch(tmp_path):
    facts = facts_of(tmp_path, Journal())
    facts.look()
    found = told(facts)
    assert ("evergreen_drifted_columns",) not in found
    assert found["evergreen_batches_waiting",] == 2
    assert found["evergreen_training_failures",] == 0


def test_a_store_that_is_away_leaves_what_was_known(tmp_path, caplog):
    journal = Journal("2013-07")
    facts = facts_of(tmp_path, journal)
    facts.look()
    before = told(facts)
    journal.entries = lambda version: 1 / 0
    with caplog.at_level(logging.ERROR):
        facts.look()
    assert "the stores could not be read" in caplog.text
    now = told(facts)
    assert {name: now[name] for name in now if "disk" not in name[0]} == {
        name: before[name] for name in before if "disk" not in name[0]
    }


def test_it_looks_by_itself_and_ends(tmp_path):
    facts = facts_of(tmp_path, Journal("2013-07"))
    facts.start()
    until = time.monotonic() + 30
    while ("evergreen_drifted_columns",) not in told(facts) and time.monotonic() < until:
        time.sleep(0.01)
    facts.stop()
    assert ("evergreen_drifted_columns",) in told(facts)


@pytest.mark.slow
def test_a_real_project_tells_of_its_champion(champion_project, monkeypatch):
    monkeypatch.chdir(champion_project.root)
    its = build(champion_project, params.load(champion_project.params))
    its.watch.look()
    its.facts.look()
    found = told(its.facts)
    assert {name[0] for name in found} >= {
        "evergreen_champion_since_timestamp_seconds",
        "evergreen_champion_newest_row_timestamp_seconds",
        "evergreen_training_seconds",
    }
    assert {name[0] for name in found} <= set(GAUGES)
    assert found["evergreen_training_failures",] == 0
