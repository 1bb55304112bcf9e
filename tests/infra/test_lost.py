"""All of the stack is lost but the backup, made while a run goes on: it is there again.

`infra/backup.sh` and `restore.sh` run as they stand, on the servers of `compose.yaml` as processes
of this machine: `docker` is a script that does natively what they ask of containers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from conftest import environment, git, month
from infra.stacked import MARKS, Run, Servers, made
from infra.test_attacks import ask
from infra.test_compose import INFRA
from infra.test_faults import SEED
from polars.testing import assert_frame_equal

from evergreen.orchestration.login import login_of
from evergreen.project import Project

pytestmark = [
    *MARKS,
    pytest.mark.skipif(not shutil.which("pg_restore"), reason="pg_dump is not on the PATH"),
]
# What is mounted at /project lies there while the command runs; /backup is said by its own name
DOCKER = """#!/bin/sh
set -eu
shift 3   # compose -f infra/compose.yaml
case $1 in
build | up) ;;
exec) shift 3; exec "$@" ;;   # exec -T postgres
run)
    setup=: backup=
    while [ "$1" != work ]; do
        if [ "$1" = --volume ]; then
            from=${2%%:*} to=${2#*:}; to=${to%:ro}
            case $to in
            /backup) backup=$from ;;
            /project/*) setup="$setup; mount --bind '$from' '$PWD/${to#/project/}'" ;;
            esac
        fi
        shift
    done
    exec unshare -rm sh -ec "$setup; exec '$PYTHON' -m evergreen.cli '$3' '$backup'" ;;
*) echo "docker $* ?" >&2; exit 9 ;;
esac
"""


def put_infra(project: Project, servers: Servers) -> None:
    """Let the project have `infra/`, the secrets of the servers, and their files of runs."""
    infra = project.root / "infra"
    infra.mkdir()
    for path in INFRA.iterdir():
        if path.is_file() and path.name != ".env":
            shutil.copy(path, infra)
    shutil.copytree(servers.ours.folder / "infra" / "secrets", infra / "secrets")
    subprocess.run([infra / "settings.sh"], check=True)
    git(project.root, "add", "-A")
    git(project.root, "commit", "-qm", "the stack")
    keep_files_of_runs_in(project.stores / "artifacts", servers)


def keep_files_of_runs_in(folder: Path, servers: Servers) -> None:
    """Let MLflow keep files of runs in a folder, with what it has."""
    theirs = servers.ours.folder / "artifacts"
    if theirs.is_dir() and not theirs.is_symlink():
        shutil.copytree(theirs, folder, dirs_exist_ok=True)
        shutil.rmtree(theirs)
    theirs.unlink(missing_ok=True)
    theirs.symlink_to(folder)


def script(name: str, project: Project, servers: Servers, folder: Path) -> str:
    """Run a script of infra/ to its end; return what it says."""
    docker = servers.ours.folder / "bin" / "docker"
    docker.parent.mkdir(exist_ok=True)
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    env = environment(project.root) | servers.ours.variables("work") | {"PYTHON": sys.executable}
    known = servers.ours.variables("prefect")
    env |= {name: known[name] for name in ("PGHOST", "PGPORT", "PGPASSWORD")}
    env["PATH"] = f"{docker.parent}{os.pathsep}{env['PATH']}"
    done = subprocess.run(
        [project.root / "infra" / name, folder], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def lose(project: Project, servers: Servers) -> None:
    """Everything: the project, files of runs, and both databases."""
    for name in ("mlflow", "prefect"):
        servers.stop(name)
    with psycopg.connect(servers.database("postgres"), autocommit=True) as link:
        for name in ("mlflow", "prefect"):
            link.execute(f"DROP DATABASE {name} WITH (FORCE)")
            link.execute(f"CREATE DATABASE {name}")
    shutil.rmtree(project.root)


def served(project: Project, servers: Servers, rows: list[Mapping[str, Any]]) -> Any:
    """What the champion answers over HTTP."""
    with servers.ours.serve("serve", project.root) as port:
        status, text = ask(port, "POST", "/predict", login_of(project), {"rows": rows})
    assert status == 200, text
    answer = json.loads(text)
    return answer["version"], answer["predictions"]


def scored(project: Project, servers: Servers) -> pl.DataFrame:
    run = Run(project, servers, "score", str(project.root.parent / "rows.parquet"))
    assert run.end() == 0, run.said
    kept = project.predictions / "rows" / "1.parquet"  # by version 1
    predictions = pl.read_parquet(kept).drop("scored_at")
    shutil.rmtree(project.predictions)  # else a backup would bring it back
    return predictions


def test_all_but_the_backup_is_lost_while_a_run_goes_on(servers: Servers, tmp_path: Path) -> None:
    project, backup = made(tmp_path, "lost", seeds=2), tmp_path / "backup"
    put_infra(project, servers)
    first = Run(project, servers)
    assert first.end() == 0, first.said
    rows = month("2013-08", 1500).head(5)
    rows.write_parquet(tmp_path / "rows.parquet")
    asked = json.loads(rows.write_json())
    answered, predicted = served(project, servers, asked), scored(project, servers)
    month("2013-08", 1500).write_parquet(tmp_path / "inbox" / "2013-08.parquet")
    run = Run(project, servers)
    run.until(SEED)
    assert "snapshot" in script("backup.sh", project, servers, backup)
    assert run.process.poll() is None, run.said  # it goes on
    assert run.end() == 0, run.said
    lose(project, servers)
    (bundle,) = backup.glob("*/code.bundle")
    subprocess.run(["git", "clone", "-q", str(bundle), str(project.root)], check=True)
    said = script("restore.sh", project, servers, backup)
    assert said.splitlines()[-1] == f"restored from {bundle.parent}: make stack"
    keep_files_of_runs_in(project.stores / "artifacts", servers)
    for name in ("prefect", "mlflow"):
        servers.start(name)
    assert served(project, servers, asked) == answered
    assert_frame_equal(scored(project, servers), predicted)
    again = Run(project, servers)  # what was under way is completed
    assert again.end() == 0, again.said
    told = Run(project, servers, "history")
    assert told.end() == 0, told.said
    decided = [line for line in told.said.splitlines() if "  version " in line]
    assert [line.split("  version ")[1].split()[0] for line in decided] == ["1", "2"]
