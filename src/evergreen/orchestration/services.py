"""All services of a project on one machine: pages, deployments, a worker, the watch, serving."""

from __future__ import annotations

import gc
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event

import click
from filelock import FileLock, Timeout

from evergreen import clock
from evergreen.doctor import port_is_free
from evergreen.errors import InputError
from evergreen.orchestration.automations import give_signs_of_life, notice_dead_runs
from evergreen.orchestration.chat import address, tell_of_runs
from evergreen.orchestration.login import login_of, use_login
from evergreen.orchestration.server import (
    LOOPBACK,
    PATIENCE,
    UP_LOCK,
    check_database,
    close_killed_runs,
    end_with_parent,
    ended_tag_of,
    find_running,
    is_prefect,
    scoring_tag_of,
    tag_of,
    waiting_tag_of,
)
from evergreen.params import Params
from evergreen.project import Project
from evergreen.stores.tracking import Tracker

AHEAD = 10  # seconds before a run is due at which a worker takes it
AT_ONCE = 4  # runs; prefect.yaml limits each deployment by itself
REST = 10.0  # seconds until what has crashed is started again
LOGS = ("prefect", "mlflow", "deploy", "worker", "watch", "serve")
# What may stop by itself, and is started again: both run what a project brings along
AGAIN = {
    "watch": ("evergreen.orchestration.watch",),
    "serve": ("evergreen.cli", "serve", "--wait"),
}
SERVED = "EVERGREEN_SERVE_URL"  # names a server of the champion that is started elsewhere


def run_services(project: Project, params: Params) -> None:
    """Serve pages, champion and deployments of `prefect.yaml` here until Ctrl-C or SIGTERM.

    Servers that PREFECT_API_URL, MLFLOW_TRACKING_URI and EVERGREEN_SERVE_URL name are used, not
    started. Raises InputError where a port is taken, a named Prefect server does not answer, or a
    server does not start or stops by itself.
    """
    project.stores.mkdir(parents=True, exist_ok=True)
    lock = FileLock(project.stores / UP_LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            "`evergreen up` is running already: use that one, or stop it first"
        ) from None
    address()  # refused before anything starts
    servers = _servers_to_start(project, params)
    ports = {f"ports.{name}": getattr(params.ports, name) for name in servers}
    serves = params.serve.up != "off" and not os.environ.get(SERVED)
    _check_ports(ports | ({"serve.port": params.serve.port} if serves else {}))
    if "prefect" in servers:
        use_login(project)
        # The page's own origin, whatever a browser calls it
        os.environ.setdefault("PREFECT_UI_API_URL", "/api")
    else:
        find_running(project, params)
    pages = Tracker(project, params).link()  # makes the database before a server opens it
    if "prefect" in servers:
        check_database(project)
    url = os.environ.setdefault("PREFECT_API_URL", f"http://{LOOPBACK}:{params.ports.prefect}/api")
    os.environ["EVERGREEN_PROJECT"] = tag_of(project)
    for name in LOGS:
        _log(project, name).unlink(missing_ok=True)
    ready = {
        "prefect": lambda: is_prefect(url),
        "mlflow": lambda: not port_is_free(params.ports.mlflow),
    }
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:

        def start(name: str, *command: str) -> subprocess.Popen[bytes]:
            return stack.enter_context(_server(project, name, *command))

        running = {name: start(name, *command) for name, command in servers.items()}
        for name, process in running.items():
            _wait(project, name, process, ready[name], stop)
        elsewhere = "prefect" not in servers
        _prepare(project, url, elsewhere=elsewhere)
        deploying = start("deploy", "prefect", "--no-prompt", "deploy", "--all")
        kind = ("--pool", project.package, "--type", "process", "--limit", str(AT_ONCE))
        running["worker"] = start("worker", "prefect", "worker", "start", *kind)
        _finish_deploying(project, deploying, stop, elsewhere=elsewhere)
        for name in ("watch", "serve") if serves else ("watch",):
            running[name] = start(name, *AGAIN[name])
        _show(project, params, pages, ours=bool(servers) or serves)
        while not stop.wait(1):
            _check_running(project, running, lambda name: start(name, *AGAIN[name]), stop)
        click.echo("stopping: first the runs, then the servers")
    click.echo("stopped")


def _show(project: Project, params: Params, pages: str, *, ours: bool) -> None:
    """Say where everything is; `ours`: something asks for this project's login."""
    prefect = os.environ.get("PREFECT_UI_URL") or os.environ["PREFECT_API_URL"].removesuffix("/api")
    served = os.environ.get(SERVED)
    if params.serve.up != "off" and not served:
        served = f"http://{LOOPBACK}:{params.serve.port}"
    click.echo(f"Prefect  {prefect}  (runs and deployments)")
    click.echo(f"MLflow   {pages}  (models, metrics, pictures)")
    if served:
        click.echo(f"predict  {served}  (POST /predict; /ready: whether there is a champion)")
    if ours:
        click.echo(f"login    {login_of(project)}  (user:password; Prefect wants it as one line)")
    click.echo("Ctrl-C stops everything; everything is kept")


