"""Commands of a test in processes of their own that have the libraries loaded already.

To load them takes longer than the command.
One process has loaded them all and done nothing else; it forks for each command of any worker. The
child has the working directory, the environment and the output of its own that a shell would give
it, runs `evergreen` from the code of this repository, and ends as any process does. Three steps are
shorter in it, each several seconds: an empty store is copied, not made by MLflow's migrations one
by one; the gate has the registered model loaded by this process, not by one more that loads the
libraries; and pictures are composed, but all are saved as one that was drawn before. MLflow's store
is written without waiting for the disk.
A project with code of its own has that imported anew, and the model loaded by a process of its own.
What is told apart by libraries that are loaded anew (another server, say) is a real process.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import secrets
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

LOADED = (
    "great_expectations", "great_expectations.expectations", "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store",
    "dvc.repo", "dvc.stage", "xgboost", "sklearn.linear_model", "sklearn.metrics",
    "sklearn.preprocessing", "sklearn.pipeline", "scipy.stats", "matplotlib.figure",
    "matplotlib.backends.backend_agg", "pandas", "fairlearn.metrics", "evergreen.cli",
    "evergreen.orchestration.tasks.models", "evergreen.orchestration.tasks.monitoring",
    "evergreen.orchestration.tasks.scoring", "evergreen.orchestration.tasks.replay",
    "evergreen.orchestration.tasks.promotion",
)  # fmt: skip


class Forks:
    """The process that forks, for tests. `address`: of its socket."""

    def __init__(self, address: Path) -> None:
        self._address = str(address)

    def run(
        self,
        words: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        timeout: float,
        code: str = "",
        *,
        own: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run `evergreen WORDS`, or `code` with these arguments.

        Raises TimeoutExpired after `timeout` seconds. `own`: run the project's own code, not that
        of this repository.
        """
        with tempfile.TemporaryDirectory() as folder:
            said = {name: str(Path(folder, name)) for name in ("stdout", "stderr")}
            asked = {
                "words": list(words),
                "cwd": str(cwd),
                "env": dict(env),
                "timeout": timeout,
                "code": code,
                "own": own,
            }
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(self._address)
                line.sendall(json.dumps(asked | said).encode() + b"\n")
                returncode = int(line.makefile().readline())
            out, err = (Path(path).read_text(errors="replace") for path in said.values())
        if returncode == -signal.SIGALRM:
            raise subprocess.TimeoutExpired(["evergreen", *words], timeout, out, err)
        return subprocess.CompletedProcess(["evergreen", *words], returncode, out, err)


