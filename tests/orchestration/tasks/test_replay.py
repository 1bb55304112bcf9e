"""The tasks of a replay: each batch is told of; results are drawn, written down and recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from evergreen.evaluation.intervals import Estimate
from evergreen.orchestration.server import tag_of
from evergreen.orchestration.tasks import job
from evergreen.orchestration.tasks import replay as tasks
from evergreen.orchestration.tasks.job import Job
from evergreen.params import Params
from evergreen.project import Project
from evergreen.replay.outcome import NOTHING, POLICIES, Aged, Options, PolicyOutcome, Replay, Step
from evergreen.stores.tracking import Tracker

pytestmark = pytest.mark.slow

STEP = Step("2013-04", 900, 0.7, 0.68, 0.72, "2013-03", NOTHING, "never retrains")
UNKNOWN = Step(
    "2013-05", 12, float("nan"), float("nan"), float("nan"), "2013-03", NOTHING, "never retrains"
)
COURSE = PolicyOutcome(
    "never", (STEP, UNKNOWN), 0, 0, 0.0, Estimate(0.7, 0.68, 0.72), Estimate(0, 0, 0), np.zeros(3)
)
TITLES = [Options().title(policy) for policy in POLICIES]
FOUND = Replay(
    "roc_auc",
    0.95,
    ("2013-04", "2013-05"),
    (),
    (),
    {},
    tuple(replace(COURSE, policy=policy) for policy in TITLES),
)
AGES = tuple(
    Aged(f"2013-0{5 - age}", "2013-05", age, 900, 0.7 - 0.01 * age, np.zeros(3)) for age in (1, 2)
)


@pytest.fixture
def running() -> Any:
    """A replay that is under way, of two batches, with a champion since before the first."""
    return SimpleNamespace(
        names=("2013-04", "2013-05"),
        params=Params(),
        options=Options(),
        metric="roc_auc",
        tracks=[SimpleNamespace(policy="never")],
        left_out={},
        refused=(),
        advance=lambda name: (STEP,),
    )


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the tasks log."""
    lines: list[str] = []
    logger = SimpleNamespace(info=lambda form, *values: lines.append(form % values))
    monkeypatch.setattr(tasks, "get_run_logger", lambda: logger)
    return lines


def test_each_policy_is_told_of(running: Any, said: list[str]) -> None:
    tasks.arrive.fn(running, "2013-04")
    assert said == ["never: roc_auc 0.7000 by 2013-03; nothing: never retrains"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "the first champion"),
        ({"tracks": []}, "history for the first champion"),
        ({"tracks": [], "refused": ("too weak",)}, "no champion yet: too weak"),
        ({"left_out": {"2013-04": "empty"}}, "left out: empty"),
    ],
)
def test_a_batch_that_measures_nothing_is_explained(
    changes: Any, told: str, running: Any, said: list[str]
) -> None:
    vars(running).update(changes, advance=lambda name: ())
    tasks.arrive.fn(running, "2013-04")
    assert said == [told]


def test_batches_arrive_in_order_and_progress_is_shown(
    running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    came, shown = [], []
    monkeypatch.setattr(tasks, "create_progress_artifact", lambda *_, **__: "id")
    monkeypatch.setattr(tasks, "update_progress_artifact", lambda _, share: shown.append(share))
    monkeypatch.setattr(tasks, "arrive", lambda _, name: came.append(name))
    tasks.walk(running)
    assert (came, shown) == (["2013-04", "2013-05"], [50, 100])


@pytest.mark.parametrize(("ages", "more"), [((), set()), (AGES, {"staleness.png"})])
def test_what_came_of_it_is_drawn_written_and_recorded(
    ages: tuple[Aged, ...],
    more: set[str],
    running: Any,
    said: list[str],
    open_tracker: Callable[..., Tracker],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables: list[Any] = []
    monkeypatch.setattr(tasks, "create_table_artifact", lambda table, **_: tables.append(table))
    tracker = open_tracker()
    job = Job(tracker.project, tracker.params, tracker)
    tasks.publish.fn(job, replace(FOUND, ages=ages), running)
    assert tables == [FOUND.as_table()]
    assert said == [FOUND.finding]
    assert (
        json.loads((job.project.reports / "replay.json").read_text())["courses"][0]["steps"][1][
            "value"
        ]
        is None
    )
    (run,) = tracker.client.search_runs([tracker.experiment_called("evergreen replay")])
    assert run.info.status == "FINISHED"
    for title in TITLES:
        assert run.data.metrics[f"{title}.roc_auc"] == run.data.metrics[f"{title}.mean"] == 0.7
    assert {file.path for file in tracker.client.list_artifacts(run.info.run_id)} == {
        "params.json",
        "replay.json",
        "replay.png",
        *more,
    }


def test_a_replay_closes_killed_ones_and_is_known_by_its_workspace(
    make_job: Callable[..., Job], tmp_path: Any, running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    made = make_job(tmp_path)
    running.workspace = made.project.workspace
    monkeypatch.setattr(tasks, "open_replay", lambda *_: nullcontext(running))
    monkeypatch.setattr(job, "tell_prefect", lambda **about: told.append(about["tags"]))
    monkeypatch.setattr(job, "close_killed_runs", lambda tag, besides: told.append(tag))
    with tasks.hold(made, Options()) as found:
        assert found is running
    own = tag_of(made.project.workspace)
    assert told == [[own], own, [f"ended {own}"]]
    assert own != tag_of(made.project)


def test_a_run_of_a_deployment_waits_for_its_turn(
    make_job: Callable[..., Job], tmp_path: Any, monkeypatch: Any
) -> None:
    asked: list[float] = []

    def open_replay(project: Project, params: Params, options: Options, patience: float) -> Any:
        asked.append(patience)
        raise StopIteration

    monkeypatch.setattr(tasks, "open_replay", open_replay)
    for number in (None, "a deployment"):
        monkeypatch.setattr(tasks, "deployment", SimpleNamespace(id=number))
        with pytest.raises(RuntimeError), tasks.hold(make_job(tmp_path), Options()):
            pass
    assert asked == [0, tasks.PATIENCE]
