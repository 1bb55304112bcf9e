"""Services: pages and deployments on this machine only, and nothing left however they end."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import yaml
from conftest import ROOT, copy_project, environment
from filelock import FileLock

from evergreen import params
from evergreen.doctor import port_is_free
from evergreen.errors import InputError
from evergreen.orchestration.login import login_of
from evergreen.orchestration.server import ask
from evergreen.orchestration.services import (
    _check_ports,
    _look_after,
    _server,
    _servers_to_start,
    _wait,
    run_services,
)
from evergreen.project import Project


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        listeners = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [listener.getsockname()[1] for listener in listeners]


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
        time.sleep(0.1)
    return bool(holds())


# --- ports
# --------------------------------------------------------------------------------------------------


def ports(prefect: int, mlflow: int) -> params.Params:
    return params.parse({"ports": {"prefect": prefect, "mlflow": mlflow}}, "params.yaml")


@pytest.mark.parametrize("taken", [None, "prefect", "mlflow"])
def test_a_taken_port_is_named(taken: str | None) -> None:
    chosen = dict(zip(("prefect", "mlflow"), free_ports(2), strict=True))
    if taken is None:
        assert _check_ports(chosen) is None
        return
    with socket.create_server(("127.0.0.1", chosen[taken])), pytest.raises(InputError) as caught:
        _check_ports(chosen)
    remedy = f"stop what listens there, or change ports.{taken} in params.yaml"
    said = f"port {chosen[taken]} is in use: {remedy}"
    assert str(caught.value) == said


def test_two_servers_need_two_ports() -> None:
    (port,) = free_ports(1)
    with pytest.raises(InputError, match=f"both {port}: give each its own in params.yaml"):
        _check_ports({"prefect": port, "mlflow": port})


def test_servers_that_are_named_are_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, both = Project(tmp_path), ports(1, 2)
    assert list(_servers_to_start(project, both)) == ["prefect", "mlflow"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert list(_servers_to_start(project, both)) == ["prefect"]
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert list(_servers_to_start(project, both)) == []
    with pytest.raises(InputError, match="no Prefect server answers at PREFECT_API_URL=http"):
        run_services(project, both)


@pytest.mark.parametrize("listens", [False, True], ids=["starting", "listening"])
def test_a_second_up_is_told_of_the_first(tmp_path: Path, listens: bool) -> None:
    """To change the ports would be the wrong advice."""
    prefect, mlflow = free_ports(2)
    project = Project(tmp_path)
    project.stores.mkdir()
    with ExitStack() as stack:
        stack.enter_context(FileLock(project.stores / "up.lock"))
        if listens:
            stack.enter_context(socket.create_server(("127.0.0.1", prefect)))
        with pytest.raises(InputError, match=r"`evergreen up` is running already"):
            run_services(project, ports(prefect, mlflow))


# --- one server
# --------------------------------------------------------------------------------------------------

# A server with a child that does not care for Ctrl-C and, when told, one in a session of its own.
SLEEPER = """
import signal, subprocess, sys, time
if "apart" in sys.argv:
    subprocess.Popen(["sleep", "60"], start_new_session=True)
signal.signal(signal.SIGINT, signal.SIG_IGN)
subprocess.Popen(["sleep", "60"])
signal.signal(signal.SIGINT, signal.default_int_handler)
print("up", *sys.argv[1:], flush=True)
time.sleep(60)
"""
KEEPER = """
import time
from pathlib import Path
from evergreen.project import Project
from evergreen.orchestration.services import _server
with _server(Project(Path.cwd()), "sleeper", "sleeper", "apart"):
    time.sleep(60)
"""


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Project]:
    """A project with a module `sleeper` that can be served."""
    project = Project(tmp_path)
    project.stores.mkdir()
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    yield project
    for left in at_work(project):
        left.kill()


def is_up(project: Project) -> bool:
    log = project.stores / "sleeper.log"
    return log.exists() and log.read_text().startswith("up")


@contextmanager
def serving(project: Project, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server whose pipe is closed in any case."""
    with _server(project, command[0], *command) as process:
        yield process
    assert process.stdin
    process.stdin.close()


def test_a_server_ends_with_its_block(sleeper: Project) -> None:
    with serving(sleeper, "sleeper", "--port", "1") as process:
        assert eventually(lambda: is_up(sleeper), 20)
        assert (sleeper.stores / "sleeper.log").read_text() == "up --port 1\n"
        assert len(at_work(sleeper)) == 2
    assert process.returncode is not None
    assert eventually(lambda: not at_work(sleeper), 3), at_work(sleeper)


def test_a_server_that_was_ended_holds_no_pipe(sleeper: Project) -> None:
    with _server(sleeper, "sleeper", "sleeper") as process:
        pass
    assert process.stdin
    closed = process.stdin.closed
    process.stdin.close()
    assert closed


@pytest.mark.slow
def test_a_server_ends_with_a_killed_parent(sleeper: Project) -> None:
    keeper = subprocess.Popen(
        [sys.executable, "-c", KEEPER], cwd=sleeper.root, env=environment(ROOT)
    )
    assert eventually(lambda: is_up(sleeper), 20)
    assert len(at_work(sleeper)) == 4
    keeper.kill()
    keeper.wait()
    assert eventually(lambda: not at_work(sleeper), 30), at_work(sleeper)


