"""The Prefect server behind a run: one that is running already, or one for the run alone.

Prefect can start such a temporary server itself, but gives up where a busy machine takes longer
than a fixed limit, does nothing while it waits, and leaves the server behind when the run is
killed. This one is waited for while it lives, starts while the run's own libraries load, and ends
when the pipe to its parent closes, however the parent died.
"""

from __future__ import annotations

import atexit
import gc
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from evergreen.errors import InputError
from evergreen.http import ask
from evergreen.orchestration.login import read_given, use_login
from evergreen.params import Params
from evergreen.project import Project
from evergreen.stores import databases

LOOPBACK = "127.0.0.1"
UP_LOCK = "up.lock"  # below stores/, held by `evergreen up`
PATIENCE = 600  # seconds for a server that is alive but does not answer yet


def set_environment(project: Project) -> None:
    """Keep Prefect's files in the project, and every library from phoning home; read secrets.

    Call it before Prefect is imported.
    """
    read_given()
    defaults = {
        "PREFECT_HOME": str(project.stores / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_FORMATTERS_STANDARD_FLOW_RUN_FMT": "%(asctime)s | %(message)s",
        "PREFECT_LOGGING_FORMATTERS_STANDARD_TASK_RUN_FMT": (
            "%(asctime)s | %(task_run_name)s: %(message)s"
        ),
        "PREFECT_LOGGING_FORMATTERS_STANDARD_DATEFMT": "%H:%M:%S",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Seven processes for what this project does not use
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "DVC_NO_ANALYTICS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads double the time on a busy machine
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def connect(project: Project, params: Params, meanwhile: Callable[[], object]) -> str:
    """Return the address of a Prefect server; `meanwhile` is called while a temporary one starts.

    Takes the server of PREFECT_API_URL, or that of this project's `evergreen up`; else starts one
    that ends when this process does, after Prefect has sent it the last events. Raises InputError
    where PREFECT_API_URL is set and nothing answers there, or what answers refuses the login.
    """
    set_environment(project)
    # Else Prefect warns that it cannot make its own folder there
    project.stores.mkdir(parents=True, exist_ok=True)
    if not os.environ.get("PREFECT_API_URL"):
        use_login(project)
    url = find_running(project, params)
    wait = None
    if not url:
        url, wait = _start_temporary(project)
    os.environ["PREFECT_API_URL"] = url
    meanwhile()
    if wait:
        wait()
    return url


def find_running(project: Project, params: Params) -> str | None:
    """Return the address of a Prefect server that answers, or None."""
    named = os.environ.get("PREFECT_API_URL")
    if named:
        if not is_prefect(named):
            raise InputError(
                f"no Prefect server answers at PREFECT_API_URL={named}: start it, "
                "or unset the variable"
            )
        if _asks_for_login(named):
            raise InputError(
                f"the Prefect server at PREFECT_API_URL={named} asks for a login: set "
                "PREFECT_API_AUTH_STRING (that of this project's `evergreen up` is in stores/login)"
            )
        return named
    own = f"http://{LOOPBACK}:{params.ports.prefect}/api"
    if not (is_up(project) and is_prefect(own)):
        return None
    if _asks_for_login(own):
        kept = project.stores / "login"
        raise InputError(f"{own} refuses the login in {kept}: start `evergreen up` again")
    return own


def close_killed_runs(tag: str, besides: str | None = None) -> int:
    """Mark runs with this tag that have no process any more as crashed; return how many.

    Call it with the project's lock held: then no other run is alive. A run that stays "Running"
    would occupy the deployment's only slot.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.states import Crashed

    alive = {"state": {"type": {"any_": ["RUNNING", "CANCELLING"]}}, "tags": {"all_": [tag]}}
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(**alive), sort="START_TIME_DESC", limit=200
        )
        dead = [run for run in runs if str(run.id) != besides]
        for run in dead:
            tags = [name.replace("waiting ", "ended ", 1) for name in run.tags]
            client.update_flow_run(run.id, tags=tags)
            client.set_flow_run_state(
                run.id, Crashed(message="its process was killed; the next run continues")
            )
    return len(dead)


def has_waiting_run(project: Project, flow: str) -> bool:
    """Return whether a run of `flow` waits for the project, or for a person."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter

    tag = waiting_tag_of(project)
    waits = {"state": {"type": {"any_": ["RUNNING", "PAUSED"]}}, "tags": {"all_": [tag]}}
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
            flow_run_filter=FlowRunFilter(**waits),
            limit=1,
        )
    return bool(found)


def tag_of(project: Project) -> str:
    """Return the tag of this project's runs, in a Prefect server that others may use too."""
    return f"{socket.gethostname()}:{project.root}"


def waiting_tag_of(project: Project) -> str:
    """Return the tag of a live run that waits for the project or for a person, without the lock."""
    return f"waiting {tag_of(project)}"


def ended_tag_of(project: Project) -> str:
    """Return the tag of a run that has released the project, and waits for nothing."""
    return f"ended {tag_of(project)}"


def scoring_tag_of(project: Project) -> str:
    """Return the tag of a scoring, which needs no lock."""
    return f"scoring {tag_of(project)}"


def is_up(project: Project) -> bool:
    """Return whether `evergreen up` of this project runs; the port may be another project's."""
    lock = FileLock(project.stores / UP_LOCK, timeout=0)
    try:
        with lock:
            return False
    except Timeout:
        return True


def is_prefect(url: str) -> bool:
    """Return whether a Prefect API answers at `url`."""
    return ask(f"{url.rstrip('/')}/health") == (200, b"true")


def _asks_for_login(url: str) -> bool:
    """Return whether the API at `url` refuses the login that Prefect's client would send."""
    if os.environ.get("PREFECT_API_KEY"):
        return False  # that of a service, which says so itself
    login = os.environ.get("PREFECT_API_AUTH_STRING", "")
    return ask(f"{url.rstrip('/')}/admin/version", login)[0] == 401


def check_database(project: Project) -> None:
    """Raise InputError where Prefect's database is damaged or held: its server would not start.

    One whose creation was interrupted is completed by Prefect itself.
    """
    database = Path(os.environ.get("PREFECT_HOME", project.stores / "prefect"), "prefect.db")
    if database.is_file() and not database.stat().st_size:
        print(
            f"{database} is empty: Prefect starts a new record of runs; models and decisions are "
            "in MLflow's",
            file=sys.stderr,
        )
    elif database.is_file():
        remedy = (
            "it holds the record of past runs, no model and no decision: "
            f"`mv {database} {database}.old`, then run again"
        )
        databases.check(database.resolve(), remedy)


def _start_temporary(project: Project) -> tuple[str, Callable[[], None]]:
    project.stores.mkdir(parents=True, exist_ok=True)
    check_database(project)
    log = project.stores / "prefect-server.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "evergreen.orchestration.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            cwd=project.root,
            start_new_session=True,  # Ctrl-C reaches the run first; the server ends after it
        )
    # Exit handlers run last in, first out, and after Prefect's own threads have been emptied.
    atexit.register(_stop, process)
    assert process.stdout
    port = process.stdout.readline().decode().strip()
    url = f"http://{LOOPBACK}:{port}/api"

    def wait() -> None:
        until = time.monotonic() + PATIENCE
        while not is_prefect(url):
            if process.poll() is not None or time.monotonic() > until:
                raise InputError(f"the temporary Prefect server did not start: see {log}")
            time.sleep(0.05)

    return url, wait


