"""Who may call a server: asked of the guard alone, and of each server that a project starts."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, environment

from evergreen.errors import InputError
from evergreen.orchestration import guard
from evergreen.orchestration.guard import Guard
from evergreen.orchestration.login import login_of
from evergreen.project import Project

LOGIN = "somebody:with-a-password"
HERE = "127.0.0.1:4200"


def basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()


def answer(
    app: Guard,
    kind: str = "http",
    method: str = "GET",
    about: Mapping[str, Any] | None = None,
    **headers: str | list[str],
) -> int:
    """Ask `app`, which lets through what it answers with 299; return the status."""
    sent: list[Any] = []
    scope: dict[str, Any] = {
        "type": kind,
        "path": "/",
        "headers": [],
        "extensions": {"websocket.http.response": {}},
        **(about or {}),
    }
    if kind == "http":
        scope["method"] = method
    for name, values in ({"host": HERE} | headers).items():
        for value in [values] if isinstance(values, str) else values:
            scope["headers"].append((name.replace("_", "-").encode(), value.encode("latin-1")))

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": f"{kind}.request"}

    asyncio.run(app(scope, receive, send))
    return int(sent[0]["status"])


async def passed(scope: Any, _: Any, send: Any) -> None:
    kind = "http" if scope["type"] == "http" else "websocket.http"
    await send({"type": f"{kind}.response.start", "status": 299, "headers": []})


FOREIGN: dict[str, dict[str, str | list[str]]] = {
    "another name": {"host": "evil.example"},
    "another name at the port": {"host": "evil.example:4200"},
    "a name that begins like ours": {"host": "127.0.0.1.evil.example:4200"},
    "a name that ends like ours": {"host": "evil-localhost:4200"},
    "a name behind ours": {"host": "127.0.0.1@evil.example"},
    "all addresses": {"host": "0.0.0.0:4200"},
    "an address of the network": {"host": "192.168.1.7:4200"},
    "an empty name": {"host": ""},
    "no name": {"host": []},
    "two names": {"host": [HERE, "evil.example"]},
    "a line in the name": {"host": "127.0.0.1:4200\nevil.example"},
    "a page of another site": {"origin": "https://evil.example"},
    "a page of another port": {"origin": "http://127.0.0.1:8888"},
    "a page of our other name": {"origin": "http://localhost:4200"},
    "a page from nowhere": {"origin": "null"},
    "an empty origin": {"origin": ""},
    "two origins": {"origin": [f"http://{HERE}", "https://evil.example"]},
    "a picture in another site": {"sec_fetch_site": "cross-site", "sec_fetch_dest": "image"},
    "a frame in another site": {"sec_fetch_site": "cross-site", "sec_fetch_dest": "iframe"},
    "a script at another port": {"sec_fetch_site": "same-site", "sec_fetch_dest": "script"},
}
OWN: dict[str, dict[str, str | list[str]]] = {
    "a program": {},
    "our other name": {"host": "localhost:4200"},
    "capital letters": {"host": "LocalHost:4200"},
    "another port, by a tunnel": {"host": "localhost:9999", "origin": "http://localhost:9999"},
    "our page": {"origin": f"http://{HERE}", "sec_fetch_site": "same-origin"},
    "an address that was typed": {"sec_fetch_site": "none", "sec_fetch_dest": "document"},
    "a link on another page": {"sec_fetch_site": "cross-site", "sec_fetch_dest": "document"},
}


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("case", FOREIGN)
def test_what_is_foreign_is_refused_also_with_the_login(case: str, kind: str) -> None:
    assert answer(Guard(passed, LOGIN), kind, authorization=basic(LOGIN), **FOREIGN[case]) == 403


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("case", OWN)
def test_what_is_our_own_needs_the_login_and_has_it(case: str, method: str) -> None:
    followed = OWN[case].get("sec_fetch_site") == "cross-site"
    asked: dict[str, Any] = {"method": method, **OWN[case]}
    assert answer(Guard(passed, LOGIN), **asked) == (403 if followed and method == "POST" else 401)
    assert answer(Guard(passed, LOGIN), authorization=basic(LOGIN), **asked) == (
        403 if followed and method == "POST" else 299
    )


@pytest.mark.parametrize(
    "told",
    [
        "",
        "Basic",
        "Basic ",
        basic(""),
        basic(":"),
        basic("somebody:"),
        basic(LOGIN + "x"),
        basic(LOGIN)[:-1],
        basic(LOGIN).replace("Basic", "Bearer"),
        LOGIN,
        "Basic \xff\xfe",
        ["Basic x", basic(LOGIN)],
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_what_is_not_the_login_is_refused(told: str | list[str], kind: str) -> None:
    assert answer(Guard(passed, LOGIN), kind, authorization=told) == 401


def test_a_server_that_asks_by_itself_is_still_guarded() -> None:
    assert answer(Guard(passed)) == 299
    assert answer(Guard(passed), host="evil.example") == 403


def test_more_names_are_those_that_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGREEN_HOSTS", "prefect,ml.example")
    app = Guard(passed)
    names = ("prefect:4200", "ml.example", HERE, "evil.example")
    assert [answer(app, host=name) for name in names] == [299, 299, 299, 403]
    # A proxy in front, which speaks to us by our own name
    assert answer(app, origin="https://ml.example") == 299
    assert answer(app, origin="https://ml.example:8443") == 403


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"host": "evil.example"}, ["refused with 403: GET '/x\\ny' from 10.0.0.9"]),
        ({"host": "127.0.0.1:80"}, ["refused with 401: GET '/x\\ny' from 10.0.0.9"]),
        ({"host": "127.0.0.1:80", "authorization": basic(LOGIN)}, []),
    ],
)
def test_who_is_refused_is_logged_on_one_line_and_a_flood_is_counted(
    case: dict[str, str], said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    app = Guard(passed, LOGIN)
    about = {"client": ("10.0.0.9", 5), "path": "/x\ny", "query_string": b"password=hunter2"}
    for _ in range(4):
        answer(app, about=about, **case)
    assert caplog.messages == said
    app.log.after = 0
    answer(app, about=about, **case)
    assert caplog.messages[1:] == [f"{line}, and 3 before it" for line in said]
    caplog.clear()
    app.log.after = 0
    answer(app, host="127.0.0.1:80", about={"client": ("127.0.0.1", 5), "path": "/health"})
    assert caplog.messages == []


def test_prefect_is_never_without_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_SERVER_API_AUTH_STRING, temporary_settings

    with (
        temporary_settings({PREFECT_SERVER_API_AUTH_STRING: ""}),
        pytest.raises(InputError, match="open to everybody"),
    ):
        guard.prefect()


# --- the servers


def raw(port: int, *lines: str, body: str = "") -> int:
    """Send a request as it stands here; return the status."""
    length = [f"Content-Length: {len(body)}"] if body else []
    text = "\r\n".join([*lines, *length, "Connection: close", "", body])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(text.encode("latin-1"))
        return int(connection.makefile("rb").readline().split()[1])


def attacks(port: int, read: str, write: str, body: str) -> dict[str, tuple[str, ...]]:
    """Return what strangers send: request line, headers and, last, the body."""
    host, evil = f"Host: 127.0.0.1:{port}", "Origin: https://evil.example"
    plain, asked = "Content-Type: text/plain", "Content-Type: application/json"
    preflight = (
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: content-type",
    )
    socket_ = (
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: c29tZSBrZXkgb2Ygb3Vycw==",
    )
    post, get = f"POST {write} HTTP/1.1", f"GET {read} HTTP/1.1"
    return {
        "no login": (post, host, asked, body),
        "text/plain": (post, host, plain, body),
        "a form": (post, host, evil, "Content-Type: application/x-www-form-urlencoded", body),
        "preflight": (f"OPTIONS {write} HTTP/1.1", host, evil, *preflight, ""),
        "preflight of another port": (
            f"OPTIONS {write} HTTP/1.1", host, "Origin: http://localhost:8888", *preflight, ""),
        "rebound name": (post, f"Host: evil.example:{port}", asked, body),
        "absolute address": (
            f"POST http://evil.example{write} HTTP/1.1", "Host: evil.example", asked, body),
        "old HTTP without a name": (f"POST {write} HTTP/1.0", asked, body),
        "reading": (get, host, ""),
        "head": (f"HEAD {read} HTTP/1.1", host, ""),
        "unknown method": (f"PROPFIND {read} HTTP/1.1", host, ""),
        "slashes": (f"GET /{read} HTTP/1.1", host, ""),
        "dots": (f"GET /api/health/../..{read} HTTP/1.1", host, ""),
        "percent": (f"GET {read.replace('a', '%61', 1)} HTTP/1.1", host, ""),
        "websocket": ("GET /api/events/in HTTP/1.1", host, "Connection: Upgrade", *socket_, ""),
        "websocket of a page": (
            "GET /api/events/in HTTP/1.1", host, evil, "Connection: Upgrade", *socket_,
            "Sec-WebSocket-Protocol: prefect", ""),
    }  # fmt: skip


@contextmanager
def serving(command: list[str], cwd: Path, port: int, **variables: str) -> Iterator[None]:
    with (cwd / "log").open("wb") as log:
        env = environment(ROOT, **variables)
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=cwd, env=env, stdout=log, stderr=log
        )
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, (cwd / "log").read_text()
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def refuses(port: int, asked: dict[str, tuple[str, ...]]) -> dict[str, int]:
    """Return what is not refused."""
    found = {name: raw(port, *lines[:-1], body=lines[-1]) for name, lines in asked.items()}
    return {
        name: status for name, status in found.items() if status not in (400, 401, 403, 404, 405)
    }


def listens(port: int, token: str | None) -> bool:
    """Say whether Prefect lets a program with this token listen to its events."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect
    from websockets.typing import Subprotocol

    with connect(
        f"ws://127.0.0.1:{port}/api/events/out", subprotocols=[Subprotocol("prefect")]
    ) as events:
        events.send(json.dumps({"type": "auth", "token": token}))
        try:
            return bool(json.loads(events.recv(timeout=60))["type"] == "auth_success")
        except ConnectionClosed:
            return False