@pytest.mark.slow
def test_a_server_that_does_not_start_is_an_error_with_its_log(sleeper: Project) -> None:
    log = sleeper.stores / "no_such_module.log"
    with serving(sleeper, "no_such_module") as process, pytest.raises(InputError) as caught:
        _wait(sleeper, "no_such_module", process, lambda: False, Event())
    assert str(caught.value) == f"the no_such_module server did not start: see {log}"
    assert "No module named no_such_module" in log.read_text()


def test_who_is_told_to_stop_waits_no_longer(sleeper: Project) -> None:
    stop = Event()
    stop.set()
    with serving(sleeper, "sleeper") as process:
        _wait(sleeper, "sleeper", process, lambda: False, stop)
        assert process.poll() is None


@pytest.mark.parametrize("name", ["prefect", "worker", "watch"])
def test_only_the_watch_may_stop_by_itself_and_begins_again(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A source can crash it: a library of its own, or the memory that a file takes."""
    monkeypatch.setattr("evergreen.orchestration.services.REST", 0.0)
    ended, alive = (SimpleNamespace(poll=lambda code=code: code) for code in (-11, None))
    running: Any = dict.fromkeys(("prefect", "worker", "watch"), alive) | {name: ended}
    if name != "watch":
        with pytest.raises(InputError, match=f"{name} stopped by itself: see .*{name}.log"):
            _look_after(Project(tmp_path), running, lambda: alive, Event())  # type: ignore[arg-type, return-value]
        return
    _look_after(Project(tmp_path), running, lambda: alive, Event())  # type: ignore[arg-type, return-value]
    assert running["watch"] is alive
    assert capsys.readouterr().err.startswith("watch stopped by itself, and is started again: see ")


# --- all of them
# --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with ports of its own."""
    project = Project(tmp_path_factory.mktemp("house") / "project")
    copy_project(project.root)
    content = yaml.safe_load(project.params.read_text())
    content["ports"] = dict(zip(("prefect", "mlflow"), free_ports(2), strict=True))
    project.params.write_text(yaml.safe_dump(content))
    return project


@contextmanager
def up(project: Project) -> Iterator[subprocess.Popen[str]]:
    """`evergreen up`, once it says that everything is there."""
    command = [sys.executable, "-m", "evergreen.cli", "up"]
    env = environment(project.root)
    errors = project.root / "errors.txt"
    with (
        errors.open("w") as sink,
        subprocess.Popen(
            command, cwd=project.root, env=env, stdout=subprocess.PIPE, stderr=sink, text=True
        ) as process,
    ):
        try:
            assert process.stdout
            said = [process.stdout.readline() for _ in range(4)]
            chosen = params.load(project.params).ports
            pages = [f"http://127.0.0.1:{port}" for port in (chosen.prefect, chosen.mlflow)]
            assert all(
                line.split()[1].startswith(page) for line, page in zip(said, pages, strict=False)
            ), errors.read_text()
            assert said[2].split()[:2] == ["login", login_of(project)]
            assert said[3].startswith("Ctrl-C")
            yield process
        finally:
            process.kill()
            eventually(lambda: not at_work(project), 30)
            for left in at_work(project):
                left.kill()
    assert errors.read_text() == ""


def runs_at_once(project: Project) -> int | None:
    """Of the deployment of the training flow; None while there is none."""
    url = f"http://127.0.0.1:{params.load(project.params).ports.prefect}/api"
    status, found = ask(f"{url}/deployments/name/training/late_flights-training", login_of(project))
    return int(json.loads(found)["global_concurrency_limit"]["limit"]) if status == 200 else None


@pytest.mark.slow
def test_up_serves_this_machine_until_it_is_told_to_stop(
    house: Project, cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    chosen = params.load(house.params).ports
    with up(house) as process:
        for port in (chosen.prefect, chosen.mlflow):
            assert b"<html" in ask(f"http://127.0.0.1:{port}/", login_of(house))[1]
        assert eventually(lambda: runs_at_once(house) == 1, 60)
        hosts = {
            socket_.laddr.ip
            for process in at_work(house)
            for socket_ in process.net_connections("inet")
            if socket_.status == psutil.CONN_LISTEN
        }
        assert hosts == {"127.0.0.1"}
        second = cli(house, "up")
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr.startswith("error: ")
        assert second.stderr.count("\n") == 1
        process.terminate()
        assert process.wait(timeout=60) == 0
        assert process.stdout
        assert process.stdout.read().splitlines()[-1] == "stopped"
        assert all(port_is_free(port) for port in (chosen.prefect, chosen.mlflow))
        assert eventually(lambda: not at_work(house), 5), at_work(house)


@pytest.mark.slow
def test_a_killed_up_leaves_no_server(house: Project) -> None:
    chosen = params.load(house.params).ports
    with up(house) as process:
        assert len(at_work(house)) >= 4
        process.kill()
        process.wait()
        assert eventually(lambda: not at_work(house), 30), at_work(house)
        assert all(port_is_free(port) for port in (chosen.prefect, chosen.mlflow))
