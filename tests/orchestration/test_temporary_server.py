"""A server that is started for a run alone: it lives as long, and ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, environment
from services import free_port

from evergreen import params
from evergreen.errors import InputError
from evergreen.orchestration.server import (
    connect,
    is_prefect,
)
from evergreen.project import Project

pytestmark = pytest.mark.slow  # real stores and servers


STAND_IN = """
import sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"true")
server = HTTPServer(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.buffer.read()
"""
CONNECT = """
import os, sys, time
from pathlib import Path
from evergreen import params
from evergreen.project import Project
from evergreen.orchestration import server
ports = params.Params(ports={"prefect": int(sys.argv[1])})
print(server.connect(Project(Path.cwd()), ports, lambda: print("imports")))
print(os.environ["PREFECT_API_URL"], server.is_prefect(os.environ["PREFECT_API_URL"]), flush=True)
if len(sys.argv) > 2:
    time.sleep(60)
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[[str], Project]:
    """A project whose own `evergreen.orchestration.server` is this code when a run starts it."""

    def make(code: str) -> Project:
        package = tmp_path / "evergreen" / "orchestration"
        package.mkdir(parents=True)
        for folder in (package.parent, package):
            (folder / "__init__.py").touch()
        (package / "server.py").write_text(code)
        return Project(tmp_path)

    return make


def connecting(project: Project, *args: str) -> subprocess.Popen[str]:
    """A process that connects in `project` with this repository's code."""
    script = project.root / "run" / "connect.py"
    script.parent.mkdir()
    script.write_text(CONNECT)
    command = [sys.executable, str(script), str(free_port()), *args]
    env = environment(ROOT)
    return subprocess.Popen(
        command,
        cwd=project.root,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_temporary_server_lives_as_long_as_its_run(stand_in: Callable[[str], Project]) -> None:
    with connecting(stand_in(STAND_IN)) as run:
        said, errors = run.communicate(timeout=60)
    assert (run.returncode, errors) == (0, "")
    imports, url, *environ = said.split()
    assert (imports, environ) == ("imports", [url, "True"])
    assert not is_prefect(url)


def test_a_temporary_server_ends_with_a_killed_run(stand_in: Callable[[str], Project]) -> None:
    with connecting(stand_in(STAND_IN), "stay") as run:
        assert run.stdout
        run.stdout.readline()
        url = run.stdout.readline().strip()
        assert run.stdout.readline() == f"{url} True\n"
        (server,) = psutil.Process(run.pid).children()
        # Ctrl-C in the terminal of the run does not reach it
        assert os.getsid(server.pid) == server.pid
        run.kill()
        _, left = psutil.wait_procs([server], timeout=60)
    assert not left


@pytest.mark.parametrize(
    "code", ["raise SystemExit('no room')", "print(1, flush=True)\nraise SystemExit('no room')"]
)
def test_a_temporary_server_that_dies_is_an_error_with_its_log(
    code: str, stand_in: Callable[[str], Project]
) -> None:
    project = stand_in(code)
    log = project.stores / "prefect-server.log"
    with pytest.raises(InputError, match="temporary Prefect server did not start") as caught:
        connect(
            project, params.Params.model_validate({"ports": {"prefect": free_port()}}), lambda: None
        )
    assert f"see {log}" in str(caught.value)
    assert "no room" in log.read_text()


# --- the end of a parent
# ----------------------------------------------------------------------------------------------

CHILD = """
import os, sys, time
from evergreen.orchestration.server import end_with_parent
def stop():
    print("stopping", flush=True)
    if sys.argv[1] == "faulty":
        raise RuntimeError("cannot stop")
end_with_parent(stop)
print("up", flush=True)
if sys.argv[1] == "short":
    sys.exit(0)
time.sleep(60)
"""


def child(how: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, how]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=ROOT, env=environment(ROOT), text=True, **pipes)
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    return process


@pytest.mark.parametrize("how", ["well", "faulty"])
def test_a_child_ends_when_its_input_closes(how: str) -> None:
    with child(how) as process:
        try:
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, said) == (1, "stopping\n")


def test_a_child_that_ends_by_itself_ends_well() -> None:
    with child("short") as process:
        process.wait(timeout=60)
        assert process.stderr
        assert (process.returncode, process.stderr.read()) == (0, "")


def test_a_child_is_still_ended_by_signals() -> None:
    with child("well") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == -signal.SIGTERM
