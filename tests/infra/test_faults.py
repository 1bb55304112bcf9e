"""Faults of the servers in the middle of a run: each ends well or in a sentence, nothing is lost.

The servers are those of `compose.yaml`, as processes of this machine, on PostgreSQL.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from conftest import environment
from infra.test_compose import NEEDED, Stack, postgres

from evergreen.project import Project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(
        not shutil.which("initdb"),
        reason="PostgreSQL's initdb, postgres and psql are not on the PATH",
    ),
]
AWAY = 60  # seconds that a server or a store is gone
SEED = re.compile(r"seed \d+: ")
PATIENCE = 900


class Servers:
    """The servers of the stack, which can be stopped and started again."""

    def __init__(self, ours: Stack, folder: Path) -> None:
        self.ours, self.folder, self.up = ours, folder, dict[str, ExitStack]()

    def start(self, name: str) -> int:
        self.up[name] = ExitStack()
        return self.up[name].enter_context(self.ours.serve(name))

    def stop(self, name: str) -> None:
        self.up.pop(name).close()

    def postgres(self, *words: str) -> None:
        """Call pg_ctl as who owns the databases."""
        user = "nobody" if os.getuid() == 0 else None
        command = ["pg_ctl", "-D", str(self.folder / "db"), "-m", "fast", "-w", *words]
        log = ["-l", str(self.folder / "again.log")] if words[0] in ("start", "restart") else []
        subprocess.run([*command, *log], check=True, user=user, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    known = {name: f"{name.lower()}0" for name in NEEDED}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pg-")))
        database = stack.enter_context(postgres(folder, known["DATABASE_PASSWORD"]))
        found = Servers(Stack(tmp_path_factory.mktemp("stack"), database, known), folder)
        stack.callback(lambda: found.postgres("stop"))
        for name in ("prefect", "mlflow"):
            found.start(name)
            stack.callback(lambda name=name: found.up and found.stop(name))
        yield found


class Run:
    """A run of the project at the stack's servers."""

    def __init__(self, project: Project, servers: Servers, *words: str, **more: str) -> None:
        command = [sys.executable, "-m", "evergreen.cli", *(words or ("run",))]
        env = environment(project.root) | servers.ours.variables("work") | more
        self.process = subprocess.Popen(
            command, cwd=project.root, env=env, text=True, bufsize=1,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.said = ""

    def until(self, pattern: re.Pattern[str]) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.said += line
            if pattern.search(line):
                return
        raise AssertionError(self.said)

    def end(self) -> int:
        rest, _ = self.process.communicate(timeout=PATIENCE)
        self.said += rest
        assert "Traceback" not in self.said, self.said
        return self.process.returncode


def champion(project: Project, servers: Servers) -> Run:
    """Return a run of `evergreen status` that has ended."""
    run = Run(project, servers, "status")
    assert run.end() == 0, run.said
    return run


def made(make_project: Callable[..., Project], name: str, **sections: Any) -> Project:
    return make_project(
        sweep={"seeds": 3, "jobs": 1}, tracking={"experiment": name, "model": name}, **sections
    )


def restart_postgres(servers: Servers) -> None:
    servers.postgres("restart")


def restart_prefect(servers: Servers) -> None:
    servers.stop("prefect")
    servers.start("prefect")


def lose_mlflow(servers: Servers) -> None:
    servers.stop("mlflow")
    time.sleep(AWAY)
    servers.start("mlflow")


def lose_store(servers: Servers) -> None:
    """What the server writes to is no folder for a while."""
    store = Path(servers.ours.others["/artifacts"])
    store.mkdir(exist_ok=True)
    away = store.with_name("away")
    store.rename(away)
    store.write_text("")
    time.sleep(AWAY)
    store.unlink()
    away.rename(store)


FAULTS = (restart_postgres, restart_prefect, lose_mlflow, lose_store)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_run_outlives_it_and_nothing_is_lost(
    fault: Callable[[Servers], None], servers: Servers, make_project: Callable[..., Project]
) -> None:
    project = made(make_project, fault.__name__)
    run = Run(project, servers)
    run.until(SEED)
    fault(servers)
    code = run.end()
    print(f"=== {fault.__name__}: {code}\n{run.said}")
    assert code == 0, run.said
    assert "champion" in champion(project, servers).said
