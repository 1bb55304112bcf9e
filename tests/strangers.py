"""What strangers send to the servers of a project, and what reaches them."""

from __future__ import annotations

import base64
import json
import socket

READ_MLFLOW = "/api/2.0/mlflow/experiments/get?experiment_id=0"
WRITE_MLFLOW = "/api/2.0/mlflow/experiments/search"
OTHERS_OF_MLFLOW = (
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


def basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()


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


def assert_prefect_is_closed(port: int, login: str) -> None:
    """Strangers get nothing of the Prefect server at `port`, and who has the `login` does."""
    read, write, body = "/api/admin/settings", "/api/flow_runs/filter", "{}"
    assert refuses(port, attacks(port, read, write, body)) == {}
    host, log_in = f"Host: 127.0.0.1:{port}", f"Authorization: {basic(login)}"
    own = (host, log_in, "Content-Type: application/json", f"Origin: http://127.0.0.1:{port}")
    assert raw(port, f"POST {write} HTTP/1.1", *own, body=body) == 200
    assert raw(port, f"POST {write} HTTP/1.1", *own[1:], "Host: evil.example", body=body) == 403
    assert raw(port, "GET /api/health HTTP/1.1", host) == 200
    tokens = (None, "", login[:-1], login)
    assert [listens(port, token) for token in tokens] == [False, False, False, True]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        # Its settings hold the login
        lines = f"GET {read} HTTP/1.1\r\n{host}\r\n{log_in}\r\nConnection: close\r\n\r\n"
        connection.sendall(lines.encode())
        said = connection.makefile("rb").read().decode()
    assert "200 OK" in said
    assert login.split(":")[1] not in said


def assert_mlflow_is_closed(port: int, login: str) -> None:
    """Strangers get nothing of the MLflow server at `port`, and who has the `login` does."""
    body = json.dumps({"max_results": 9})
    asked = attacks(port, READ_MLFLOW, WRITE_MLFLOW, body)
    host, log_in = f"Host: 127.0.0.1:{port}", f"Authorization: {basic(login)}"
    asked |= {path: (f"GET {path} HTTP/1.1", host, "") for path in OTHERS_OF_MLFLOW}
    asked |= {
        f"POST {path}": (f"POST {path} HTTP/1.1", host, "Content-Type: text/plain", "{}")
        for path in OTHERS_OF_MLFLOW
    }
    assert refuses(port, asked) == {}
    post, kind = f"POST {WRITE_MLFLOW} HTTP/1.1", "Content-Type: application/json"
    own = (host, log_in, kind, f"Origin: http://127.0.0.1:{port}")
    assert raw(port, post, *own, body=body) == 200
    # MLflow's own rules let it through
    foreign = (host, log_in, kind, "Origin: http://localhost:8888")
    assert raw(port, post, *foreign, body=body) == 403
