"""Who may call a server: asked of the guard alone; e2e/test_up.py asks the servers."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

import pytest

from evergreen.errors import InputError
from evergreen.orchestration import guard
from evergreen.orchestration.guard import Guard

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
