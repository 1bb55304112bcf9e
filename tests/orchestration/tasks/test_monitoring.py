"""The tasks that watch: which batches wait, who is restored, what is asked for until it is made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from prefect.logging import disable_run_logger

from evergreen.decision import Decision
from evergreen.errors import InputError
from evergreen.evaluation.intervals import Estimate
from evergreen.ingest.manifest import Manifest
from evergreen.orchestration.tasks import monitoring
from evergreen.orchestration.tasks.champion import LiveChampion
from evergreen.orchestration.tasks.job import Job
from evergreen.orchestration.tasks.monitoring import (
    ask,
    ask_for_first,
    decide,
    find_waiting,
    look_back,
)
from evergreen.orchestration.watch import REQUESTED
from evergreen.scoring.predictions import Kept, Scorer
from evergreen.stores.journal import Entry

EXPECTED = Estimate(0.7, 0.69, 0.71)


class Journal:
    """Entries in memory."""

    def __init__(self, *entries: Entry, facts: dict[str, Any] | None = None) -> None:
        self.written, self.seen, self.back = list(entries), facts or {}, False

    def entries(self, version: str | None = None) -> list[Entry]:
        return [entry for entry in self.written if version in (None, entry.version)]

    def facts(self, entry: Entry) -> dict[str, Any]:
        return dict(self.seen[entry.batch])

    def looked_back(self, version: str, *, done: bool = False) -> bool:
        self.back = self.back or done
        return self.back

    def asked(self) -> list[Entry]:
        return [entry for entry in self.written if entry.action == "retrain"]


def watched(
    journal: Journal, newest: str = "2013-02-28 00:00:00", holdout: tuple[str, ...] = ("2013-03",)
) -> LiveChampion:
    learnt = SimpleNamespace(newest=newest, keys=range(2000))
    reference = SimpleNamespace(
        version="3", model=SimpleNamespace(learnt=learnt), expected={"roc_auc": EXPECTED}
    )
    return LiveChampion(reference, journal, holdout, "roc_auc")  # type: ignore[arg-type]


@pytest.fixture
def job(make_job: Callable[..., Job], tmp_path: Path) -> Job:
    """A job with five months of features, each of one row."""
    made = make_job(tmp_path)
    features = Manifest(made.project.features)
    for month in range(1, 6):
        name = f"2013-{month:02}"
        features.folder.mkdir(parents=True, exist_ok=True)
        pl.DataFrame({"x": [month]}).write_parquet(features.file(name))
        when = {
            "start": f"{name}-01 00:00:00",
            "middle": f"{name}-15 00:00:00",
            "end": f"{name}-28 00:00:00",
        }
        features.record(name, features.file(name), rows=1000, **when)
    return made


def names(found: list[Any]) -> list[str]:
    return [batch.name for batch in found]


def seen(batch: str, **more: Any) -> dict[str, Any]:
    estimate = {"value": 0.7, "low": 0.69, "high": 0.71}
    drift = {"drifted": [], "together": False, "label_drifted": False, "prediction_drifted": False}
    known = {
        "batch": batch,
        "end": f"{batch}-28T00:00:00",
        "rows": 1000,
        "labelled": 1000,
        "drift": drift,
        "unfit": [],
    }
    return known | {"real": {"roc_auc": estimate}, "adjusted": {}, "answered": False} | more


# --- what waits


def test_what_is_newer_than_all_that_the_champion_knows_waits_oldest_first(job: Job) -> None:
    assert names(find_waiting(job, watched(Journal()))) == ["2013-04", "2013-05"]


def test_what_was_looked_at_waits_no_more_until_it_or_the_rules_change(job: Job) -> None:
    first, second = find_waiting(job, watched(Journal()))
    journal = Journal(
        Entry(first.name, "3", first.fingerprint), Entry(second.name, "2", second.fingerprint)
    )
    # The other entry is of another champion
    assert names(find_waiting(job, watched(journal))) == ["2013-05"]
    stricter = Job(job.project, job.params.override(drift={"smallest_shift": 0.5}), job.tracker)
    assert names(find_waiting(stricter, watched(journal))) == ["2013-04", "2013-05"]


def test_a_batch_that_came_late_waits_in_order_of_its_time(job: Job) -> None:
    features = Manifest(job.project.features)
    pl.DataFrame({"x": [0]}).write_parquet(features.file("zz-late"))
    moment = "2013-04-10 00:00:00"
    features.record(
        "zz-late", features.file("zz-late"), rows=5, start=moment, middle=moment, end=moment
    )
    assert names(find_waiting(job, watched(Journal()))) == ["zz-late", "2013-04", "2013-05"]


@pytest.mark.parametrize(
    ("version", "expected"), [("3", ["2013-04", "2013-05", "today"]), ("2", ["2013-04", "2013-05"])]
)
def test_rows_that_the_champion_scored_wait_too(
    version: str, expected: list[str], job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(
        "today",
        Scorer("m", version, "r"),
        "f",
        5,
        5,
        0,
        {},
        "2013-06-01T00:00:00",
        {},
        job.project.predictions,
    )
    monkeypatch.setattr("evergreen.scoring.predictions.known", lambda project: [("today", version)])
    monkeypatch.setattr(Kept, "read", classmethod(lambda cls, path: kept))
    assert names(find_waiting(job, watched(Journal()))) == expected


# --- what follows


def test_the_policy_is_told_of_retrainings_and_new_rows(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    trainings = [SimpleNamespace(holdout=("2013-03",)), SimpleNamespace(holdout=("gone",))]
    runs = SimpleNamespace(trainings=lambda: trainings)
    monkeypatch.setattr(Job, "runs", property(lambda _: runs))
    monkeypatch.setattr(
        monitoring, "decide_retraining", lambda *given, metrics: told.append((*given, metrics))
    )
    decide(job, watched(Journal()), [seen("2013-04"), seen("2013-05", answered=True)])
    ((windows, life, params, metrics),) = told
    # The labels of the other came with another batch
    assert [window.batch for window in windows] == ["2013-04"]
    assert life.retrainings == (datetime.fromisoformat("2013-03-28 00:00:00"),)
    assert (life.learnt_until, life.new_rows, life.learnt_rows) == (
        datetime.fromisoformat("2013-02-28 00:00:00"),
        3000,
        2000,
    )
    assert (params, metrics) == (job.params.retrain, job.params.metrics)


class Registry:
    """One champion after another."""

    def __init__(self, before: str | None) -> None:
        self.before, self.back = before, ""

    def recover(self) -> list[str]:
        return []

    def aliases(self) -> dict[str, str]:
        return {"champion": "3"} | ({"previous-champion": self.before} if self.before else {})

    def rollback(self, reason: str, to: str) -> None:
        self.back = f"{to}: {reason}"


@pytest.mark.parametrize(
    ("before", "facts", "action", "back"),
    [
        (
            "2",
            [seen("2013-04"), seen("2013-05")],
            "rollback",
            "2: by evidence of 2013-04, 2013-05: it did better.",
        ),
        ("2", [seen("2013-04")], "keep", ""),
        (
            "2",
            [seen("2013-04", unfit=["odd"]), seen("2013-05")],
            "rollback",
            "2: by evidence of 2013-05: it did better.",
        ),
        ("2", [seen("2013-04", labelled=0)], None, ""),
        (None, [seen("2013-04")], None, ""),
        ("2", [], None, ""),
    ],
)
def test_the_champion_before_comes_back_where_the_evidence_says_so(
    before: str | None,
    facts: list[Any],
    action: str | None,
    back: str,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = Registry(before)
    said = Decision(action or "keep", ("it did better.",), {"rules": []})  # type: ignore[arg-type]
    monkeypatch.setattr(Job, "registry", property(lambda _: registry))
    monkeypatch.setattr(Job, "candidate", lambda self, number: number)
    monkeypatch.setattr(monitoring, "judge_rollback", lambda *given: said)
    monkeypatch.setattr(monitoring, "create_markdown_artifact", lambda *given, **more: None)
    entries = [Entry(fact["batch"], "3", "") for fact in facts]
    with disable_run_logger():
        journal = Journal(*entries, facts={fact["batch"]: fact for fact in facts})
        found = look_back.fn(job, watched(journal))
        assert (found and found.action) == action
        assert registry.back == back
        assert look_back.fn(job, watched(journal)) is None  # once for what was seen
    assert journal.back


@pytest.mark.parametrize(
    ("facts", "months"),
    [
        ([seen("2013-04"), seen("2013-05")], [4, 5]),
        ([seen("2013-03"), seen("2013-04", unfit=["odd"]), seen("2013-05")], [3, 5]),
        ([seen("2013-04", labelled=0), seen("2013-05")], [5]),
        ([seen("2013-04", answered=True), seen("2013-05")], [5]),
        # Rows that were scored lie elsewhere
        ([seen("2013-05"), seen("2013-06")], [5]),
        ([seen(f"2013-{month:02}") for month in range(1, 6)], [3, 4, 5]),
    ],
)
def test_the_present_champion_is_judged_beside_the_one_before_by_the_newest_fit_batches(
    facts: list[Any], months: list[int], job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[Any] = []

    def judge(rows: pl.DataFrame, *given: Any) -> Decision:
        judged.append((rows["x"].to_list(), *given))
        return Decision("keep", ("it did no better.",), {"rules": []})

    monkeypatch.setattr(Job, "registry", property(lambda _: Registry("2")))
    monkeypatch.setattr(Job, "candidate", lambda self, number: f"version {number}")
    monkeypatch.setattr(monitoring, "judge_rollback", judge)
    monkeypatch.setattr(monitoring, "create_markdown_artifact", lambda *given, **more: None)
    entries = [Entry(fact["batch"], "3", "") for fact in facts]
    with disable_run_logger():
        look_back.fn(job, watched(Journal(*entries, facts={fact["batch"]: fact for fact in facts})))
    assert judged == [(months, "version 3", "version 2", "roc_auc", job.params)]


@pytest.mark.parametrize("why", ["the one before is damaged", "a rollback was cut short before"])
def test_nobody_comes_back_where_there_is_nothing_to_compare(
    why: str, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry("2")

    def candidate(self: Job, number: str) -> str:
        if number == "2":
            raise InputError("the files of version 2 are gone")
        return number

    def recover() -> list[str]:
        """The alias was set, and then the task was tried again: 2 is champion now, after 1."""
        registry.aliases = lambda: {"champion": "2", "previous-champion": "1"}  # type: ignore[method-assign]
        return ["version 2 was being rolled back"]

    def judge(*_: Any) -> Decision:
        raise AssertionError("nothing to judge")

    if why == "the one before is damaged":
        monkeypatch.setattr(Job, "candidate", candidate)
    else:
        monkeypatch.setattr(registry, "recover", recover)
    monkeypatch.setattr(Job, "registry", property(lambda _: registry))
    monkeypatch.setattr(monitoring, "judge_rollback", judge)
    with disable_run_logger():
        assert (
            look_back.fn(
                job, watched(Journal(Entry("2013-04", "3", ""), facts={"2013-04": seen("2013-04")}))
            )
            is None
        )
    assert registry.back == ""


def test_what_was_asked_for_is_told_again_until_it_is_made(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(monitoring, "emit", lambda project, *said: told.append(said))
    journal = Journal(
        Entry("2013-04", "3", "", "watch", "so"),
        Entry("2013-05", "3", "", "retrain", "it fell", "run"),
    )
    with disable_run_logger():
        for _ in range(2):
            assert [entry.batch for entry in ask(job, watched(journal))] == ["2013-05"]
        journal.written.clear()
        assert ask(job, watched(journal)) == []
    payload = {"reason": "2013-05: it fell", "batch": "2013-05", "version": "3", "entry": "run"}
    assert told == [(REQUESTED, payload)] * 2


def test_without_a_champion_the_first_is_asked_for(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(monitoring, "has_waiting_run", lambda project, flow: False)
    monkeypatch.setattr(monitoring, "emit", lambda project, *said: told.append(said))
    for aliases, why in (
        ({}, "there is no champion yet"),
        ({"champion": "3"}, "version 3 cannot be used"),
    ):
        registry = SimpleNamespace(
            aliases=lambda aliases=aliases: aliases, why_no_champion=lambda: "it was refused"
        )
        monkeypatch.setattr(Job, "registry", property(lambda _, registry=registry: registry))
        with disable_run_logger():
            assert ask_for_first(job).startswith("version 3 cannot" if aliases else "none yet")
        assert told.pop() == (REQUESTED, {"reason": why})


def test_where_a_training_waits_no_other_is_asked_for(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(monitoring, "emit", lambda project, *said: told.append(said))
    monkeypatch.setattr(monitoring, "has_waiting_run", lambda project, flow: flow == "training")
    registry = SimpleNamespace(aliases=dict, why_no_champion=lambda: "version 1 waits")
    monkeypatch.setattr(Job, "registry", property(lambda _: registry))
    with disable_run_logger():
        assert ask_for_first(job) == "none yet: version 1 waits"
    assert told == []
