"""Faults of the servers in the middle of a run: it goes on, and nothing is lost.

The servers are those of `compose.yaml`, as processes of this machine, on PostgreSQL.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from infra.stacked import MARKS, Run, Servers, made

pytestmark = MARKS
AWAY = 60  # seconds that a server or a store is gone
SEED = re.compile(r"seed \d+: ")


def restart_postgres(servers: Servers) -> None:
    servers.postgres("restart")


def restart_prefect(servers: Servers) -> None:
    servers.stop("prefect")
    servers.start("prefect")


def lose_mlflow(servers: Servers) -> None:
    servers.stop("mlflow")
    time.sleep(AWAY)
    servers.start("mlflow")


def lose_the_store(servers: Servers) -> None:
    """As a disk of the network does, that is not there for a while."""
    store = servers.ours.folder / "artifacts"
    store.mkdir(exist_ok=True)
    kept = store.rename(store.with_name("away"))
    store.write_text("")  # so that nothing is written in its place
    time.sleep(AWAY)
    store.unlink()
    kept.rename(store)


@pytest.mark.parametrize(
    "fault",
    [restart_postgres, restart_prefect, lose_mlflow, lose_the_store],
    ids=lambda fault: fault.__name__,
)
def test_a_run_outlives_it_and_nothing_is_lost(
    fault: Callable[[Servers], None], servers: Servers, tmp_path: Path
) -> None:
    project = made(tmp_path, fault.__name__)
    run = Run(project, servers)
    run.until(SEED)
    fault(servers)
    assert run.end() == 0, run.said
    assert f"{fault.__name__} version 1 is champion" in run.said
    assert "failed" not in run.said, run.said


@contextmanager
def a_full_store(servers: Servers) -> Iterator[None]:
    """Let there be room for a few files of runs, and for no more."""
    store = servers.ours.folder / "artifacts"
    servers.stop("mlflow")
    store.mkdir(exist_ok=True)
    servers.start("mlflow", f"mount -t tmpfs -o size=100k disk {store}")
    try:
        yield
    finally:
        servers.stop("mlflow")
        servers.start("mlflow")


def test_a_full_store_is_said_in_a_sentence_and_the_next_run_completes_what_was_begun(
    servers: Servers, tmp_path: Path
) -> None:
    project = made(tmp_path, "full", seeds=1)
    with a_full_store(servers):
        run = Run(project, servers, MLFLOW_HTTP_REQUEST_MAX_RETRIES="2")
        assert run.end() == 1, run.said
    said = run.said.splitlines()[-1]
    assert said.startswith("error: the MLflow server of MLFLOW_TRACKING_URI"), run.said
    assert "its disk" in said
    again = Run(project, servers)
    assert again.end() == 0, again.said
    assert "full version 1 is champion" in again.said
