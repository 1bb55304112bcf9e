"""`evergreen serve` beside `mlflow models serve`: `python -m benchmarks.serving [PROJECT]`.

One row a request, one client, in alternation, on the champion of a project (default: this one):
p50 and p99, requests a second, and CPU milliseconds of the server a request.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import psutil

from evergreen import params
from evergreen.features.featurize import featurize_unlabelled
from evergreen.ingest.manifest import Manifest
from evergreen.orchestration.login import login_of
from evergreen.project import Project
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker

ROUNDS, REQUESTS, WARM = 3, 300, 30
PATIENCE = 120  # seconds for a server to answer


@dataclass
class Server:
    """A server, what it is sent in turn, and what was measured."""

    name: str
    path: str
    bodies: list[bytes]
    port: int
    process: psutil.Process
    login: str
    seconds: list[float] = field(default_factory=list)
    cpu: float = 0.0


def main(folder: str = ".") -> None:
    os.chdir(folder)
    project = Project.find()
    chosen = params.load(project.params)
    tracker = Tracker(project, chosen)
    number = Registry(tracker).champion()
    validated = Manifest(project.validated)
    rows = pl.read_parquet(validated.file(list(validated.in_order())[-1])).head(200)
    features, _ = featurize_unlabelled(project.dataset, rows)
    mine = rows.select(project.dataset.known_in_time).to_dicts()
    theirs = features.select(*project.dataset.features).to_dicts()
    env = os.environ | {
        "MLFLOW_TRACKING_URI": tracker.uri,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    model = f"models:/{chosen.tracking.model}/{number}"
    with ExitStack() as stack:

        def start(name: str, path: str, bodies: list[bytes], *command: str) -> Server:
            port = free_port()
            words = [sys.executable, "-m", *command, "--port", str(port)]
            process = stack.enter_context(running(words, env))
            return Server(name, path, bodies, port, psutil.Process(process.pid), login_of(project))

        serving = [
            start("evergreen serve", "/predict", [plain(row) for row in mine],
                  "evergreen.cli", "serve"),
            start("mlflow models serve", "/invocations",
                  [plain({"dataframe_records": [row]}) for row in theirs],
                  "mlflow", "models", "serve", "-m", model, "--env-manager", "local"),
        ]  # fmt: skip
        for server in serving:
            wait(server)
            ask(server, WARM, lambda seconds: None)
        for _ in range(ROUNDS):
            for server in serving:
                before = cpu_of(server.process)
                ask(server, REQUESTS, server.seconds.append)
                server.cpu += cpu_of(server.process) - before
    tell(serving)


def plain(row: dict[str, object]) -> bytes:
    return json.dumps(row, default=lambda value: value.isoformat()).encode()  # type: ignore[attr-defined]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def running(words: list[str], env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL) as process:
        children: list[psutil.Process] = []
        try:
            yield process
            children = psutil.Process(process.pid).children(recursive=True)
        finally:
            for member in (psutil.Process(process.pid), *children):
                member.terminate()


def wait(server: Server) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            ask(server, 1, lambda seconds: None)
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def ask(server: Server, requests: int, note: Callable[[float], object]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    login = base64.b64encode(server.login.encode()).decode()
    headers = {"content-type": "application/json", "authorization": f"Basic {login}"}
    for at in range(requests):
        body = server.bodies[at % len(server.bodies)]
        began = time.perf_counter()
        connection.request("POST", server.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        note(time.perf_counter() - began)
        if answer.status != 200:
            raise RuntimeError(f"{server.name}: {answer.status} {content[:300]!r}")
    connection.close()


def cpu_of(process: psutil.Process) -> float:
    """Return the CPU seconds of a process and its children."""
    family = (process, *process.children(recursive=True))
    return sum(sum(member.cpu_times()[:2]) for member in family)


def tell(serving: list[Server]) -> None:
    print("| server | p50 ms | p99 ms | requests/s | CPU ms a request |\n|---|---|---|---|---|")
    for server in serving:
        took = np.array(server.seconds)
        low, high = np.quantile(took, [0.5, 0.99]) * 1000
        cpu = server.cpu / len(took) * 1000
        print(f"| {server.name} | {low:.1f} | {high:.1f} | {1 / took.mean():.0f} | {cpu:.2f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
