"""Journal: whole entries count, the newest of each batch; a request stays until answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evergreen.decision import Decision
from evergreen.stores.journal import Entry, Journal

pytestmark = pytest.mark.slow  # real stores and servers
FACTS = {
    "batch": "2013-07",
    "real": {"roc_auc": {"value": 0.7, "low": 0.69, "high": 0.71}},
    "text": "é | \n 'quoted'",
}


def decision(action: Any, *reasons: str) -> Decision:
    return Decision(
        action, reasons, {"rules": [{"name": "loss", "met": action != "retrain", "says": "so"}]}
    )


@pytest.fixture
def journal(open_tracker: Any) -> Journal:
    return Journal(open_tracker())


def write(
    journal: Journal,
    batch: str,
    version: str = "1",
    fingerprint: str = "a",
    action: str = "watch",
    *,
    ask: bool = False,
) -> Entry:
    entry, said = Entry(batch, version, fingerprint), decision(action, "why.")
    return journal.write(entry, FACTS, {"real.roc_auc": 0.7}, said, ask=ask)


def test_what_is_written_is_read_back(journal: Journal) -> None:
    made = write(journal, "2013-07", action="nothing")
    assert [made] == journal.entries() == journal.entries("1")
    assert (made.batch, made.version, made.fingerprint, made.action, made.reason) == (
        "2013-07",
        "1",
        "a",
        "nothing",
        "why.",
    )
    assert journal.facts(made) == FACTS
    run = journal.client.get_run(made.run_id)
    assert run.data.metrics == {"real.roc_auc": 0.7}
    assert "**nothing**" in run.data.tags["mlflow.note.content"]


def test_a_number_that_is_none_is_no_metric(journal: Journal) -> None:
    made = journal.write(
        Entry("b", "1", "a"), {}, {"x": float("nan"), "y": 1.0}, decision("watch", "so"), ask=False
    )
    assert journal.client.get_run(made.run_id).data.metrics == {"y": 1.0}


def test_a_long_reason_is_cut_for_the_tag_and_whole_in_the_decision(journal: Journal) -> None:
    made = journal.write(Entry("b", "1", "a"), {}, {}, decision("watch", "x" * 9000), ask=False)
    assert len(journal.entries()[0].reason) == 5000
    path = journal.client.download_artifacts(made.run_id, "decision.json")
    assert json.loads(Path(path).read_text())["reasons"] == ["x" * 9000]


def test_the_newest_entry_of_a_batch_under_a_champion_counts(journal: Journal) -> None:
    write(journal, "2013-07", fingerprint="old")
    write(journal, "2013-08")
    write(journal, "2013-07", fingerprint="new")
    write(journal, "2013-07", version="2", fingerprint="other")
    assert {(entry.version, entry.batch): entry.fingerprint for entry in journal.entries()} == {
        ("1", "2013-07"): "new", ("1", "2013-08"): "a", ("2", "2013-07"): "other",
    }  # fmt: skip
    assert [entry.fingerprint for entry in journal.entries("2")] == ["other"]


def test_what_is_asked_stays_asked_until_it_is_answered(journal: Journal) -> None:
    write(journal, "2013-07", action="retrain", ask=True)
    write(journal, "2013-08", action="watch")
    assert [entry.batch for entry in journal.asked()] == ["2013-07"]
    assert [entry.batch for entry in journal.answer("run")] == ["2013-07"]
    assert journal.asked() == []
    assert journal.answer("run") == []


def test_an_entry_cut_short_by_a_kill_does_not_count_and_is_closed(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(journal.client, "set_terminated", killed)
        with pytest.raises(KeyboardInterrupt):
            write(journal, "2013-07", action="retrain", ask=True)
    assert journal.entries() == journal.asked() == []
    journal.recover()
    assert [run.info.status for run in journal._search("")] == ["KILLED"]
    assert journal.entries() == []


def test_another_projects_open_entry_is_left_alone(open_tracker: Any) -> None:
    mine = Journal(open_tracker())
    made = mine.client.create_run(mine._place, tags={"evergreen.root": "elsewhere"})
    mine.recover()
    assert mine.client.get_run(made.info.run_id).info.status == "RUNNING"


def test_what_was_seen_is_looked_back_at_once(journal: Journal) -> None:
    """So a comparison that a kill interrupted is made by the next monitoring, without a batch."""
    assert journal.looked_back("1")
    write(journal, "2013-07")
    write(journal, "2013-07", version="2")
    assert not journal.looked_back("1")
    assert journal.looked_back("1", done=True)
    assert journal.looked_back("1")
    assert not journal.looked_back("2")
    write(journal, "2013-08")
    assert not journal.looked_back("1")