@pytest.mark.slow
def test_prefect_gives_strangers_nothing(tmp_path: Path, project: Project) -> None:
    port, login = free_port(), login_of(project)
    variables = {
        "PREFECT_HOME": str(tmp_path / "home"), "PREFECT_SERVER_API_AUTH_STRING": login,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }  # fmt: skip
    command = ["uvicorn", "--factory", "evergreen.orchestration.guard:prefect", "--port", str(port)]
    read, write, body = "/api/admin/settings", "/api/flow_runs/filter", "{}"
    with serving(command, tmp_path, port, **variables):
        assert refuses(port, attacks(port, read, write, body)) == {}
        host, log_in = f"Host: 127.0.0.1:{port}", f"Authorization: {basic(login)}"
        own = (host, log_in, "Content-Type: application/json", f"Origin: http://127.0.0.1:{port}")
        assert raw(port, f"POST {write} HTTP/1.1", *own, body=body) == 200
        assert raw(port, f"POST {write} HTTP/1.1", *own[1:], "Host: evil.example", body=body) == 403
        assert raw(port, "GET /api/health HTTP/1.1", host) == 200
        assert [listens(port, token) for token in (None, "", login[:-1], login)] == [
            False,
            False,
            False,
            True,
        ]
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            # Its settings hold the login
            lines = f"GET {read} HTTP/1.1\r\n{host}\r\n{log_in}\r\nConnection: close\r\n\r\n"
            connection.sendall(lines.encode())
            said = connection.makefile("rb").read().decode()
        assert "200 OK" in said
        assert login.split(":")[1] not in said
    assert login.split(":")[1] not in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_mlflow_gives_strangers_nothing(project: Project, open_tracker: Callable[..., Any]) -> None:
    store = f"sqlite:///{open_tracker(project).project.stores / 'mlflow.db'}"
    port, login = free_port(), login_of(project)
    command = ["mlflow", "server", "--app-name", "guarded", "--port", str(port), "--workers", "1"]
    variables = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    read, write = (
        "/api/2.0/mlflow/experiments/get?experiment_id=0",
        "/api/2.0/mlflow/experiments/search",
    )
    body = json.dumps({"max_results": 9})
    others = (
        "/",
        "/health",
        "/version",
        "/static-files/index.html",
        "/signup",
        "/graphql",
        "/metrics",
        "/v1/traces",
        "/get-artifact?path=x",
        "/ajax-api/2.0/mlflow/experiments/search",
        "/ajax-api/3.0/mlflow/assistant/config",
        "/api/2.0/mlflow-artifacts/artifacts",
        "/ajax-api/3.0/mlflow/server-info",
        "/gateway/x/mlflow/invocations",
    )
    with serving([*command, "--backend-store-uri", store], project.root, port, **variables):
        asked = attacks(port, read, write, body)
        host, log_in = f"Host: 127.0.0.1:{port}", f"Authorization: {basic(login)}"
        asked |= {path: (f"GET {path} HTTP/1.1", host, "") for path in others}
        asked |= {
            f"POST {path}": (f"POST {path} HTTP/1.1", host, "Content-Type: text/plain", "{}")
            for path in others
        }
        assert refuses(port, asked) == {}
        own = (host, log_in, "Content-Type: application/json", f"Origin: http://127.0.0.1:{port}")
        assert raw(port, f"POST {write} HTTP/1.1", *own, body=body) == 200
        foreign = (host, log_in, "Content-Type: application/json", "Origin: http://localhost:8888")
        # MLflow's own rules let it through
        assert raw(port, f"POST {write} HTTP/1.1", *foreign, body=body) == 403
    assert login.split(":")[1] not in (project.root / "log").read_text()