DVC = "import sys; from dvc.cli import main; sys.exit(main(sys.argv[1:]))"  # code, see Forks.run
FORKS: list[Forks] = []  # where there is one, it runs the commands of a test
# Of the Prefect server that tests share, those of all workers
LOGIN = f"tester:{os.environ.get('PYTEST_XDIST_TESTRUNUID') or secrets.token_hex(16)}"
# Told to every command that a test runs: where a Prefect server is, say
SHARED: dict[str, str] = {}


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Run commands as on a machine without a server: each process loads the libraries itself."""
    with mock.patch.dict(SHARED, clear=True):
        forks, FORKS[:] = [*FORKS], []
        yield
        FORKS[:] = forks


def serve(listener: socket.socket) -> dict[str, Any]:
    """Fork for each line that is sent to `listener`, until standard input closes.

    Returns, in the child, what is asked of it.
    """
    helpers: set[int] = set()
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [], 1)
        for helper in [*helpers]:
            if os.waitpid(helper, os.WNOHANG)[0]:
                helpers.remove(helper)
        if sys.stdin in ready:
            for helper in helpers:
                os.waitpid(helper, 0)
            sys.exit()
        if listener in ready:
            line, _ = listener.accept()
            helper = os.fork()
            if helper:
                line.close()
                helpers.add(helper)
            else:
                listener.close()
                return run_child(line)


def run_child(line: socket.socket) -> dict[str, Any]:
    """Fork once more for what `line` asks, and tell it how that ended; return in the child."""
    asked: dict[str, Any] = json.loads(line.makefile().readline())
    child = os.fork()
    if not child:
        line.close()
        return asked
    until = time.monotonic() + asked["timeout"]
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > until:
            os.kill(child, signal.SIGALRM)
        time.sleep(0.02)
    line.sendall(b"%d\n" % os.waitstatus_to_exitcode(ended[1]))
    os._exit(0)


def copy_empty_stores(root: Path) -> None:
    """Copy the empty store of MLflow in `root` from now on where one is to be made."""
    from mlflow.store.db import utils

    from evergreen.params import Params
    from evergreen.project import Project
    from evergreen.stores.tracking import Tracker

    project = Project(root)
    _ = Tracker(project, Params()).client

    def fill(engine: Any) -> None:
        with contextlib.closing(sqlite3.connect(project.stores / "mlflow.db")) as empty:
            connection = engine.raw_connection()
            empty.backup(connection.driver_connection)
            connection.close()

    utils._initialize_tables = fill


def do_not_wait_for_the_disk() -> None:
    """Let stores of MLflow in this process not be synced: only a machine that fails loses by it."""
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    def connect(connection: Any, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            (_, _, path), *_ = connection.execute("PRAGMA database_list").fetchall()
            if path.endswith("/mlflow.db"):
                connection.execute("PRAGMA synchronous = OFF")

    event.listen(Pool, "connect", connect)


def draw_once() -> None:
    """Save every picture as one that is drawn now: to place and draw its text takes seconds."""
    import io

    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure, drawn = Figure(figsize=(11, 8)), io.BytesIO()
    axes = figure.subplots(4, 4)
    for place in axes.flat:
        place.plot([0, 1, 4, 9])
    figure.savefig(drawn, format="png")

    def save(_: Figure, target: Any, **__: object) -> None:
        if hasattr(target, "write"):
            target.write(drawn.getvalue())
        else:
            Path(target).write_bytes(drawn.getvalue())

    Figure.savefig = save  # type: ignore[assignment, method-assign]
    ConstrainedLayoutEngine.execute = lambda *_: None  # type: ignore[method-assign]


def predict_here(versions: Any, number: str, rows: Any) -> Any:
    """Do what `Versions.predict_reloaded` does, in this process."""
    import numpy as np

    from evergreen.errors import InputError
    from evergreen.scoring.package import read_package

    with versions.fetch(number) as package:
        try:
            return np.asarray(read_package(package).predict_rows(rows))
        except Exception as error:
            raise InputError(f"a new process cannot load it: {error}") from error


def import_anew(places: Sequence[str]) -> None:
    """Forget this repository's code, as if none had been imported; next it comes from `places`."""
    import evergreen
    import late_flights

    for name in [*sys.modules]:
        if name.partition(".")[0] in (evergreen.__name__, late_flights.__name__):
            del sys.modules[name]
    sys.meta_path[:] = [
        finder for finder in sys.meta_path if finder.__module__ != evergreen.code.__name__
    ]
    sys.path[:] = [*places, *sys.path]


def begin(asked: Mapping[str, Any]) -> None:
    """Be the process that was asked for."""
    for number, path in ((0, os.devnull), (1, asked["stdout"]), (2, asked["stderr"])):
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    if asked["own"]:
        import_anew(asked["env"]["PYTHONPATH"].split(os.pathsep))
    sys.argv = ["evergreen" if not asked["code"] else "-c", *asked["words"]]


def main() -> None:
    """Load, serve, and in a child run what was asked for."""
    import importlib
    import warnings

    from evergreen.orchestration.server import set_environment
    from evergreen.project import Project

    gc.disable()  # what is loaded stays
    set_environment(Project(Path(tempfile.gettempdir())))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in LOADED:
            importlib.import_module(name)
    from mlflow.utils import requirements_utils

    from evergreen.stores.versions import Versions

    requirements_utils._init_packages_to_modules_map()  # reads what is installed, for seconds
    Versions.predict_reloaded = predict_here  # type: ignore[method-assign]
    address, empty = map(Path, sys.argv[1:])
    copy_empty_stores(empty)
    do_not_wait_for_the_disk()
    draw_once()
    gc.freeze()
    gc.enable()
    gc.set_threshold(50_000, 20, 50)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address.with_suffix(".new")))
        listener.listen()
        address.with_suffix(".new").rename(address)  # there as soon as it answers
        asked = serve(listener)
    begin(asked)
    try:
        if asked["code"]:
            exec(asked["code"], {"__name__": "__main__"})
        else:
            from evergreen.cli import main as evergreen

            evergreen()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    # What a process does at its end, without taking all those libraries apart
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
