"""Monitoring: the flow looks at what waits, asks where it is time, and is declared with what starts it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from conftest import ROOT

from evergreen.decision import Decision
from evergreen.errors import InputError
from evergreen.orchestration import watch
from evergreen.orchestration.steps.job import Job
from evergreen.project import Project
from flows import monitoring as flow
from flows.monitoring import Watch, monitoring

SAID = Decision("retrain", ("it fell",), {"rules": []})


class Steps:
    """What the flow calls, and in which order."""

    def __init__(self, champion: bool, waiting: list[str]) -> None:
        self.called: list[str] = []
        self.champion = (
            SimpleNamespace(reference=SimpleNamespace(version="3")) if champion else None
        )
        self.waiting = [SimpleNamespace(name=name) for name in waiting]

    def know_champion(self, job: Job) -> Any:
        return self.champion

    def find_waiting(self, job: Job, watched: Any) -> list[Any]:
        return self.waiting

    def look(self, job: Job, watched: Any, one: Any, *, last: bool) -> Decision:
        self.called.append(f"look at {one.name}" + (", the last" if last else ""))
        return SAID

    def look_back(self, job: Job, watched: Any) -> None:
        self.called.append("look back")

    def write_page(self, job: Job, watched: Any) -> None:
        self.called.append("page")

    def ask(self, job: Job, watched: Any) -> list[Any]:
        self.called.append("ask")
        return [SimpleNamespace(batch="2013-08")]

    def ask_for_first(self, job: Job) -> None:
        self.called.append("ask for the first")


def run(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> Watch:
    @contextmanager
    def hold(job: Job, name: str) -> Iterator[None]:
        yield

    monkeypatch.setattr(Job, "hold", hold)
    monkeypatch.setattr(flow, "steps", steps)
    monkeypatch.setattr(flow, "skip", lambda step, why: steps.called.append(f"skip {step}"))
    monkeypatch.setattr(flow, "newest", lambda job: " up to 2013-08")
    for name in ("ingest", "validate", "prepare"):
        monkeypatch.setattr(flow.data, name, lambda job, name=name: steps.called.append(name))
    found: Watch = monitoring.fn()
    return found


DATA = ["ingest", "validate", "prepare"]


@pytest.mark.parametrize(
    ("champion", "waiting", "called"),
    [
        (False, [], [*DATA, "ask for the first"]),
        (True, [], [*DATA, "look back", "skip look", "page", "ask"]),
        (True, ["a"], [*DATA, "look at a, the last", "look back", "page", "ask"]),
        (True, ["a", "b"], [*DATA, "look at a", "look at b, the last", "look back", "page", "ask"]),
    ],
)
def test_the_order_of_steps(
    champion: bool,
    waiting: list[str],
    called: list[str],
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = Steps(champion, waiting)
    found = run(steps, monkeypatch)
    assert steps.called == called
    assert found.version == ("3" if champion else None)
    assert (found.batches, found.asked) == (tuple(waiting), ("2013-08",) if champion else ())
    assert found.decision == (SAID if waiting else None)


def test_whoever_starts_a_second_run_is_refused(project: Project) -> None:
    with (
        project.lock(),
        pytest.raises(InputError, match=f"another run .* under way .process {os.getpid()}"),
    ):
        monitoring.fn()
    assert not (project.root / "data").exists()


# --- what is declared
# -------------------------------------------------------------------------------------------------


def deployments() -> dict[str, Any]:
    declared = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    return {one["name"].removeprefix("late_flights-"): one for one in declared}


def test_one_retraining_and_one_monitoring_at_a_time_and_the_next_waits() -> None:
    for name in ("training", "monitoring"):
        assert deployments()[name]["concurrency_limit"] == {
            "limit": 1,
            "collision_strategy": "ENQUEUE",
        }


@pytest.mark.parametrize(
    ("name", "events"),
    [("training", [watch.DRIFTED]), ("monitoring", [watch.ARRIVED, watch.OPENED])],
)
def test_what_is_emitted_is_what_starts_a_run_of_this_project_only(
    name: str, events: list[str]
) -> None:
    (trigger,) = deployments()[name]["triggers"]
    assert trigger["expect"] == events
    about = "evergreen.project.{{ $EVERGREEN_PROJECT }}"
    assert trigger["match"] == {"prefect.resource.id": about}
    assert trigger["for_each"] == ["evergreen.about"]
    assert trigger["threshold"] == 1
    assert trigger["within"] > 0  # a flood starts one run
    assert len(deployments()[name]["schedules"]) == 1


def test_every_deployment_is_there_and_its_flow_too() -> None:
    for name, one in deployments().items():
        path, function = one["entrypoint"].split(":")
        assert f"def {function}(" in (ROOT / path).read_text()
        assert one["work_pool"] == {"name": Project(ROOT).package}
        assert one["description"], name