def _check_running(
    project: Project,
    running: dict[str, subprocess.Popen[bytes]],
    again: Callable[[str], subprocess.Popen[bytes]],
    stop: Event,
) -> None:
    """Raise InputError where a service has stopped by itself; but restart those that may."""
    for name, process in [*running.items()]:
        if process.poll() is None:
            continue
        log = _log(project, name)
        if name not in AGAIN:
            raise InputError(f"{name} stopped by itself: see {log}")
        if not stop.wait(REST):
            click.echo(f"{name} stopped by itself, and is started again: see {log}", err=True)
            running[name] = again(name)


def _servers_to_start(project: Project, params: Params) -> dict[str, tuple[str, ...]]:
    """Return name -> command of each server that the environment does not name."""
    bind = ("--host", LOOPBACK, "--port")
    stores = ("--backend-store-uri", Tracker(project, params).uri)
    files = ("--default-artifact-root", str(project.stores / "mlflow"), "--workers", "1")
    quiet = ("--log-level", "warning")
    commands = {
        "prefect": (
            "uvicorn",
            "--factory",
            "evergreen.orchestration.guard:prefect",
            *bind,
            str(params.ports.prefect),
            *quiet,
        ),
        "mlflow": (
            "mlflow",
            "server",
            "--app-name",
            "guarded",
            *bind,
            str(params.ports.mlflow),
            *stores,
            *files,
        ),
    }
    named = {"prefect": "PREFECT_API_URL", "mlflow": "MLFLOW_TRACKING_URI"}
    return {name: command for name, command in commands.items() if not os.environ.get(named[name])}


def _check_ports(ports: Mapping[str, int]) -> None:
    taken: dict[int, str] = {}
    for name, port in ports.items():
        if (other := taken.setdefault(port, name)) != name:
            raise InputError(
                f"{other} and {name} are both {port}: give each its own in params.yaml"
            )
    for name, port in ports.items():
        if not port_is_free(port):
            off = ", or set serve.up: off" if name == "serve.port" else ""
            raise InputError(
                f"port {port} is in use: stop what listens there, or change {name} in params.yaml"
                f"{off}"
            )


def _prepare(project: Project, url: str, *, elsewhere: bool) -> None:
    """Get Prefect's server at `url` ready for a worker; `elsewhere`: it goes on without this."""
    _close_killed_runs(project)
    _make_pool(project.package)
    _follow_clock(url)
    if elsewhere:
        give_signs_of_life()
    tell_of_runs(project.package)


def _close_killed_runs(project: Project) -> None:
    for place in (project, project.workspace):
        if not place.stores.exists():
            continue
        with suppress(InputError), place.lock():  # else a run is under way
            for tag in (tag_of, waiting_tag_of, ended_tag_of, scoring_tag_of):
                close_killed_runs(tag(place))


@contextmanager
def _server(project: Project, name: str, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    with _log(project, name).open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "evergreen.orchestration.services", *command],
            stdin=subprocess.PIPE,
            stdout=sink,
            stderr=sink,
            cwd=project.root,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        for how in (signal.SIGINT, signal.SIGTERM):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)
                break
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # those of its children that outlast it
        process.wait()
        assert process.stdin
        process.stdin.close()


def _wait(
    project: Project,
    name: str,
    process: subprocess.Popen[bytes],
    ready: Callable[[], bool],
    stop: Event,
) -> None:
    until = time.monotonic() + PATIENCE
    while not ready() and not stop.is_set():
        if process.poll() is not None or time.monotonic() > until:
            raise InputError(f"the {name} server did not start: see {_log(project, name)}")
        time.sleep(0.2)


def _follow_clock(url: str) -> None:
    """Let the worker take runs when they are due by the clock of Prefect's server at `url`.

    It asks for what is due by its own.
    """
    seconds = clock.behind(f"{url}/health")
    if said := clock.warning(seconds, "Prefect"):
        click.echo(f"{said}; runs start by that of the server", err=True)
        os.environ.setdefault("PREFECT_WORKER_PREFETCH_SECONDS", str(round(AHEAD + seconds)))


def _make_pool(name: str) -> None:
    """Create the work pool of `prefect.yaml`, called as the project's package, if it is missing."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    template = ProcessWorker.get_default_base_job_template()
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.create_work_pool(
            WorkPoolCreate(name=name, type="process", base_job_template=template)
        )


def _finish_deploying(
    project: Project, process: subprocess.Popen[bytes], stop: Event, *, elsewhere: bool
) -> None:
    """Wait until `prefect.yaml` is deployed. Raises InputError where it cannot be."""
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until and not stop.wait(0.2):
        pass
    if process.poll() and not stop.is_set():
        raise InputError(
            f"prefect.yaml cannot be deployed: see {_log(project, 'deploy')}; "
            "`git checkout prefect.yaml` restores what was committed"
        )
    # Else who runs a run sees its end; and a laptop that sleeps gives no sign of life
    if elsewhere and not stop.is_set():
        notice_dead_runs(project.package)


def _log(project: Project, name: str) -> Path:
    return project.stores / f"{name}.log"


def main() -> None:
    """Run a module as a server that exits with its parent process.

    `python -m evergreen.orchestration.services MODULE [ARGUMENT...]`
    """
    gc.set_threshold(50_000)  # as the command line does
    end_with_parent(_stop_children)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _stop_children() -> None:
    import psutil

    children = psutil.Process().children(recursive=True)
    for how in ("terminate", "kill"):
        for child in children:
            with suppress(psutil.NoSuchProcess):
                getattr(child, how)()
        _, children = psutil.wait_procs(children, timeout=10)


if __name__ == "__main__":
    main()
