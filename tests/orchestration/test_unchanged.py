"""Unchanged: what counts as the very state that the last run left."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any
from unittest import mock

import pytest
from commands import invoke
from conftest import ROOT, small_project

from evergreen import code, params
from evergreen.ingest.batches import find_waiting, ingest
from evergreen.orchestration import unchanged
from evergreen.orchestration.server import set_environment
from evergreen.project import Project

ASKED: dict[str, Any] = {"sweep": {"seeds": None, "model": None}, "train": {"device": None}}
ROWS = [["ingest", "skipped"], ["model", "evergreen version 1 is champion"]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a project with an inbox and, as it were, models and pages."""
    folder = tmp_path_factory.mktemp("made")
    project = small_project(folder, ("2013-01", "2013-02"), 50, source={"path": "../inbox"})
    for name in ("stores/mlflow/1/model.json", "stores/mlflow.db", "reports/.run", "dvc.lock"):
        path = project.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.fixture
def left(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """It, as a run has left it that keeps that."""
    for name in (*unchanged.SERVERS, "MLFLOW_TRACKING_URI", "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True, symlinks=True)
    project = Project(tmp_path / "project")
    monkeypatch.chdir(project.root)
    ingest(project, project.dataset, params.load(project.params))
    with mock.patch.dict(os.environ):
        set_environment(project)
        keep(project)
        yield project


def keep(project: Project) -> None:
    inputs = unchanged.inputs_of(project, params.load(project.params), ASKED)
    unchanged.keep(project, unchanged.state_of(project, inputs), ROWS)


def find(project: Project, asked: dict[str, Any] | None = None) -> Any:
    read = params.load(project.params)

    def waits() -> bool:
        waiting = find_waiting(project, project.dataset, read)
        return bool(waiting.offers or waiting.passed_over)

    return unchanged.find(project, read, asked or ASKED, waits)


@pytest.mark.slow
def test_the_same_state_has_nothing_to_do(left: Project) -> None:
    assert find(left) == ROWS
    for name in ("predictions/2013-07.parquet", "../reports/result.png", "../stores/login"):
        path = left.root / "data" / name  # none of which a run looks at
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert find(left) == ROWS


def _again(path: Path) -> None:
    """Write what is there once more, with the time of before."""
    before = path.stat()
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _add(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")


def _deliver(inbox: Path) -> None:
    (inbox / "2013-03.parquet").write_bytes((inbox / "2013-02.parquet").read_bytes())


CHANGES: dict[str, Callable[[Project], object]] = {
    "a raw file is written again": lambda p: _again(next(p.raw.glob("*.parquet"))),
    "a features file is new": lambda p: _add(p.features / "2013-09.parquet"),
    "dvc.lock is gone": lambda p: (p.root / "dvc.lock").unlink(),
    "DVC is told of another remote": lambda p: _add(p.root / ".dvc" / "config.local"),
    "a parameter": lambda p: p.params.write_text(p.params.read_text() + "\n# other\n"),
    "the datasheet is answered": lambda p: _add(p.root / "datasheet.yaml"),
    "a module of the user's is new": lambda p: _add(p.root / "src" / "late_flights" / "more.py"),
    "a flow is new": lambda p: _add(p.root / "flows" / "more.py"),
    "MLflow wrote": lambda p: _again(p.stores / "mlflow.db"),
    "a model's file is gone": lambda p: (p.stores / "mlflow" / "1" / "model.json").unlink(),
    "reports are gone": lambda p: (p.reports / ".run").unlink(),
    "a run is under way, or was killed": unchanged.forget,
    "what is kept is damaged": lambda p: (p.stores / unchanged.FILE).write_text('{"state'),
    "what is kept is of another kind": lambda p: (p.stores / unchanged.FILE).write_text("[]"),
    "a file waits that is no batch": lambda p: _add(p.root.parent / "inbox" / "notes.xyz"),
    "a batch waits": lambda p: _deliver(p.root.parent / "inbox"),
    "a raw file is gone": lambda p: next(p.raw.glob("*.parquet")).unlink(),
}  # fmt: skip
WAITS = [*CHANGES][-3:]


@pytest.mark.slow
def test_a_changed_state_is_left_to_the_steps(left: Project) -> None:
    for change, make in CHANGES.items():
        make(left)
        assert find(left) == [], change
        keep(left)
        assert (find(left) == []) == (change in WAITS), change


@pytest.mark.slow
def test_other_wishes_are_left_to_the_steps(left: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(left, ASKED | {"sweep": {"seeds": 2, "model": None}}) == []
    names = (*unchanged.SERVERS, "MLFLOW_TRACKING_URI", "CUDA_VISIBLE_DEVICES", "DVC_SITE")
    for name in names:
        with mock.patch.dict(os.environ, {name: "http://127.0.0.1:9"}):
            assert find(left) == [], name
    monkeypatch.setattr(code, "changed", lambda: [left.params])  # edited while the run started
    assert find(left) == []
    monkeypatch.undo()
    monkeypatch.chdir(left.root)
    assert find(left)


FLOWS = {
    "the library's": ("with steps.open(x) as run:\n        steps.train(run)", True),
    "with a condition": ("if not steps.reuse(run):\n        steps.train(run)", True),
    "an own step": ("steps.train(run)\n    publish(run)", False),
    "an own method": ("steps.train(run)\n    run.publish()", False),
    "an own one inside": ("steps.train(publish(run))", False),
}  # fmt: skip


@pytest.mark.parametrize("case", FLOWS)
def test_a_flow_with_lines_of_its_own_always_runs(case: str, tmp_path: Path) -> None:
    body, plain = FLOWS[case]
    (tmp_path / "flow.py").write_text(f"def training(run, x=1):\n    {body}\n")
    flow = code.load(tmp_path / "flow.py", f"flow_{len(case)}").training
    assert isinstance(flow, FunctionType)
    assert not unchanged.has_only_steps(flow)  # steps are not the library's
    flow.__globals__["steps"] = type("Steps", (), {"__name__": unchanged.STEPS})()
    assert unchanged.has_only_steps(flow) is plain


def test_the_shipped_flow_has_only_steps() -> None:
    text = (ROOT / "flows" / "training.py").read_text()
    assert "from evergreen.orchestration import steps" in text
    flow = code.load(ROOT / "flows" / "training.py", "shipped_training").training
    assert unchanged.has_only_steps(flow.fn)


@pytest.mark.slow
def test_a_run_with_nothing_to_do_says_so_without_a_server(left: Project) -> None:
    first, second = (invoke(left.root, "run", "--reason", "cron") for _ in range(2))
    assert (first.exit_code, first.stderr) == (0, ""), first.stderr
    assert "version 1 is champion" in first.stdout
    assert "nothing has changed since the last run" in second.stdout
    assert not (left.stores / "prefect-server.log").exists()
