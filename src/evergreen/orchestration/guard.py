"""Who may call a server that this project starts: its own pages, and who has the login.

A page of any site reaches every port of its visitor's machine, and so does any program that runs
there. Requests are checked here before the server's own code, whatever their path and method (see
docs/servers.md).
"""

from __future__ import annotations

import base64
import logging
import os
import re
import time
from hmac import compare_digest

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evergreen.errors import InputError
from evergreen.orchestration.login import login_of
from evergreen.project import Project

LOOPBACK = frozenset({"127.0.0.1", "localhost"})
# Pages speak to their own server only (Prefect's would ask another for settings), and show up in no
# other site's frame.
POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
    "frame-ancestors 'self'; form-action 'self'"
)
REFUSED = (401, 403)
LONGEST = 200  # characters of a path that are logged
HOST = re.compile(r"([a-z0-9._-]+)(:[0-9]+)?")


class Guard:
    """An ASGI application that passes on only requests to its own name, from its own pages.

    `login`: `user:password` that is required as well; None where `app` asks by itself.
    EVERGREEN_HOSTS: more names, with commas between, as a container or a proxy in front has them.
    """

    def __init__(self, app: ASGIApp, login: str | None = None) -> None:
        self.app = app
        self.named = frozenset(
            filter(None, os.environ.get("EVERGREEN_HOSTS", "").lower().split(","))
        )
        self.login = None if login is None else base64.b64encode(login.encode())
        self.log = _Log()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def seal(message: Message) -> None:
            if message["type"].endswith("http.response.start") and message["status"] in REFUSED:
                self.log.note(message["status"], scope)
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("content-security-policy", POLICY)
            await send(message)

        answer: ASGIApp = self.app
        if scope["type"] != "lifespan":
            headers = Headers(scope=scope)
            if why := self._foreign(headers, scope.get("method")):
                answer = PlainTextResponse(f"refused: {why}\n", 403)
            elif not self._logged_in(headers):
                answer = PlainTextResponse(
                    "log in\n", 401, {"WWW-Authenticate": 'Basic realm="stores/login"'}
                )
        await answer(scope, receive, seal)

    def _foreign(self, headers: Headers, method: str | None) -> str | None:
        """Return what shows that a request is not for this server, or not from its own pages."""
        hosts = [host.lower() for host in headers.getlist("host")]
        if len(hosts) != 1 or _name(hosts[0]) not in LOOPBACK | self.named:
            # DNS rebinding calls it by one of the attacker's
            return "this is not the server's name"
        for origin in headers.getlist("origin"):
            sender = origin.lower().partition("://")[2]
            if sender != hosts[0] and sender not in self.named:
                return "another site asks"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            # A link that a person follows
            opened = method == "GET" and headers.get("sec-fetch-dest") == "document"
            return None if opened else "another site asks"
        return None

    def _logged_in(self, headers: Headers) -> bool:
        if self.login is None:
            return True
        scheme, _, given = ", ".join(headers.getlist("authorization")).partition(" ")
        return scheme.lower() == "basic" and compare_digest(given.strip().encode(), self.login)


class _Log:
    """Says who was refused, in the server's own log; a line a second at most, whoever floods it."""

    def __init__(self) -> None:
        self.after, self.more = 0.0, 0

    def note(self, status: int, scope: Scope) -> None:
        """Log a request that was refused; its query and headers may hold secrets, and are not."""
        (host, *_), path = scope.get("client") or ("unknown",), str(scope.get("path", ""))
        if status == 401 and path == "/health" and host in LOOPBACK:
            return  # a container asks so whether it lives
        self.more += 1
        if time.monotonic() < self.after:
            return
        others = f", and {self.more - 1} before it" if self.more > 1 else ""
        asked = f"{scope.get('method', 'websocket')} {path[:LONGEST]!r}"
        log = logging.getLogger("uvicorn.error.refused")
        log.setLevel(logging.WARNING)  # also where the server itself tells of errors only
        log.warning("refused with %d: %s from %s%s", status, asked, host, others)
        self.after, self.more = time.monotonic() + 1, 0


def prefect(*, ephemeral: bool = False) -> Guard:
    """Return Prefect's server, which asks for PREFECT_SERVER_API_AUTH_STRING by itself.

    Raises InputError where that is empty.
    """
    from prefect.settings import PREFECT_SERVER_API_AUTH_STRING

    if not PREFECT_SERVER_API_AUTH_STRING.value():
        raise InputError(
            "PREFECT_SERVER_API_AUTH_STRING is empty, and the server would be open to everybody: "
            "set it"
        )
    from prefect.server.api.server import create_app

    return Guard(create_app(ephemeral=ephemeral, final=True))


def mlflow() -> Guard:
    """Return MLflow's server, which asks for the login of the working directory's project."""
    from mlflow.server.fastapi_app import app

    return Guard(app, login_of(Project.find()))


def mlflow_accounts() -> Guard:
    """Return MLflow's server for several people, which asks for accounts of its own."""
    from mlflow.server.auth import create_app

    return Guard(create_app())


def _name(host: str) -> str | None:
    found = HOST.fullmatch(host)
    return found[1] if found else None
