"""Clock: what is told of one that is off, and nothing where that cannot be known."""

from __future__ import annotations

import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler

import pytest
from http_server import serve

from evergreen import clock


@pytest.mark.parametrize("status", [200, 401, 404])
@pytest.mark.parametrize("seconds", [0, 3600, -3600])
def test_how_far_it_is_from_a_servers(seconds: int, status: int) -> None:
    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            self.send_header("Date", formatdate(time.time() + seconds, usegmt=True))
            self.end_headers()

    with serve(Server) as port:
        assert clock.behind(f"http://127.0.0.1:{port}/api") == pytest.approx(seconds, abs=10)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 99 Nov 2026 00:00:00 GMT"])
def test_a_server_without_a_date_tells_nothing(date: str | None) -> None:
    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            if date is not None:
                self.send_header("Date", date)
            self.end_headers()

    with serve(Server) as port:
        assert clock.behind(f"http://127.0.0.1:{port}") == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nothing://here", "http://user:pw@x"])
def test_no_server_tells_nothing(url: str) -> None:
    assert clock.behind(url) == 0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, ""),
        (59, ""),
        (-59, ""),
        (3600, "the clock of this machine is 60 min behind that of the Prefect server: set it"),
        (-90, "the clock of this machine is 2 min ahead of that of the Prefect server: set it"),
    ],
)
def test_what_is_told_of_it(seconds: float, said: str) -> None:
    told = clock.warning(seconds, "Prefect")
    assert told.startswith(said)
    assert bool(told) == bool(said)
