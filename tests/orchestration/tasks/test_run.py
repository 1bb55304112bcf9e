"""Run: what steps hand on; a step that lacks something says which one makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import refusal
from prefect.utilities.collections import visit_collection

from evergreen.orchestration import steps
from evergreen.orchestration.tasks import run as runs
from evergreen.orchestration.tasks.job import Job
from evergreen.orchestration.tasks.run import Monitoring, Outcome, Training, open_training
from evergreen.project import Project
from evergreen.stores.registry import Registered


@pytest.fixture
def training(make_job: Callable[..., Job], tmp_path: Path) -> Training:
    return Training(make_job(tmp_path), "flights{}, 2 seeds", "asked for", ExitStack())


@pytest.mark.parametrize("kind", [Training, Monitoring])
def test_what_a_step_needs_is_made_by_a_step_that_flows_can_call(kind: Any) -> None:
    promised = {name for name in kind.__annotations__ if name not in ("made_by", "registered")}
    assert set(kind.made_by) == promised
    assert [step for step in kind.made_by.values() if step not in steps.__all__] == []


def test_a_step_that_comes_too_early_names_the_one_before_it(training: Training) -> None:
    refusal(lambda: training.tables, "needs what check_leaks() makes", "before it")
    training.tables = "rows"  # type: ignore[assignment]
    assert training.tables == "rows"
    with pytest.raises(AttributeError, match="Training has no 'table'"):
        _ = training.table  # type: ignore[attr-defined]


def test_a_run_is_named_by_its_newest_batch(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[str] = []
    monkeypatch.setattr(runs, "newest", lambda _: " up to 2013-06")
    monkeypatch.setattr(runs, "name_run", named.append)
    training.name()
    assert named == ["flights up to 2013-06, 2 seeds"]


def test_prefect_does_not_look_into_a_run(training: Training) -> None:
    training.tables = SimpleNamespace()  # type: ignore[assignment]
    seen: list[Any] = []
    visit_collection({"run": training}, seen.append, return_data=False)
    assert seen[-1] is training
    assert len(seen) <= 3


MADE = Registered("flights", "1", "champion")


@pytest.mark.parametrize(
    ("finished", "failed", "answered"),
    [("run", None, ["run"]), (None, [], ["run"]), (None, [3], [])],
    ids=["an identical run", "made", "a seed failed"],
)
@pytest.mark.slow
def test_what_was_asked_for_is_answered_by_a_whole_run(
    finished: str | None,
    failed: list[int] | None,
    answered: list[str],
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []

    @contextmanager
    def hold(job: Job, name: str) -> Iterator[None]:
        ended.append(name)
        yield

    monkeypatch.setattr(Job, "hold", hold)
    monkeypatch.setattr(Job, "note_commit", lambda _: None)
    monkeypatch.setattr(runs, "keep_data", lambda job: ended.append("pushed"))
    monkeypatch.setattr(runs, "answer", lambda job, run_id: ended.append(run_id))
    with open_training("drift", {"sweep": {"seeds": 2}, "train": {"device": None}}) as run:
        run.recording.callback(ended.append, "recorded")
        run.plan, run.run_id = SimpleNamespace(finished=finished), "run"  # type: ignore[assignment]
        if failed is not None:
            run.failed = failed
        run.registered, run.steps["ingest"] = MADE, "skipped"
    name = f"{run.job.params.tracking.model}, 2 seeds"
    assert ended == [name, "recorded", "pushed", *answered]
    expected = Outcome({"ingest": "skipped"}, "run", MADE, tuple(failed or ()), None)
    assert (run.outcome(), run.reason) == (expected, "drift")
