"""Job: what a task gives, what is tried again, and which pictures are shown."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from conftest import begin, git, settings_of
from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.logging import disable_run_logger
from prefect.states import Completed, Crashed, Failed

from evergreen import code
from evergreen.errors import InputError
from evergreen.orchestration.server import ended_tag_of, tag_of, waiting_tag_of
from evergreen.orchestration.tasks import data, job, models, promotion, sweeps
from evergreen.orchestration.tasks.job import (
    Job,
    not_a_mistake,
    note_shown,
    show_again,
    skipped,
    value,
)
from evergreen.project import Project
from evergreen.stores.git import Commit, first_commit

TASKS = {
    task.name: task
    for module in (job, data, sweeps, models, promotion)
    for task in vars(module).values()
    if isinstance(task, Task)
}


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("result", [3, "text", (1, 2), {"a": 1}])
def test_the_value_of_a_task_with_or_without_a_state(result: object) -> None:
    assert value(result) == result
    assert value(Completed(data=result)) == result


def test_the_value_of_a_failed_task_is_its_error() -> None:
    with pytest.raises(InputError, match="give a name"):
        value(Failed(data=InputError("give a name")))


@pytest.mark.parametrize("result", [None, 5])
def test_a_skipped_step_is_shown_with_its_reason(result: object) -> None:
    with disable_run_logger():
        state = skipped("no new batch", result)
        again = job.skip.fn("train", "no new batch")
    assert (state.name, state.message, state.data, state.is_completed()) == (
        "Skipped",
        "no new batch",
        result,
        True,
    )
    assert (again.name, again.message, again.data) == ("Skipped", "no new batch", None)


@pytest.mark.parametrize(
    ("state", "again"),
    [
        (Failed(data=RuntimeError("the store hung up")), True),
        (Failed(data=ConnectionError("reset")), True),
        (Crashed(data=MemoryError()), True),
        (Failed(data=InputError("give a name")), False),
        (Failed(data=PermissionError(13, "no", "/x")), False),
        (Failed(data=caused(RuntimeError("task"), InputError("give a name"))), False),
        (Failed(data=caused(RuntimeError("task"), OSError(28, "full", "/x"))), False),
    ],
    ids=[
        "fault",
        "connection",
        "crash",
        "mistake",
        "permission",
        "mistake below",
        "full disk below",
    ],
)
def test_only_what_trying_again_can_mend_is_tried_again(state: Any, again: bool) -> None:
    assert not_a_mistake(data.ingest, None, state) is again  # type: ignore[arg-type]


def test_no_task_is_cached_by_prefect_or_repeats_a_mistake() -> None:
    """DVC and the fingerprints say what is there; Prefect's cache would contradict them."""
    steps = {
        "ingest",
        "validate",
        "prepare",
        "plan",
        "leaks",
        "bias",
        "matrix",
        "train",
        "evaluate",
        "register",
    }
    steps |= {"compare", "decide"}
    assert steps <= set(TASKS)
    assert [name for name, task in TASKS.items() if task.cache_policy != NO_CACHE] == []
    assert [
        name
        for name, task in TASKS.items()
        if task.retries and task.retry_condition_fn is not not_a_mistake
    ] == []
    assert {name for name, task in TASKS.items() if task.retries} >= {"ingest", "train", "register"}


