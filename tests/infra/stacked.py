"""The servers of `compose.yaml` as processes of this machine, to be stopped and asked things."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import MONTHS, environment, small_project
from infra.test_compose import INFRA, LOGIN, NEEDED, Stack, postgres

from evergreen.project import Project

__all__ = ["MARKS", "Run", "Servers", "made", "start"]
MARKS = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(
        not shutil.which("initdb"),
        reason="PostgreSQL's initdb, postgres and psql are not on the PATH",
    ),
]
PATIENCE = 900  # seconds


class Servers:
    """The servers of the stack, which can be stopped and started again."""

    def __init__(self, ours: Stack, folder: Path) -> None:
        self.ours, self.folder, self.up = ours, folder, dict[str, ExitStack]()

    def database(self, name: str) -> str:
        """Where a database of PostgreSQL is, as psycopg and psql take it."""
        known = self.ours.variables("prefect")
        return " ".join(
            f"{key}={known[variable]}"
            for key, variable in {
                "host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD",
            }.items()
        ) + f" dbname={name}"  # fmt: skip

    @property
    def login(self) -> str:
        """The login of MLflow's administrator, and of Prefect."""
        return f"{LOGIN}:{self.ours.variables('work')['MLFLOW_TRACKING_PASSWORD']}"

    def start(self, name: str, setup: str = "") -> int:
        """Start a server; `setup`: see Stack.serve."""
        self.up[name] = ExitStack()
        return self.up[name].enter_context(self.ours.serve(name, setup=setup))

    def stop(self, name: str) -> None:
        self.up.pop(name).close()

    def postgres(self, *words: str) -> None:
        """Call pg_ctl as who owns the databases."""
        user = "nobody" if os.getuid() == 0 else None
        command = ["pg_ctl", "-D", str(self.folder / "db"), "-m", "fast", "-w", *words]
        log = ["-l", str(self.folder / "again.log")] if words[0] in ("start", "restart") else []
        subprocess.run(
            [*command, *log], check=True, user=user, cwd=self.folder, stdout=subprocess.DEVNULL
        )


@contextmanager
def start(folder: Path) -> Iterator[Servers]:
    """Start PostgreSQL, Prefect and MLflow; logs and artifacts lie in `folder`."""
    (folder / "infra").mkdir()
    if (settings := INFRA / "settings.sh").exists():  # writes the secrets, where they are files
        subprocess.run([shutil.copy(settings, folder / "infra")], check=True, capture_output=True)
    ours = Stack(folder, 0, {name: f"{name.lower()}0" for name in NEEDED})
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pg-")))
        database = postgres(place, ours.variables("prefect")["PGPASSWORD"])
        ours.database["PGPORT"] = str(stack.enter_context(database))
        found = Servers(ours, place)
        stack.callback(lambda: found.postgres("stop"))
        stack.callback(lambda: [found.stop(name) for name in [*found.up]])
        for name in ("prefect", "mlflow"):
            found.start(name)
        yield found


class Run:
    """A run of the project at the stack's servers."""

    def __init__(
        self,
        project: Project,
        servers: Servers,
        *words: str,
        within: Sequence[str] = (),
        **more: str,
    ) -> None:
        """`within`: a command that runs the other, with less memory, say; `more`: variables."""
        command = [*within, sys.executable, "-m", "evergreen.cli", *(words or ("run",))]
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


def made(folder: Path, name: str, seeds: int = 3, **sections: dict[str, Any]) -> Project:
    """Make a small project in `folder`, called `name` at the servers."""
    return small_project(
        folder, MONTHS, 1500, sweep={"seeds": seeds, "jobs": 1},
        tracking={"experiment": name, "model": name}, **sections,
    )  # fmt: skip
