"""Services: pages and deployments on this machine only, and nothing left however they end."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ROOT, environment, settings_of
from filelock import FileLock
from services import at_work, eventually

from evergreen import params
from evergreen.errors import InputError
from evergreen.orchestration import services
from evergreen.orchestration.services import (
    _check_ports,
    _check_running,
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


# --- ports


def ports(prefect: int, mlflow: int) -> params.Params:
    return params.parse({"ports": {"prefect": prefect, "mlflow": mlflow}}, "params.yaml")


@pytest.mark.parametrize("taken", [None, "ports.prefect", "ports.mlflow", "serve.port"])
def test_a_taken_port_is_named(taken: str | None) -> None:
    names = ("ports.prefect", "ports.mlflow", "serve.port")
    chosen = dict(zip(names, free_ports(3), strict=True))
    if taken is None:
        assert _check_ports(chosen) is None
        return
    with socket.create_server(("127.0.0.1", chosen[taken])), pytest.raises(InputError) as caught:
        _check_ports(chosen)
    remedy = f"stop what listens there, or change {taken} in params.yaml"
    off = ", or set serve.up: off" if taken == "serve.port" else ""
    assert str(caught.value) == f"port {chosen[taken]} is in use: {remedy}{off}"


@pytest.mark.parametrize("other", ["ports.prefect", "ports.mlflow"])
def test_two_servers_need_two_ports(other: str) -> None:
    port, *free = free_ports(3)
    names = ("ports.prefect", "ports.mlflow")
    chosen = dict(zip(names, free, strict=True)) | {other: port, "serve.port": port}
    said = f"{other} and serve.port are both {port}: give each its own in params.yaml"
    with pytest.raises(InputError, match=said):
        _check_ports(chosen)


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


@pytest.mark.slow
def test_a_server_ends_with_its_block(sleeper: Project) -> None:
    with serving(sleeper, "sleeper", "--port", "1") as process:
        assert eventually(lambda: is_up(sleeper), 60)
        assert (sleeper.stores / "sleeper.log").read_text() == "up --port 1\n"
        assert len(at_work(sleeper)) == 2
    assert process.returncode is not None
    assert eventually(lambda: not at_work(sleeper), 60), at_work(sleeper)


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
    assert eventually(lambda: is_up(sleeper), 60)
    assert len(at_work(sleeper)) == 4
    keeper.kill()
    keeper.wait()
    assert eventually(lambda: not at_work(sleeper), 60), at_work(sleeper)


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


@pytest.mark.parametrize("name", ["prefect", "worker", "watch", "serve"])
def test_only_watch_and_serving_may_stop_by_themselves_and_begin_again(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A source can crash the one, and a request the other: a library, or the memory it takes."""
    monkeypatch.setattr("evergreen.orchestration.services.REST", 0.0)
    ended, alive = (SimpleNamespace(poll=lambda code=code: code) for code in (-11, None))
    names = ("prefect", "worker", "watch", "serve")
    running: Any = dict.fromkeys(names, alive) | {name: ended}
    started: dict[str, Any] = {}
    again: Any = lambda name: started.setdefault(name, alive)  # noqa: E731
    if name in ("prefect", "worker"):
        with pytest.raises(InputError, match=f"{name} stopped by itself: see .*{name}.log"):
            _check_running(Project(tmp_path), running, again, Event())
        return
    _check_running(Project(tmp_path), running, again, Event())
    assert (running[name], [*started]) == (alive, [name])
    assert capsys.readouterr().err.startswith(f"{name} stopped by itself, and is started again: ")


# --- a clock that is off


@pytest.mark.parametrize(
    ("seconds", "prefetch", "said"),
    [
        (0.4, None, ""),
        (3600.0, "3610", "min behind that of the Prefect server"),
        (-3600.0, "-3590", "min ahead of that of the Prefect server"),
    ],
)
def test_a_worker_takes_runs_by_the_clock_of_the_server(
    seconds: float,
    prefetch: str | None,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own: dict[str, str] = {}
    monkeypatch.setattr(services.os, "environ", own)
    monkeypatch.setattr(services.clock, "behind", lambda _: seconds)
    services._follow_clock("http://127.0.0.1:9/api")
    assert own.get("PREFECT_WORKER_PREFETCH_SECONDS") == prefetch
    assert said in capsys.readouterr().err


# --- runs whose process has died


@pytest.mark.parametrize("elsewhere", [True, False])
def test_runs_give_signs_of_life_to_a_server_that_outlives_this_machine(
    elsewhere: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    did = list[str]()
    for name in ("_close_killed_runs", "_make_pool", "_follow_clock", "tell_of_runs"):
        monkeypatch.setattr(services, name, lambda _, name=name: did.append(name))
    monkeypatch.setattr(services, "give_signs_of_life", lambda: did.append("alive"))
    services._prepare(settings_of(tmp_path), "http://127.0.0.1:9/api", elsewhere=elsewhere)
    assert ("alive" in did) == elsewhere
    assert len(did) == 4 + elsewhere


@pytest.mark.parametrize("elsewhere", [True, False])
@pytest.mark.parametrize("stopped", [True, False])
def test_dead_runs_are_noticed_by_that_server_once_deployments_are_there(
    elsewhere: bool, stopped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noticed, stop = list[str](), services.Event()
    monkeypatch.setattr(services, "notice_dead_runs", noticed.append)
    if stopped:
        stop.set()
    deployed: Any = SimpleNamespace(poll=lambda: 0)
    project = settings_of(tmp_path)
    services._finish_deploying(project, deployed, stop, elsewhere=elsewhere)
    assert noticed == [project.package] * (elsewhere and not stopped)
