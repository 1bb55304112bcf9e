"""Workers of a project at the servers of the stack, as `evergreen up` starts its own."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
from conftest import environment
from infra.stacked import Servers
from infra.test_attacks import API, ask
from services import Page

from evergreen.orchestration.automations import BEAT, FREQUENCY
from evergreen.orchestration.server import tag_of
from evergreen.orchestration.services import AT_ONCE
from evergreen.project import Project

PREPARE = """
import sys
from evergreen.orchestration.services import _make_pool
_make_pool(sys.argv[1])
"""
NOTICE = """
import sys
from evergreen.orchestration.automations import notice_dead_runs
notice_dead_runs(sys.argv[1])
"""


def page_of(servers: Servers) -> Page:
    return Page(servers.ours.ports["prefect"], servers.login)


def _environment(project: Project, servers: Servers) -> dict[str, str]:
    own = {"PREFECT_WORKER_QUERY_SECONDS": "2", FREQUENCY: str(BEAT)}
    own |= {"PREFECT_HOME": str(project.stores / "prefect"), "EVERGREEN_PROJECT": tag_of(project)}
    return environment(project.root) | servers.ours.variables("work") | own


def deploy(project: Project, servers: Servers) -> None:
    """Deploy what is in `prefect.yaml`, without anything that runs it."""
    env = _environment(project, servers)
    for words in (
        ["-c", PREPARE, project.package],
        ["-m", "prefect", "--no-prompt", "deploy", "--all"],
        ["-c", NOTICE, project.package],
    ):
        done = subprocess.run(
            [sys.executable, *words], cwd=project.root, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def worker(
    project: Project, servers: Servers, name: str, **more: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker, and what it has started, until the end of the block; its log is in stores/.

    `more`: variables.
    """
    kind = ("--pool", project.package, "--type", "process", "--limit", str(AT_ONCE))
    project.stores.mkdir(exist_ok=True)
    with (project.stores / f"{name}.log").open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "--name", name, *kind],
            cwd=project.root, env=_environment(project, servers) | more, stdout=sink, stderr=sink,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        left = children(process)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        kill(*left)


def children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """What a worker has started, and what that has."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def kill(*processes: psutil.Process) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes)


def versions(servers: Servers, name: str) -> tuple[str, int]:
    """Return the champion's version, and how many versions there are."""
    found = _mlflow(servers, "GET", f"model-versions/search?filter=name%3D%27{name}%27")
    return champion(servers, name).get("version", ""), len(found.get("model_versions", ()))


def champion(servers: Servers, name: str) -> dict[str, Any]:
    """The version that MLflow shows as champion; empty where there is none."""
    asked = f"registered-models/alias?name={name}&alias=champion"
    found: dict[str, Any] = _mlflow(servers, "GET", asked).get("model_version", {})
    return found


def seeds_of_champion(servers: Servers, name: str) -> dict[str, str]:
    """The files of the champion's seeds in the store of artifacts, by their content."""
    model = champion(servers, name)["source"].removeprefix("models:/")
    found = (path for path in (servers.ours.folder / "artifacts").rglob("seed-*.*"))
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
        if model in str(path)
    }


def decisions(servers: Servers, name: str) -> list[tuple[str, str]]:
    """Each decision about a model, oldest first: the version, and what."""
    found = runs(servers, f"{name} decisions", "attributes.status = 'FINISHED'")
    tags = [{tag["key"]: tag["value"] for tag in run["data"]["tags"]} for run in found]
    return [(of["evergreen.event.version"], of["evergreen.event"]) for of in tags]


def runs(servers: Servers, experiment: str, condition: str = "") -> list[Any]:
    """The runs of an experiment in MLflow that meet a condition, oldest first."""
    called = experiment.replace(" ", "%20")
    known = _mlflow(servers, "GET", f"experiments/get-by-name?experiment_name={called}")
    number = known["experiment"]["experiment_id"]
    asked = {
        "experiment_ids": [number], "filter": condition, "max_results": 1000,
        "order_by": ["attributes.start_time ASC"],
    }  # fmt: skip
    return list(_mlflow(servers, "POST", "runs/search", asked).get("runs", ()))


def assert_nothing_half_written(project: Project, servers: Servers, name: str) -> None:
    assert not [*project.root.rglob(".part-*")]
    for experiment in (name, f"{name} decisions"):
        assert runs(servers, experiment, "attributes.status = 'RUNNING'") == []


def _mlflow(servers: Servers, how: str, path: str, body: Any = None) -> Any:
    _, text = ask(servers.ours.ports["mlflow"], how, f"{API}/{path}", servers.login, body)
    return json.loads(text)
