"""`evergreen serve` under load while champions change: `python -m benchmarks.serving_load`.

`[PROJECT] [SECONDS]` (default: this one, 60): four clients ask for a row at a time, over
connections that stay open, and every 20 s another version is promoted or restored, in a copy of the
project. Each answer is compared with what the version that it names predicts for the row.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.serving import free_port, plain, running
from evergreen import params
from evergreen.decision import PROMOTE, Decision
from evergreen.ingest.manifest import Manifest
from evergreen.orchestration.login import login_of
from evergreen.project import Project
from evergreen.scoring.package import Model, write_package
from evergreen.scoring.score import score_rows
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker

CLIENTS, ROWS, EVERY, PATIENCE = 4, 100, 20.0, 300.0
LEFT = shutil.ignore_patterns("stores", "data", ".git", ".venv", "reports", "__pycache__")


@dataclass
class Seen:
    """What came of the requests."""

    versions: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def judge(
        self, status: int, said: dict[str, Any], wanted: dict[str, list[float]], at: int
    ) -> None:
        """Note an answer, and whether it is that of its version for the row."""
        version = said.get("version", "")
        self.versions[version] += 1
        if status != 200 or said["predictions"] != [wanted[version][at]]:
            self.failed.append(f"{status} {said}")


def main(folder: str = ".", seconds: str = "60") -> None:
    project = Project(Path(folder).resolve())
    registry = Registry(Tracker(project, params.load(project.params)))
    number = registry.champion()
    if number is None:
        raise SystemExit("there is no champion: `evergreen run` trains one")
    model = registry.versions.open(number)
    validated = Manifest(project.validated)
    rows = pl.read_parquet(validated.file(list(validated.in_order())[-1])).head(ROWS)
    with tempfile.TemporaryDirectory() as place:
        copy = Project(Path(shutil.copytree(project.root, f"{place}/project", ignore=LEFT)))
        models = {"1": model, "2": changed(model)}
        there = register(copy, models)
        wanted = {version: predicted(made, project, rows) for version, made in models.items()}
        if wanted["1"] == wanted["2"]:
            raise SystemExit("both versions predict the same: nothing could be told apart")
        asked = [plain(row) for row in rows.select(project.dataset.known_in_time).to_dicts()]
        port = free_port()
        words = [sys.executable, "-m", "evergreen.cli", "serve", "--port", str(port)]
        os.chdir(copy.root)
        with running(words, dict(os.environ)):
            tell(load(copy, there, asked, wanted, port, float(seconds)), float(seconds))


def changed(model: Model) -> Model:
    """Return a model that predicts otherwise: without its first seed, or moved by a half."""
    boosters = dict(model.boosters)
    if model.learner == "linear":
        for seed, content in boosters.items():
            weights = json.loads(content)
            weights["intercept"] = [value + 0.5 for value in weights["intercept"]]
            boosters[seed] = json.dumps(weights).encode()
    else:
        del boosters[min(boosters)]
    return Model(model.encoder, boosters, model.learnt, model.learner, model.said)


def register(project: Project, models: dict[str, Model]) -> Registry:
    """Register the models in a store of their own, and promote the first."""
    tracker = Tracker(project, params.load(project.params))
    registry = Registry(tracker)
    for version, model in models.items():
        run = tracker.create_run(tracker.experiment, version, {}).info.run_id
        with project.temporary() as place:
            folder = write_package(Path(place, "model"), model)
            registry.register(run, f"load {version}", folder, model.encoder)
    registry.promote("1", None, Decision(PROMOTE, ("a load",), {"rules": []}))
    return registry


def predicted(model: Model, project: Project, rows: pl.DataFrame) -> list[float]:
    dataset = project.dataset
    scores = score_rows(model, dataset, rows).predictions
    order = rows.select(pl.col(dataset.key).name.prefix("key_"))
    found = order.join(scores, on=order.columns, maintain_order="left", nulls_equal=True)
    return [float(value) for value in found["prediction"]]


def load(
    project: Project,
    registry: Registry,
    asked: list[bytes],
    wanted: dict[str, list[float]],
    port: int,
    seconds: float,
) -> Seen:
    """Ask from several threads, and change champions meanwhile."""
    seen, ended = Seen(), threading.Event()
    login = base64.b64encode(login_of(project).encode()).decode()
    headers = {"content-type": "application/json", "authorization": f"Basic {login}"}

    def ask(at: int, connection: http.client.HTTPConnection) -> None:
        try:
            while not ended.is_set():
                at = (at + 1) % len(asked)
                began = time.perf_counter()
                connection.request("POST", "/predict", asked[at], headers)
                answer = connection.getresponse()
                said = json.loads(answer.read())
                seen.seconds.append(time.perf_counter() - began)
                seen.judge(answer.status, said, wanted, at)
        except (OSError, http.client.HTTPException, ValueError) as error:
            seen.failed.append(repr(error))

    connections = [connect(port, headers) for _ in range(CLIENTS)]
    clients = [
        threading.Thread(target=ask, args=(at, connection))
        for at, connection in enumerate(connections)
    ]
    for client in clients:
        client.start()
    change(registry, seconds)
    ended.set()
    for client, connection in zip(clients, connections, strict=True):
        client.join()
        connection.close()
    return seen


def connect(port: int, headers: dict[str, str]) -> http.client.HTTPConnection:
    """Return a connection, once there is a champion."""
    until = time.monotonic() + PATIENCE
    while True:
        made = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            made.request("GET", "/ready", headers=headers)
            made.getresponse().read()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
        else:
            return made


def change(registry: Registry, seconds: float) -> None:
    """Promote and restore in turn."""
    began, moves = time.monotonic(), 0
    while (left := seconds - (time.monotonic() - began)) > 0:
        time.sleep(min(left, EVERY, seconds / 4))
        if moves % 2:
            registry.rollback("a load")
        else:
            registry.promote("2", "1", Decision(PROMOTE, ("a load",), {"rules": []}))
        moves += 1


def tell(seen: Seen, seconds: float) -> None:
    low, high = np.quantile(seen.seconds, [0.5, 0.99]) * 1000
    answers = len(seen.seconds)
    print(f"{answers:,} answers in {seconds:g} s, {answers / seconds:.0f} a second")
    print(f"p50 {low:.1f} ms, p99 {high:.1f} ms, most {max(seen.seconds) * 1000:.0f} ms")
    print("by version: " + ", ".join(f"{name} {n:,}" for name, n in sorted(seen.versions.items())))
    print(f"failed or wrong: {len(seen.failed)}", *seen.failed[:5], sep="\n  ")
    if seen.failed or len(seen.versions) < 2:
        raise SystemExit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
