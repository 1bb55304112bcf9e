"""Serving as a user does it: a real server over a champion, which changes while it answers."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from conftest import environment, month, run_cli

from evergreen import params
from evergreen.decision import PROMOTE, Decision
from evergreen.export.onnx_file import OnnxModel
from evergreen.ingest.manifest import Manifest
from evergreen.orchestration.login import login_of
from evergreen.project import Project
from evergreen.scoring.package import Model, write_package
from evergreen.scoring.predictions import known, read
from evergreen.scoring.score import score_rows
from evergreen.serving.live import Watch
from evergreen.serving.record import Recorder
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker
from late_flights.dataset import dataset

pytestmark = pytest.mark.slow
ROWS = month("2013-08")[:40]
WANTED = Callable[[dict[str, Any]], dict[str, float]]


def plain(rows: pl.DataFrame) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        json.dumps(rows.to_dicts(), default=lambda value: value.isoformat())
    )
    return found


IN_TIME, LABELS = (
    plain(ROWS.select(names))
    for names in (dataset.known_in_time, (*dataset.key, *dataset.known_later))
)


@dataclass(frozen=True)
class Served:
    url: str
    login: str


@contextmanager
def served(project: Project, end: signal.Signals = signal.SIGTERM) -> Iterator[Served]:
    """The address of `evergreen serve`, which must end well on SIGTERM."""
    words = [sys.executable, "-m", "evergreen.cli", "serve", "--port", "0"]
    with subprocess.Popen(
        words, cwd=project.root, env=environment(project.root), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        try:
            said = process.stdout.readline()
            yield Served(said.split()[1], login_of(project))
        finally:
            process.send_signal(end)
            left = process.communicate(timeout=60)[0]
        if end == signal.SIGTERM:
            assert (process.returncode, left.splitlines()[-1]) == (0, "stopped")


def ask(
    there: Served, path: str, body: object = None, patience: float = 60
) -> tuple[int, dict[str, Any]]:
    """Ask, again where nobody listens yet."""
    content = None if body is None else json.dumps(body).encode()
    login = base64.b64encode(there.login.encode()).decode()
    headers = {"content-type": "application/json", "authorization": f"Basic {login}"}
    request = urllib.request.Request(there.url + path, content, headers)
    until = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except urllib.error.URLError:
            assert time.monotonic() < until
            time.sleep(0.1)


def assert_strangers_are_refused(there: Served) -> None:
    for path, body in (("/predict", IN_TIME), ("/feedback", {"rows": LABELS}), ("/model", None)):
        content = None if body is None else json.dumps(body).encode()
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(there.url + path, content, timeout=60)
        with refused.value as answer:  # which holds its connection
            assert answer.code == 401


def registry_of(project: Project) -> Registry:
    return Registry(Tracker(project, params.load(project.params)))


def add_version(registry: Registry, folder: Path) -> str:
    """Register another version: the champion, a linear model, with another intercept."""
    model = registry.versions.open("1")
    assert model.learner == "linear"
    changed = {}
    for seed, content in model.boosters.items():
        weights = json.loads(content)
        weights["intercept"] = [value + 0.5 for value in weights["intercept"]]
        changed[seed] = json.dumps(weights).encode()
    other = Model(model.encoder, changed, model.learnt, model.learner, model.said)
    write_package(folder, other)
    run_id = registry.versions.run_of("1")
    return registry.register(run_id, "another", folder, model.encoder).version


def predicted(registry: Registry, *numbers: str) -> dict[str, list[float]]:
    """Version -> what it predicts for each of the rows, in their order."""
    found = {}
    for number in numbers:
        scores = score_rows(registry.versions.open(number), dataset, ROWS).predictions
        keys = [f"key_{name}" for name in dataset.key]
        order = ROWS.select(pl.col(dataset.key).name.prefix("key_"))
        found[number] = order.join(scores, on=keys, maintain_order="left")["prediction"].to_list()
    return found


def test_a_champion_is_exported_and_served_and_followed(
    champion_project: Project, tmp_path: Path
) -> None:
    project, registry = champion_project, registry_of(champion_project)
    other = add_version(registry, tmp_path / "other")
    wanted = predicted(registry, "1", other)
    assert wanted["1"] != wanted[other]
    with served(project) as there:
        assert ask(there, "/ready") == (200, {"version": "1"})
        assert_strangers_are_refused(there)
        assert ask(there, "/predict", IN_TIME)[1]["predictions"] == wanted["1"]
        registry.promote(other, "1", Decision(PROMOTE, ("a test",), {"rules": []}))
        until = time.monotonic() + 30
        while ask(there, "/ready")[1] != {"version": other}:
            assert time.monotonic() < until
            time.sleep(0.2)
        assert ask(there, "/predict", IN_TIME[0])[1]["predictions"] == wanted[other][:1]
        assert ask(there, "/feedback", {"rows": LABELS}) == (202, {"taken": 40})
        assert ask(there, "/predict", IN_TIME[0] | {"origin": "XXX"})[0] == 422
        status, about = ask(there, "/model")
        assert (status, about["version"], about["trouble"]) == (200, other, "")
        recorded = registry.tracker.client.get_run(registry.versions.run_of(other)).data.metrics
        assert about["metrics"] == recorded
        assert {"roc_auc", "roc_auc.low", "roc_auc.high"} <= {*recorded}
    kept = {version: read(project, batch, version) for batch, version in known(project)}
    assert {version: rows.height for version, rows in kept.items()} == {"1": 40, other: 1}
    (path,) = (project.root / "feedback").glob("*.parquet")
    labelled = pl.read_parquet(path).sort(dataset.key)
    assert labelled.equals(ROWS.select(*dataset.columns).sort(dataset.key))

    done = run_cli(project, "export", "--version", "1", "--out", str(tmp_path / "model.onnx"))
    assert done.returncode == 0, done.stderr
    model = registry.versions.open("1")
    features = Manifest(project.features)
    real = pl.read_parquet(features.file(list(features.in_order())[-1]))
    found = OnnxModel((tmp_path / "model.onnx").read_bytes()).predict_rows(real)
    np.testing.assert_allclose(found, model.predict_rows(real), rtol=0, atol=1e-6)


@pytest.mark.long  # as kills of serving/test_record.py, which are in this process
def test_what_was_answered_survives_a_kill(champion_project: Project) -> None:
    project = champion_project
    with served(project, signal.SIGKILL) as there:
        assert ask(there, "/predict", IN_TIME)[0] == 200
        assert ask(there, "/feedback", {"rows": LABELS}) == (202, {"taken": 40})
    assert not list(project.root.glob("feedback/*"))
    watch = Watch(registry_of(project), dataset)
    recorder = Recorder(project, dataset, "binary", params.Serve(), watch.load)
    recorder.start()  # what the next server does first
    recorder.stop()
    (path,) = (project.root / "feedback").glob("*.parquet")
    labelled = pl.read_parquet(path).sort(dataset.key)
    assert labelled.equals(ROWS.select(*dataset.columns).sort(dataset.key))
    ((batch, version),) = known(project)
    assert read(project, batch, version).height == 40


@pytest.mark.long
def test_what_is_edited_is_taken_up_and_no_request_is_refused(champion_project: Project) -> None:
    project, ended = champion_project, threading.Event()
    definition = project.root / "src" / "late_flights" / "dataset.py"
    known, found = definition.read_text(), list[int]()

    def load(there: Served) -> None:
        while not ended.is_set():
            found.append(ask(there, "/predict", IN_TIME[0], patience=0)[0])

    def until(holds: Callable[[], bool]) -> None:
        late = time.monotonic() + 120
        while not holds():
            assert time.monotonic() < late
            time.sleep(0.5)

    with served(project) as there:
        asking = threading.Thread(target=load, args=(there,))
        asking.start()
        definition.write_text(f"{known}\nNOTE = (\n")
        until(lambda: "never closed" in ask(there, "/model")[1]["trouble"])
        definition.write_text(known)
        until(lambda: ask(there, "/model")[1]["trouble"] == "")
        content = yaml.safe_load(project.params.read_text())
        content["serve"]["max_rows"] = 2
        project.params.write_text(yaml.safe_dump(content))
        until(lambda: ask(there, "/predict", IN_TIME[:3])[0] == 413)
        ended.set()
        asking.join()
    assert {*found} == {200}, found


@pytest.mark.long
@pytest.mark.parametrize("seconds", [300])
def test_under_load_each_answer_is_of_the_version_that_it_names(
    seconds: int, champion_project: Project, tmp_path: Path
) -> None:
    registry = registry_of(champion_project)
    other = add_version(registry, tmp_path / "other")
    wanted, ended, answers = predicted(registry, "1", other), threading.Event(), []

    def load(there: Served, at: int) -> None:
        while not ended.is_set():
            at = (at + 1) % 40
            status, said = ask(there, "/predict", IN_TIME[at])
            version = said.get("version", "")
            right = status == 200 and said["predictions"] == [wanted[version][at]]
            answers.append((version, right))

    with served(champion_project) as there:
        threads = [threading.Thread(target=load, args=(there, at)) for at in range(4)]
        for thread in threads:
            thread.start()
        began, moves = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            time.sleep(min(20, seconds / 3))
            if moves % 2:
                registry.rollback("a test")
            elif moves:
                registry.rollback("a test", other)
            else:
                registry.promote(other, "1", Decision(PROMOTE, ("a test",), {"rules": []}))
            moves += 1
        ended.set()
        for thread in threads:
            thread.join()
    assert all(right for _, right in answers)
    assert {version for version, _ in answers} == {"1", other}
    print(f"{len(answers):,} answers over {moves} changes")
