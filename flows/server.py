"""The Prefect server behind a run: one that is running already, or one that lives as long as the run.

Prefect can start such a temporary server itself, but gives up where a busy machine takes longer than a fixed limit,
does nothing while it waits, and leaves the server behind when the run is killed. This one is waited for while it lives,
starts while the run's own libraries load, and ends when the pipe to its parent closes, however the parent died.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress

from evergreen.errors import InputError
from evergreen.params import Params
from evergreen.project import Project

LOOPBACK = "127.0.0.1"
PATIENCE = 600  # seconds for a server that is alive but does not answer yet


def set_environment(project: Project) -> None:
    """Keep Prefect's files in the project, and every library from phoning home. Call it before Prefect is imported."""
    defaults = {
        "PREFECT_HOME": str(project.stores / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_FORMATTERS_STANDARD_FLOW_RUN_FMT": "%(asctime)s | %(message)s",
        "PREFECT_LOGGING_FORMATTERS_STANDARD_TASK_RUN_FMT": "%(asctime)s | %(task_run_name)s: %(message)s",
        "PREFECT_LOGGING_FORMATTERS_STANDARD_DATEFMT": "%H:%M:%S",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DVC_NO_ANALYTICS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads double the time on a busy machine
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def connect(project: Project, params: Params, meanwhile: Callable[[], object]) -> str:
    """Return the address of a Prefect server, after calling `meanwhile` (imports, say) while a temporary one starts.

    Takes the server of PREFECT_API_URL or of `ports.prefect` where one answers; else starts one that ends when this
    process does, after Prefect has sent it the last events. Raises InputError where PREFECT_API_URL is set and nothing
    answers there.
    """
    set_environment(project)
    url = find_running(params)
    wait = None
    if not url:
        url, wait = _start_temporary(project)
    os.environ["PREFECT_API_URL"] = url
    meanwhile()
    if wait:
        wait()
    return url


def find_running(params: Params) -> str | None:
    """Return the address of a Prefect server that answers, or None."""
    told = os.environ.get("PREFECT_API_URL")
    if told:
        if not is_prefect(told):
            raise InputError(f"no Prefect server answers at PREFECT_API_URL={told}: start it, or unset the variable")
        return told
    own = f"http://{LOOPBACK}:{params.ports.prefect}/api"
    return own if is_prefect(own) else None


def is_prefect(url: str) -> bool:
    """Say whether a Prefect API answers at `url`."""
    try:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy does not know this machine
        with direct.open(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200 and answer.read().strip() == b"true")
    except (OSError, ValueError):  # refused, timed out, not HTTP
        return False


def _start_temporary(project: Project) -> tuple[str, Callable[[], None]]:
    project.stores.mkdir(parents=True, exist_ok=True)
    log = project.stores / "prefect-server.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.server"],
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
    """Serve Prefect's API on a free port of this machine, print the port, and end when standard input closes."""
    listener = socket.socket()
    listener.bind((LOOPBACK, 0))
    listener.listen(128)
    print(listener.getsockname()[1], flush=True)

    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app(ephemeral=True, final=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=5))

    def stop() -> None:
        server.should_exit = True
        time.sleep(20)  # a server that does not end by itself

    end_with_parent(stop)
    server.run(sockets=[listener])


def end_with_parent(stop: Callable[[], object]) -> None:
    """End this process, by `stop` and at last by force, when its standard input closes: when its parent has died."""

    def wait() -> None:
        sys.stdin.buffer.read()
        stop()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    main()
