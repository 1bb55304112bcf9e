"""Watching: each batch that waits is looked at once, and what follows from it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from evergreen.decision import Decision
from evergreen.orchestration.steps import monitoring
from evergreen.orchestration.tasks import data
from evergreen.orchestration.tasks import run as runs
from evergreen.orchestration.tasks.job import Job
from evergreen.orchestration.tasks.run import Watch
from evergreen.project import Project
from flows import monitoring as flow

SAID = Decision("retrain", ("it fell",), {"rules": []})
DATA = ["ingest", "validate", "prepare"]


class Tasks:
    """What the steps call, and in which order."""

    def __init__(self, waiting: list[str], *, champion: bool) -> None:
        self.called: list[str] = []
        reference = SimpleNamespace(version="3")
        self.champion = SimpleNamespace(reference=reference) if champion else None
        self.waiting = [SimpleNamespace(name=name) for name in waiting]

    def know_champion(self, job: Job) -> Any:
        return self.champion

    def find_waiting(self, job: Job, live: Any) -> list[Any]:
        return self.waiting

    def look(self, job: Job, live: Any, batch: Any, *, last: bool) -> Decision:
        self.called.append(f"look at {batch.name}" + (", the last" if last else ""))
        return SAID

    def look_back(self, job: Job, live: Any) -> None:
        self.called.append("look back")

    def write_page(self, job: Job, live: Any) -> None:
        self.called.append("page")

    def ask(self, job: Job, live: Any) -> list[Any]:
        self.called.append("ask")
        return [SimpleNamespace(batch="2013-08")]

    def ask_for_first(self, job: Job) -> str:
        self.called.append("ask for the first")
        return "none yet"


@pytest.fixture
def run(project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[[Tasks], Watch]:
    """Run the flow of monitoring on tasks that only note that they were called."""

    @contextmanager
    def hold(job: Job, name: str) -> Iterator[None]:
        yield

    def go(tasks: Tasks) -> Watch:
        monkeypatch.setattr(Job, "hold", hold)
        monkeypatch.setattr(monitoring, "monitoring", tasks)
        monkeypatch.setattr(monitoring, "champion", tasks)
        monkeypatch.setattr(
            monitoring, "skip", lambda step, why: tasks.called.append(f"skip {step}")
        )
        monkeypatch.setattr(runs, "newest", lambda job: " up to 2013-08")
        monkeypatch.setattr(runs, "name_run", tasks.called.append)
        for name in DATA:
            assert getattr(flow.steps, name) is getattr(data, name)
            monkeypatch.setattr(flow.steps, name, lambda _, name=name: tasks.called.append(name))
        found: Watch = flow.monitoring.fn()
        return found

    return go


@pytest.mark.parametrize(
    ("champion", "waiting", "called"),
    [
        (False, [], ["ask for the first"]),
        (True, [], ["skip look", "look back", "page", "ask"]),
        (True, ["a"], ["look at a, the last", "look back", "page", "ask"]),
        (True, ["a", "b"], ["look at a", "look at b, the last", "look back", "page", "ask"]),
    ],
)
def test_the_order_of_steps(
    champion: bool, waiting: list[str], called: list[str], run: Callable[[Tasks], Watch]
) -> None:
    tasks = Tasks(waiting, champion=champion)
    found = run(tasks)
    assert tasks.called == [*DATA, "monitoring up to 2013-08", *called]
    assert found == Watch(
        tuple(waiting),
        "3" if champion else None,
        SAID if waiting else None,
        None,
        ("2013-08",) if champion else (),
        "" if champion else "none yet",
    )
