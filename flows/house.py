"""The whole house on one machine: Prefect with its pages, MLflow with its pages, and the deployments."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from evergreen.doctor import port_is_free
from evergreen.errors import InputError
from evergreen.params import Params
from evergreen.project import Project
from evergreen.tracking import Tracker
from flows.server import LOOPBACK, PATIENCE, is_prefect


def serve(project: Project, params: Params) -> None:
    """Serve both pages and the training deployment on this machine until Ctrl-C.

    Raises InputError where a port is taken, or a server does not start.
    """
    ports = params.ports
    for name, port in ports.model_dump().items():
        if not port_is_free(port):
            raise InputError(f"port {port} is in use: stop what listens there, or change ports.{name} in params.yaml")
    if ports.prefect == ports.mlflow:
        raise InputError(f"ports.prefect and ports.mlflow are both {ports.mlflow}: give each its own in params.yaml")
    Tracker(project, params).experiment  # noqa: B018  (makes the database before a server opens it)
    python, bind = [sys.executable, "-m"], ["--host", LOOPBACK, "--port"]
    mlflow = [*python, "mlflow", "server", *bind, str(ports.mlflow), "--workers", "1"]
    mlflow += [
        "--backend-store-uri",
        f"sqlite:///{project.stores / 'mlflow.db'}",
        "--default-artifact-root",
        str(project.stores / "mlflow"),
    ]
    api = f"http://{LOOPBACK}:{ports.prefect}/api"
    with (
        _server([*python, "prefect", "server", "start", *bind, str(ports.prefect)], project, "prefect"),
        _server(mlflow, project, "mlflow"),
    ):
        _wait(lambda: is_prefect(api), project, "prefect")
        _wait(lambda: not port_is_free(ports.mlflow), project, "mlflow")
        click.echo(f"Prefect  http://{LOOPBACK}:{ports.prefect}  (runs and deployments)")
        click.echo(f"MLflow   http://{LOOPBACK}:{ports.mlflow}  (models, metrics, pictures)")
        click.echo("Ctrl-C stops both; everything is kept")
        os.environ["PREFECT_API_URL"] = api
        os.chdir(project.root)
        _deploy()


def _deploy() -> None:
    from prefect import serve as serve_deployments

    from flows.training import training

    with suppress(KeyboardInterrupt):
        serve_deployments(
            training.to_deployment("training", concurrency_limit=1), limit=1, print_starting_message=False
        )


@contextmanager
def _server(command: Sequence[str], project: Project, name: str) -> Iterator[None]:
    log = _log(project, name)
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=project.root, start_new_session=True
        )
    try:
        yield
    finally:
        for how in (signal.SIGINT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)
                break


def _wait(ready: object, project: Project, name: str) -> None:
    until = time.monotonic() + PATIENCE
    while not ready():  # type: ignore[operator]
        if time.monotonic() > until:
            raise InputError(f"the {name} server did not start: see {_log(project, name)}")
        time.sleep(0.2)


def _log(project: Project, name: str) -> Path:
    return project.stores / f"{name}-server.log"
