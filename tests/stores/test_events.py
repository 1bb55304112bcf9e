"""Events: what was decided when, with its evidence, whatever is killed or shared."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from registries import (
    LIVED,
    NO,
    PAST,
    WELL,
    YES,
    kill,
    past,
    told,
)

from evergreen.stores.events import ASKED, REFUSED, Events
from evergreen.stores.registry import Registered, Registry

pytestmark = pytest.mark.slow  # real stores


def test_who_was_champion_when(stocked, monkeypatch):
    def on(day):
        moment = datetime(2026, 5, day, 12, tzinfo=UTC)
        clock = SimpleNamespace(time=moment.timestamp)
        monkeypatch.setattr("evergreen.stores.tracking.time", clock)

    steps = {
        3: lambda: stocked.promote("1", None, YES),
        5: lambda: stocked.record("2", REFUSED, NO),
        8: lambda: stocked.promote("3", "1", YES),
        9: lambda: stocked.record("4", ASKED, WELL),
        20: lambda: stocked.rollback("bad"),
    }
    for day, step in steps.items():
        on(day)
        step()
    assert [event.when.day for event in stocked.events.history()] == list(steps)
    for moment, expected in {
        datetime(2025, 1, 1, tzinfo=UTC): None,
        datetime(2026, 5, 3, 11, 59, 59, tzinfo=UTC): None,
        datetime(2026, 5, 3, 12, tzinfo=UTC): ("promoted", "1", None),
        datetime(2026, 5, 6, tzinfo=UTC): ("promoted", "1", None),  # a refusal changes nothing
        datetime(2026, 5, 8, 12, tzinfo=UTC): ("promoted", "3", "1"),
        datetime(2026, 5, 20, 11, tzinfo=UTC): ("promoted", "3", "1"),
        datetime.fromisoformat("2026-05-20T10:30-03:00"): ("rolled back", "1", "3"),
        datetime(2030, 1, 1, tzinfo=UTC): ("rolled back", "1", "3"),
    }.items():
        event = stocked.events.live_at(moment)
        assert (told(event) if event else None) == expected, moment
    assert told(stocked.events.last_decision("2")) == ("refused", "2", "1")
    assert told(stocked.events.last_decision("1")) == ("rolled back", "1", "3")


def test_a_version_that_nothing_was_decided_about(lived):
    assert lived.events.last_decision("4") is None


def test_a_promotion_is_written_down_with_its_evidence(stocked, tmp_path):
    picture = tmp_path / "comparison.png"
    picture.write_bytes(b"a picture")
    began = datetime.now(UTC)
    first = stocked.promote("2", None, YES, "2013-05")
    event = stocked.promote("4", "2", YES, "2013-06", [picture])
    assert stocked.aliases() == {"champion": "4", "previous-champion": "2"}
    assert stocked.registered("4") == Registered("evergreen", "4", "champion")
    assert stocked.registered("2") == Registered("evergreen", "2", "previous-champion")
    assert stocked.champion() == "4"
    assert [told(first), told(event)] == [("promoted", "2", None), ("promoted", "4", "2")]
    assert (event.batch, event.reason) == ("2013-06", "better by 0.01; seeds agree")
    assert abs((event.when - began).total_seconds()) < 60
    assert stocked.events.history() == [first, event]
    assert stocked.events.evidence(event) == json.loads(json.dumps(YES.as_plain()))
    kept = {
        artifact.path: artifact for artifact in stocked.tracker.client.list_artifacts(event.run_id)
    }
    assert sorted(kept) == ["comparison.png", "decision.json"]
    run = stocked.tracker.client.get_run(event.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "version 4 promoted (2013-06)"
    assert "| better | met | seeds agree |" in run.data.tags["mlflow.note.content"]
    assert (
        Path(stocked.tracker.client.download_artifacts(event.run_id, "comparison.png")).read_bytes()
        == b"a picture"
    )


@pytest.mark.parametrize(("what", "said"), [(REFUSED, NO), (ASKED, WELL)])
def test_what_is_not_promoted_is_written_down_as_well(what, said, lived, tmp_path):
    picture = tmp_path / "comparison.png"
    picture.write_bytes(b"a picture")
    event = lived.record("4", what, said, "2013-06", [picture])
    assert lived.aliases() == LIVED
    assert past(lived) == [*PAST, (what, "4", "3")]
    assert lived.events.last_decision("4") == lived.events.history()[-1] == event
    assert (event.batch, event.reason) == ("2013-06", said.reasons[0])
    assert lived.events.evidence(event) == json.loads(json.dumps(said.as_plain()))
    assert {artifact.path for artifact in lived.tracker.client.list_artifacts(event.run_id)} == {
        "comparison.png",
        "decision.json",
    }
    way = (
        "the gate refused version 4 .*promote 4 --override"
        if what == REFUSED
        else "version 4 waits.*promote 4 --approve"
    )
    assert re.match(way, lived.why_no_champion())


@pytest.mark.parametrize("number", ["4", "3"])
def test_a_killed_refusal_is_no_decision(number, lived):
    kill(lived, 2, lambda registry: registry.record(number, REFUSED, NO))
    said = f"version {number} was being refused when the process was killed: nothing was changed"
    assert lived.recover() == [said]
    assert (lived.aliases(), past(lived)) == (LIVED, PAST)


@pytest.mark.parametrize("name", ["o'neil", '100% "größe"'])
def test_recovery_in_any_folder(name, open_tracker, stores):
    registry = Registry(open_tracker(name, store=stores.lived))
    kill(registry, 1, lambda registry: registry.rollback("bad"))
    assert len(registry.recover()) == 1
    assert registry.aliases() == LIVED


def test_changes_of_another_project_in_the_same_store_are_left_alone(
    lived, open_tracker, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", lived.tracker.uri)
    mine, theirs = (Registry(open_tracker(name)) for name in ("project", "other"))
    assert mine.tracker.root != theirs.tracker.root
    kill(mine, 1, lambda registry: registry.rollback("bad"))
    assert theirs.recover() == []
    assert len(mine.recover()) == 1


def test_what_others_write_delete_and_restore_is_seen_though_little_is_asked_for_again(
    lived, monkeypatch
):
    other, asked, search = Registry(lived.tracker), [], Events._search

    def counted(self, condition="", view=None):
        found = search(self, condition, view)
        asked.append(len(found))
        return found

    monkeypatch.setattr(Events, "_search", counted)
    before = lived.events.history()
    assert asked.pop() >= len(before)
    kill(other, 1, lambda registry: registry.record("4", REFUSED, NO))
    assert lived.events.history() == before
    other.recover()
    event = other.record("4", REFUSED, NO)
    asked.clear()
    assert lived.events.history() == [*before, event]
    assert max(asked) <= 3  # the newest that was known, the one that was cut, the new one
    client = lived.tracker.client
    client.delete_run(before[0].run_id)
    assert [event.deleted for event in lived.events.history()] == [True] + [False] * len(before)
    client.restore_run(before[0].run_id)
    assert lived.events.history() == [*before, event]
