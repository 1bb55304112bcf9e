"""One Prefect server for all tests that only need one: to start it takes longer than most jobs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import ROOT, environment, once
from forking import LOGIN
from services import PATIENCE

from evergreen.orchestration.server import LOOPBACK, is_prefect


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that is there already, for all workers: the first starts it.

    Its standard input is a named pipe; it ends once the last worker has closed that, or has died.
    """
    started: list[subprocess.Popen[bytes]] = []
    with ExitStack() as stack:
        while True:
            folder = once(tmp_path_factory, "prefect", lambda at: started.append(serve(at, stack)))
            try:
                writer = os.open(folder / "stdin", os.O_WRONLY | os.O_NONBLOCK)
                break
            except OSError:  # nobody reads: it has ended with the workers that used it
                folder.with_suffix(".made").unlink(missing_ok=True)
        yield (folder / "url").read_text()
        os.close(writer)
        stack.close()
        for process in started:
            process.wait()  # for the other workers


def serve(folder: Path, stack: ExitStack) -> subprocess.Popen[bytes]:
    """Start a server in `folder` that lives until the `stack` is closed, and longer for others."""
    os.mkfifo(folder / "stdin")
    reader = os.open(folder / "stdin", os.O_RDONLY | os.O_NONBLOCK)
    stack.enter_context((folder / "stdin").open("wb"))
    os.set_blocking(reader, True)
    quiet = {
        "PREFECT_HOME": str(folder), "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1", "PREFECT_SERVER_API_AUTH_STRING": LOGIN,
    }  # fmt: skip
    port, log = folder / "port", folder / "server.log"
    with port.open("wb") as said, log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "evergreen.orchestration.server"],
            cwd=ROOT, env=environment(ROOT) | quiet, stdin=reader, stdout=said, stderr=errors,
        )  # fmt: skip
    os.close(reader)
    until = time.monotonic() + PATIENCE
    while not (found := port.read_text()) or not is_prefect(address(found)):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until
        time.sleep(0.1)
    (folder / "url").write_text(address(found))
    return process


def address(port: str) -> str:
    return f"http://{LOOPBACK}:{port.splitlines()[0]}/api"
