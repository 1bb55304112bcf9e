"""What commands open: a locked project, a registry, a flow that is connected to a server."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from commands import error_of, invoke

from evergreen.cli.session import open_flow, open_project, open_registry
from evergreen.errors import InputError
from evergreen.params import Params
from evergreen.project import Project


@pytest.mark.parametrize("command", ["ingest", "validate", "stage ingest"])
def test_a_project_that_is_held_is_left_alone(command: str, two_batches: Project) -> None:
    with two_batches.lock():
        said = error_of(invoke(two_batches.root, *command.split()))
    assert said.startswith(f"another run of this project is under way (process {os.getpid()})")
    assert not list(two_batches.raw.glob("*.parquet"))


def test_a_project_is_held_while_it_is_open(
    two_batches: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(two_batches.root)
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    with open_project() as (project, params):
        assert (project.root, params.ports.prefect) == (two_batches.root, 5000)
        assert os.environ["PREFECT_HOME"] == str(project.stores / "prefect")
        with pytest.raises(InputError, match="another run"), two_batches.lock():
            pass
    with open_project(lock=False), two_batches.lock():
        pass


@pytest.mark.slow
def test_a_registry_is_read_while_a_run_is_under_way(
    two_batches: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(two_batches.root)
    with two_batches.lock():
        with open_registry(reading=True) as registry:
            assert registry.aliases() == {}
        with pytest.raises(InputError, match="another run"), open_registry():
            pass
    with open_registry() as registry:
        assert registry.aliases() == {}


def test_a_flow_is_imported_while_its_server_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    class Flows:
        def flow(self, name: str) -> str:
            order.append(f"import {name}")
            return name

    def connect(_: object, __: object, meanwhile: Callable[[], object]) -> None:
        order.append("start")
        meanwhile()
        order.append("ready")

    monkeypatch.setattr("evergreen.orchestration.server.connect", connect)
    project: Any = Flows()
    flow: object = open_flow(project, Params(), "training", lambda: order.append("load"))
    assert flow == "training"
    assert order[:4] == ["start", "import training", "load", "ready"]
