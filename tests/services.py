"""`evergreen up`: started, used through the API of Prefect's own page, and stopped."""

from __future__ import annotations

import base64
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

import psutil
from conftest import environment
from forking import alone

from evergreen import params
from evergreen.orchestration.login import login_of
from evergreen.project import Project

PATIENCE = 300  # seconds, on a busy machine


def at_work(project: Project) -> list[psutil.Process]:
    """Processes that work in the project's folder."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd() == str(project.root) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def eventually(holds: Callable[[], object], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.5)  # to ask is work, for both sides
    return bool(holds())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Page:
    """What a person does on Prefect's page, by the API that the page itself uses."""

    def __init__(self, port: int, login: str = "", said: str = "") -> None:
        self.said = said  # by `evergreen up`, before anybody looked
        self.api = f"http://127.0.0.1:{port}/api"
        self.headers = {"Content-Type": "application/json"}
        if login:
            self.headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()

    def ask(self, path: str, content: Any = None, how: str | None = None) -> Any:
        """`how`: the method, else POST with a content, and GET without."""
        body = None if content is None else json.dumps(content).encode()
        asked = urllib.request.Request(f"{self.api}{path}", body, self.headers, method=how)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
                    return json.loads(answer.read() or "null")
            except urllib.error.HTTPError as error:
                if (
                    error.code != 503 or time.monotonic() > until
                ):  # its SQLite is busy: Prefect's own client asks again too
                    raise
                time.sleep(0.5)

    def start(self, due: datetime | None = None, package: str = "late_flights") -> str:
        """Ask for a training of a project; `due`: when, else now."""
        deployment = self.ask(f"/deployments/name/training/{package}-training")
        state: dict[str, Any] = {"type": "SCHEDULED"}
        if due:
            state["state_details"] = {"scheduled_time": due.isoformat()}
        asked = self.ask(f"/deployments/{deployment['id']}/create_flow_run", {"state": state})
        return str(asked["id"])

    def wait(self, run_id: str, *states: str) -> str:
        until = time.monotonic() + PATIENCE
        while (state := self.ask(f"/flow_runs/{run_id}")["state"]["type"]) not in states:
            assert time.monotonic() < until, f"still {state}"
            assert state not in ("FAILED", "CRASHED"), self.ask(f"/flow_runs/{run_id}")["state"]
            time.sleep(0.5)
        return state

    def runs(self, flow: str) -> list[Any]:
        """The runs of a flow that are not merely planned, oldest first."""
        asked = {"flows": {"name": {"any_": [flow]}}, "sort": "EXPECTED_START_TIME_ASC"}
        return [run for run in self.ask("/flow_runs/filter", asked) if not run["auto_scheduled"]]

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """Wait for what is to come by itself."""
        until = time.monotonic() + PATIENCE
        while not (found := holds()):
            assert time.monotonic() < until, f"{what} did not come: {self.told()}"
            time.sleep(1)
        return found

    def told(self) -> list[tuple[str, str, str]]:
        """Each run of monitoring and training: what it is called, its state and what that says."""
        runs = [*self.runs("monitoring"), *self.runs("training")]
        return [(run["name"], run["state"]["type"], run["state"]["message"]) for run in runs]

    def tasks(self, run_id: str) -> set[str]:
        asked = {"flow_runs": {"id": {"any_": [run_id]}}}
        return {run["name"] for run in self.ask("/task_runs/filter", asked)}


@contextmanager
def services(
    project: Project, end: signal.Signals = signal.SIGINT, **variables: str
) -> Iterator[Page]:
    """Serve the project, with these variables set, until the end of the block.

    `end`: the signal that is sent then; told to stop, it must end well.
    """
    command = [sys.executable, "-m", "evergreen.cli", "up"]
    with alone():
        env = environment(project.root)
    with subprocess.Popen(
        command,
        cwd=project.root,
        # 10 as shipped: a test only waits
        env=env | {"PREFECT_WORKER_QUERY_SECONDS": "2"} | variables,
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
            yield Page(params.load(project.params).ports.prefect, login_of(project), said)
        finally:
            process.send_signal(end)
            rest, _ = process.communicate(timeout=120)
    if end != signal.SIGKILL:
        assert rest.splitlines()[-1] == "stopped", rest
    assert process.returncode == (-end if end == signal.SIGKILL else 0)