def _stop(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        process.stdin.close()  # type: ignore[union-attr]
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=30)
    process.kill()
    process.wait()
    process.stdout.close()  # type: ignore[union-attr]


def main() -> None:
    """Serve Prefect's API on a free port, which is printed, until standard input closes."""
    listener = socket.socket()
    listener.bind((LOOPBACK, 0))
    listener.listen(128)
    print(listener.getsockname()[1], flush=True)
    gc.disable()  # to look for garbage while Prefect loads is a fifth of its start

    import uvicorn

    from evergreen.orchestration import guard

    app = guard.prefect(ephemeral=True)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=5)
    )

    def stop() -> None:
        server.should_exit = True
        time.sleep(20)  # a server that does not end by itself

    end_with_parent(stop)
    gc.freeze()
    gc.set_threshold(50_000)  # at Python's 700, an eighth of its work is to look for garbage
    gc.enable()
    server.run(sockets=[listener])
    gc.freeze()  # as the command line does at its end


def end_with_parent(stop: Callable[[], object]) -> None:
    """End this process, by `stop` and at last by force, when its parent has died.

    Then its standard input closes.
    """

    def wait() -> None:
        while os.read(0, 4096):
            # Not sys.stdin: a thread inside its buffer breaks the interpreter's own end
            pass
        try:
            stop()
        finally:
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    main()
