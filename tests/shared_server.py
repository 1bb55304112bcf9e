"""What all workers share, since to start it takes longer than most jobs.

A Prefect server, and the process that forks commands (`forking.py`).
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, environment, once
from forking import LOGIN, Forks
from services import PATIENCE

from evergreen.orchestration.server import LOOPBACK, is_prefect
from evergreen.project import Project


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a server that is there already."""
    with shared(tmp_path_factory, "prefect", serve_prefect) as folder:
        yield folder


@pytest.fixture(scope="session")
def prefect_server(prefect_home: Path) -> str:
    """The address of that server."""
    return (prefect_home / "url").read_text()


@pytest.fixture(scope="session")
def forks(
    prefect_server: str, empty_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Forks]:
    """A process that has loaded the libraries, for that server."""
    env = environment(ROOT, PREFECT_API_URL=prefect_server, PREFECT_API_AUTH_STRING=LOGIN)

    def begin(folder: Path, stack: ExitStack) -> subprocess.Popen[bytes]:
        address, empty = folder / "socket", empty_store.parents[1]
        command = [str(ROOT / "tests" / "forking.py"), str(address), str(empty)]
        process = start(folder, stack, command, env)
        wait(process, folder, address.exists)
        return process

    with shared(tmp_path_factory, "forks", begin) as folder:
        yield Forks(folder / "socket")


@pytest.fixture(scope="session")
def with_prefect_database(prefect_home: Path) -> Callable[[Project], Project]:
    """Put an empty database of Prefect into a project; Prefect's migrations take ten seconds."""

    def put(project: Project) -> Project:
        own = project.stores / "prefect" / "prefect.db"
        own.parent.mkdir(parents=True)
        shutil.copy2(prefect_home / "empty.db", own)
        return project

    return put


Start = Callable[[Path, ExitStack], subprocess.Popen[bytes]]


@contextmanager
def shared(factory: pytest.TempPathFactory, name: str, begin: Start) -> Iterator[Path]:
    """The folder of a process for all workers: the first starts it.

    Its standard input is a named pipe; it ends once the last worker has closed that, or has died.
    """
    started: list[subprocess.Popen[bytes]] = []
    with ExitStack() as stack:
        while True:
            folder = once(factory, name, lambda at: started.append(begin(at, stack)))
            try:
                writer = os.open(folder / "stdin", os.O_WRONLY | os.O_NONBLOCK)
                break
            except OSError:  # nobody reads: it has ended with the workers that used it
                folder.with_suffix(".made").unlink(missing_ok=True)
        yield folder
        os.close(writer)
        stack.close()
        for process in started:
            process.wait()  # for the other workers


def start(
    folder: Path, stack: ExitStack, command: list[str], env: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Run Python in `folder` until the `stack` is closed, and longer for others."""
    os.mkfifo(folder / "stdin")
    reader = os.open(folder / "stdin", os.O_RDONLY | os.O_NONBLOCK)
    stack.enter_context((folder / "stdin").open("wb"))
    os.set_blocking(reader, True)
    with (folder / "stdout").open("wb") as said, (folder / "log").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=env, stdin=reader, stdout=said, stderr=errors
        )
    os.close(reader)
    return process


def wait(process: subprocess.Popen[bytes], folder: Path, ready: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not ready():
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < until
        time.sleep(0.1)


def serve_prefect(folder: Path, stack: ExitStack) -> subprocess.Popen[bytes]:
    """Start a server in `folder`, and keep a copy of its empty database."""
    quiet = {
        "PREFECT_HOME": str(folder), "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1", "PREFECT_SERVER_API_AUTH_STRING": LOGIN,
    }  # fmt: skip
    command = ["-m", "evergreen.orchestration.server"]
    process = start(folder, stack, command, environment(ROOT) | quiet)

    def address() -> str:
        said = (folder / "stdout").read_text().splitlines()
        return f"http://{LOOPBACK}:{said[0]}/api" if said else ""

    wait(process, folder, lambda: is_prefect(address()))
    with (
        closing(sqlite3.connect(folder / "prefect.db")) as made,
        closing(sqlite3.connect(folder / "empty.db")) as empty,
    ):
        made.backup(empty)
    (folder / "url").write_text(address())
    return process
