"""HTTP: a login goes to the server that it is for, and to no other."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from http_server import serve

from evergreen import doctor, params
from evergreen.http import ask
from evergreen.project import Project


@pytest.mark.parametrize("status", [302, 307])
def test_a_login_is_not_taken_along_to_where_a_server_sends_on_to(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str | None] = []

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.append(self.headers["Authorization"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'"3.8.8"')

    with serve(Other) as other:

        class Sends(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                told.append(self.headers["Authorization"])
                self.send_response(status)
                self.send_header("Location", f"http://127.0.0.1:{other}/api/admin/version")
                self.end_headers()

        with serve(Sends) as port:
            url = f"http://127.0.0.1:{port}/api"
            assert ask(f"{url}/admin/version", "evergreen:x") == (200, b'"3.8.8"')
            assert told == ["Basic ZXZlcmdyZWVuOng=", None]
            monkeypatch.setenv("PREFECT_API_URL", url)
            monkeypatch.setenv("PREFECT_API_AUTH_STRING", "evergreen:x")
            doctor._guarded(doctor._prefect, Project(tmp_path), params.Params())
            assert told == ["Basic ZXZlcmdyZWVuOng=", None] * 2
