"""Runs started from Prefect's page: stopped in the middle, begun again, and approved by a person in the form."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conftest import environment

from evergreen import params
from evergreen.project import Project
from evergreen.registry import Registry
from evergreen.tracking import Tracker

pytestmark = pytest.mark.slow
PATIENCE = 300  # seconds, on a busy machine


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Page:
    """What a person does on Prefect's page, by the API that the page itself uses."""

    def __init__(self, port: int) -> None:
        self.api = f"http://127.0.0.1:{port}/api"

    def ask(self, path: str, content: dict[str, Any] | None = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        asked = urllib.request.Request(f"{self.api}{path}", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.loads(answer.read() or "null")

    def start(self) -> str:
        deployment = self.ask("/deployments/name/training/training")
        return str(self.ask(f"/deployments/{deployment['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"])

    def wait(self, run_id: str, *states: str) -> str:
        until = time.monotonic() + PATIENCE
        while (state := self.ask(f"/flow_runs/{run_id}")["state"]["type"]) not in states:
            assert time.monotonic() < until, f"still {state}"
            assert state not in ("FAILED", "CRASHED"), self.ask(f"/flow_runs/{run_id}")["state"]
            time.sleep(0.5)
        return state

    def tasks(self, run_id: str) -> set[str]:
        asked = {"flow_runs": {"id": {"any_": [run_id]}}}
        return {run["name"] for run in self.ask("/task_runs/filter", asked)}


@contextmanager
def house(project: Project) -> Iterator[Page]:
    """Serve the project until the end of the block; it must stop by itself then."""
    command = [sys.executable, "-m", "evergreen.cli", "up"]
    with subprocess.Popen(
        command,
        cwd=project.root,
        env=environment(project.root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        said = ""
        while "Ctrl-C stops everything" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        try:
            yield Page(params.load(project.params).ports.prefect)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=120)
    assert process.returncode == 0


def test_a_run_stopped_with_the_house_leaves_its_place_and_the_next_is_approved(
    make_project: Callable[..., Project],
) -> None:
    ports = {"prefect": free_port(), "mlflow": free_port()}
    project = make_project(gate={"approval": "manual"}, ports=ports)
    with house(project) as page:
        stopped = page.start()
        until = time.monotonic() + PATIENCE
        while "matrix" not in page.tasks(stopped):
            assert time.monotonic() < until
            time.sleep(0.2)
    with house(project) as page:
        assert page.ask(f"/flow_runs/{stopped}")["state"]["type"] in ("CRASHED", "CANCELLED", "FAILED")
        run_id = page.start()
        page.wait(run_id, "PAUSED")
        found = Registry(Tracker(project, params.load(project.params)))
        assert found.champion() is None
        page.ask(f"/flow_runs/{run_id}/resume", {"run_input": {"promote": True, "reason": "looks right"}})
        page.wait(run_id, "COMPLETED")
    assert found.champion() == "1"
    assert [event.what for event in found.history()] == ["waits for approval", "promoted"]
    assert "approved by a person: looks right" in found.history()[-1].reason