@pytest.mark.parametrize("fails", [False, True])
def test_a_run_is_known_to_hold_the_project_only_while_it_does(
    fails: bool, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else another run, which does hold it, would take a live one for one that was killed."""
    told: list[tuple[str, bool]] = []

    def tell(**about: Any) -> None:
        try:
            with project.lock():
                held = False
        except InputError:
            held = True
        told.extend((tag.split()[0], held) for tag in about.get("tags", []))

    monkeypatch.setattr(job, "tell_prefect", tell)
    monkeypatch.setattr(job, "close_killed_runs", lambda *_, **__: told.append(("closes", True)))
    with (
        pytest.raises(ValueError, match="a bug") if fails else nullcontext(),
        Job.open().hold("some name"),
    ):
        told.append(("works", True))
        if fails:
            raise ValueError("a bug")
    own = tag_of(project).split()[0]
    turn = [("waiting", False), ("ended", True), (own, True), ("closes", True)]
    assert told == [*turn, ("works", True), ("ended", True)]


def test_a_run_that_finds_another_under_way_waits_no_longer(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(job, "tell_prefect", lambda **about: told.extend(about["tags"]))
    with (
        project.lock(),
        pytest.raises(InputError, match="another run"),
        Job.open().hold("some name"),
    ):
        pass
    assert told == [waiting_tag_of(project), ended_tag_of(project)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with default parameters, around the working directory."""
    (tmp_path / "params.yaml").write_text("sweep: {seeds: 4}\n")
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return settings_of(tmp_path)


def test_a_job_is_that_of_the_working_directory_with_some_parameters_replaced(
    project: Project,
) -> None:
    opened = Job.open(sweep={"seeds": None, "model": "mean"}, train={"device": "cpu"})
    assert opened.project == project
    assert (opened.params.sweep.seeds, opened.params.sweep.model, opened.params.train.device) == (
        4,
        "mean",
        "cpu",
    )
    assert not project.stores.exists()
    with pytest.raises(InputError, match=r"sweep\.seeds"):
        Job.open(sweep={"seeds": 0})


class Files:
    """A run with a picture of its own."""

    def fetch_files(self, run_id: str, folder: Path) -> None:
        (folder / "result.png").write_text(f"picture of {run_id}")


def test_the_pictures_shown_are_those_of_the_run_that_is_told_of(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Job.open()
    monkeypatch.setattr(Job, "artifacts", property(lambda _: Files()))
    project.reports.mkdir()
    picture = project.reports / "result.png"
    picture.write_text("picture of the newest")
    note_shown(opened, "newest")
    for run_id, content in (("newest", "the newest"), ("older", "older"), ("newest", "newest")):
        show_again(opened, run_id)
        assert picture.read_text() == f"picture of {content}"


# --- which code a run is of


def note(project: Project) -> Commit:
    opened = Job.open()
    with disable_run_logger():
        opened.note_commit()
    assert opened.tracker.commit
    return opened.tracker.commit


@pytest.fixture
def committed(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """That project, in git, run by a process whose code nobody has edited."""
    monkeypatch.setattr(code, "changed", list)
    begin(project.root)
    return project


def test_a_run_is_of_the_commit_at_its_start(committed: Project) -> None:
    found = note(committed)
    assert (found.name, found.changes) == (git(committed.root, "rev-parse", "HEAD").strip(), "")


def test_what_is_edited_later_does_not_count(committed: Project) -> None:
    first_commit(committed.root)  # as the command does, at once
    (committed.root / "dvc.yaml").write_text("stages: {}")
    git(committed.root, "commit", "-qam", "later")
    assert note(committed).name == git(committed.root, "rev-parse", "HEAD~").strip()


def test_what_was_edited_while_a_run_started_is_of_no_commit(
    committed: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code, "changed", lambda: [code.HOME / "src" / "helper.py"])
    found = note(committed)
    assert found.name == "none"
    assert found.why.startswith("src/helper.py was edited while the run started")


def test_so_are_parameters(committed: Project) -> None:
    opened = Job.open()
    committed.params.write_text("sweep: {seeds: 5}\n")
    with disable_run_logger():
        opened.note_commit()
    assert opened.tracker.commit
    assert opened.tracker.commit.why.startswith("params.yaml was edited")


# --- what a run pushes


@pytest.mark.parametrize(
    ("wanted", "asked"), [("local", [True]), ("always", [False]), ("never", [])]
)
def test_a_run_pushes_its_data_as_far_as_it_may(
    wanted: str, asked: list[bool], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def push(_: Project, *, only_local: bool) -> int:
        seen.append(only_local)
        return 2

    log = mock.Mock()
    monkeypatch.setattr(job, "push", push)
    monkeypatch.setattr(job, "get_run_logger", lambda: log)
    job.keep_data(Job.open(tracking={"push": wanted}))
    assert (seen, log.info.called) == (asked, bool(asked))


def test_data_that_cannot_be_pushed_are_told_and_no_more(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = mock.Mock()
    monkeypatch.setattr(job, "push", mock.Mock(side_effect=InputError("no login")))
    monkeypatch.setattr(job, "get_run_logger", lambda: log)
    job.keep_data(Job.open())
    assert "no login" in str(log.warning.call_args)
