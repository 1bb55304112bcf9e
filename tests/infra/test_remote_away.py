"""DVC's remote is away during a run: said in one sentence, no champion is lost, the next pushes.

The servers are those of `compose.yaml`, as processes of this machine, on PostgreSQL; the remote is
an HTTP server that refuses, breaks off, or says nothing.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import yaml
from infra.stacked import MARKS, Run, Servers, made
from infra.working import versions
from services import free_port

from evergreen.project import Project
from evergreen.stores.dvc import data_versions
from evergreen.stores.dvc_bytes import PATIENCE

pytestmark = MARKS
CONFIG = "[core]\n    analytics = false\n    remote = web\n['remote \"web\"']\n    url = {url}\n"
SAID = "data are not pushed to DVC's remote: "


@contextmanager
def remote(port: int, files: dict[str, bytes], room: int = 10**6) -> Iterator[None]:
    """A server that keeps `files`; once it has as many as there is `room` for, it fails."""

    class Store(BaseHTTPRequestHandler):
        def answer(self, status: int, content: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def do_GET(self) -> None:
            known = files.get(self.path)
            self.answer(404 if known is None else 200, known or b"")

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_POST(self) -> None:
            content = b""
            while size := int(self.rfile.readline(), 16):  # chunks, as DVC sends them
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            if len(files) >= room:
                self.answer(503)
                return
            files[self.path] = content
            self.answer(200)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", port), Store) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def ends(project: Project, servers: Servers) -> list[str]:
    """What a run says of the remote; it ends well whatever that does."""
    run = Run(project, servers)
    assert run.end() == 0, run.said
    assert "away version 1 is champion" in run.said
    return [line for line in run.said.splitlines() if "DVC's remote" in line]


def objects(project: Project) -> set[str]:
    """The hash of each file, and of each list of files, that dvc.lock names."""
    found = set(data_versions(project).values())
    for digest in [*found]:
        if digest.endswith(".dir"):
            path = project.root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
            found |= {entry["md5"] for entry in json.loads(path.read_text())}
    return found


def test_a_remote_that_is_away_costs_no_champion_and_the_next_run_pushes(
    servers: Servers, tmp_path: Path
) -> None:
    project, port = made(tmp_path, "away", seeds=1), free_port()
    url = f"http://127.0.0.1:{port}/dvc"
    (project.root / ".dvc" / "config").write_text(CONFIG.format(url=url))
    content = yaml.safe_load(project.params.read_text())
    content["tracking"]["push"] = "always"
    project.params.write_text(yaml.safe_dump(content))
    (said,) = ends(project, servers)
    assert SAID in said
    assert f"file(s) did not arrive in {url}" in said
    assert versions(servers, "away") == ("1", 1)

    with socket.create_server(("127.0.0.1", port), backlog=100):  # takes what comes, says nothing
        (said,) = ends(project, servers)
    assert f"{SAID}{url} gives no answer for {PATIENCE:g} s" in said

    files: dict[str, bytes] = {}
    with remote(port, files, room=2):
        (said,) = ends(project, servers)
    assert f"{len(objects(project)) - 2} file(s) did not arrive in {url}" in said

    with remote(port, files):
        (said,) = ends(project, servers)
        assert f"{len(objects(project)) - 2} files pushed to DVC's remote" in said
        assert ends(project, servers) == []  # all is there
    kept = {path.removeprefix("/dvc/files/md5/").replace("/", "") for path in files}
    assert kept == objects(project)
    assert versions(servers, "away") == ("1", 1)
