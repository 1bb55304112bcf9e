"""The server behind a run: found if it answers, refused if it must be, gone with its parent."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from filelock import FileLock
from http_server import serve

from evergreen import params
from evergreen.errors import InputError
from evergreen.orchestration.login import login_of
from evergreen.orchestration.server import (
    UP_LOCK,
    check_database,
    connect,
    find_running,
    is_prefect,
    set_environment,
)
from evergreen.project import Project

pytestmark = pytest.mark.slow  # real stores and servers
HEALTHY = (200, b"true")
# A port for servers that discard what they get, which nobody runs
NOBODY = "http://127.0.0.1:9/api"


@contextmanager
def web(status: int, body: bytes, login: str = "") -> Iterator[str]:
    """An API whose /health answers this; every other path is unknown, to whoever has the login."""
    log_in = f"Basic {b64encode(login.encode()).decode()}" if login else None

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            health = self.path == "/api/health"
            self.send_response(
                status if health else 404 if self.headers["Authorization"] == log_in else 401
            )
            self.end_headers()
            self.wfile.write(body)

    with serve(Answer) as port:
        yield f"http://127.0.0.1:{port}/api"


@contextmanager
def other(answer: bytes) -> Iterator[str]:
    """A port at which something else listens, and says this to whoever asks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            with listener.accept()[0] as connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=talk)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        finally:
            thread.join()


def port_of(url: str) -> int:
    return int(url.split(":")[2].split("/")[0])


def unused() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/api"


# --- what answers
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "yes"),
    [
        (*HEALTHY, True),
        (200, b"true\n", True),
        (200, b"false", False),
        (200, b"", False),
        (200, b"<html>another program</html>", False),
        (204, b"", False),
        (404, b"true", False),
        (503, b"true", False),
    ],
)
def test_only_a_healthy_api_is_prefect(status: int, body: bytes, yes: bool) -> None:
    with web(status, body) as url:
        assert is_prefect(url) is yes


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"-ERR unknown command 'GET'\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ntrue",
    ],
    ids=["hangs up", "SSH", "Redis", "cut short"],
)
def test_another_program_at_the_port_is_not_prefect(answer: bytes) -> None:
    with other(answer) as url:
        assert not is_prefect(url)


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "http:///api", "http://127.0.0.1:99999/api", "http://127.0.0.1:port/api", "http://[::1/api",
     "http://my host/api", NOBODY],
)  # fmt: skip
def test_no_address_is_not_prefect(url: str) -> None:
    assert not is_prefect(url)


def test_a_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, unused().removesuffix("/api"))
    with web(*HEALTHY) as url:
        assert is_prefect(url)


# --- which one is taken
# -----------------------------------------------------------------------------------------------


def at(url: str) -> params.Params:
    """Parameters whose port for Prefect is that of `url`."""
    return params.parse({"ports": {"prefect": port_of(url)}}, "params.yaml")


@pytest.fixture
def running_project(tmp_path: Path) -> Iterator[Project]:
    """A project whose `evergreen up` is running, as far as its lock says."""
    project = Project(tmp_path)
    project.stores.mkdir()
    with FileLock(project.stores / UP_LOCK, is_singleton=False):
        yield project


def test_the_address_in_the_environment_comes_first(
    running_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web(*HEALTHY) as told, web(*HEALTHY) as own:
        assert find_running(running_project, at(own)) == own
        monkeypatch.setenv("PREFECT_API_URL", told)
        assert find_running(running_project, at(own)) == told


def test_the_server_of_another_project_on_the_same_port_is_left_alone(tmp_path: Path) -> None:
    with web(*HEALTHY) as other:
        assert find_running(Project(tmp_path), at(other)) is None


@pytest.mark.parametrize("told", [NOBODY, "nonsense", "http://127.0.0.1:port/api"])
def test_an_address_at_which_nothing_answers_is_an_error(
    told: str, running_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", told)
    with web(*HEALTHY) as own, pytest.raises(InputError) as caught:
        find_running(running_project, at(own))
    assert f"PREFECT_API_URL={told}: start it, or unset the variable" in str(caught.value)


def test_a_named_server_is_asked_with_the_login_of_its_user_and_never_told_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path)
    with web(*HEALTHY, login="me:theirs") as told, web(*HEALTHY) as own:
        monkeypatch.setenv("PREFECT_API_URL", told)
        for wrong in (None, "me:another"):
            if wrong:
                monkeypatch.setenv("PREFECT_API_AUTH_STRING", wrong)
            with pytest.raises(InputError, match="asks for a login: set PREFECT_API_AUTH_STRING"):
                connect(project, at(own), lambda: None)
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "me:theirs")
        assert connect(project, at(own), lambda: None) == told
    assert os.environ["PREFECT_API_AUTH_STRING"] == "me:theirs"
    assert not (project.stores / "login").exists()


def test_the_server_of_up_is_asked_with_the_login_of_the_project(
    running_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "of:another server")
    with web(*HEALTHY, login=login_of(running_project)) as own:
        assert connect(running_project, at(own), lambda: None) == own
        monkeypatch.delenv("PREFECT_API_URL")
        (running_project.stores / "login").unlink()
        with pytest.raises(InputError, match="refuses the login in"):
            connect(running_project, at(own), lambda: None)


@pytest.mark.parametrize("told", [None, ""])
def test_without_a_server_there_is_none(
    told: str | None, running_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    if told is not None:
        monkeypatch.setenv("PREFECT_API_URL", told)
    assert find_running(running_project, at(unused())) is None
    with web(503, b"true") as sick:
        assert find_running(running_project, at(sick)) is None


def test_the_environment_is_the_projects_and_what_was_set_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PREFECT_HOME", "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY", "DVC_NO_ANALYTICS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "mine")
    set_environment(Project(tmp_path))
    assert os.environ["PREFECT_HOME"] == str(tmp_path / "stores" / "prefect")
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "mine"
    quiet = ("DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY", "DVC_NO_ANALYTICS")
    assert [os.environ[name] for name in quiet] == ["1", "true", "1"]
    assert not (tmp_path / "stores").exists()


def test_prefect_finds_the_place_of_its_files_when_it_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes its own folder, but not the one above, and warns."""
    monkeypatch.delenv("PREFECT_HOME")
    there = []
    with web(*HEALTHY) as named:  # a server of one's own is started in a folder that it makes
        monkeypatch.setenv("PREFECT_API_URL", named)
        connect(
            Project(tmp_path),
            params.Params(),
            lambda: there.append(Path(os.environ["PREFECT_HOME"]).parent.is_dir()),
        )
    assert there == [True]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda content: content[: len(content) // 2],
            r"prefect.db is damaged .*it holds the record of past runs.*`mv",
        ),
        (lambda _: b"no database" * 100, r"prefect.db is damaged"),
        (lambda content: content, None),
        (lambda _: b"", None),
    ],
)
def test_a_database_of_prefect_that_no_server_could_open_is_named(
    spoil: Callable[[bytes], bytes],
    said: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    project = Project(tmp_path)
    check_database(project)  # there is none yet
    path = project.stores / "prefect" / "prefect.db"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE flow_run (name TEXT)")
        connection.executemany("INSERT INTO flow_run VALUES (?)", [("x" * 100,)] * 1000)
    path.write_bytes(spoil(path.read_bytes()))
    if said:
        with pytest.raises(InputError, match=said):
            check_database(project)
    else:
        check_database(project)
    assert ("is empty: Prefect starts a new record" in capsys.readouterr().err) is (
        path.stat().st_size == 0
    )
