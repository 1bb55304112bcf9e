"""Faults of the servers in the middle of a run: it goes on, and nothing is lost.

The servers are those of `compose.yaml`, as processes of this machine, on PostgreSQL.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import month
from infra.stacked import MARKS, Run, Servers, made

pytestmark = MARKS
AWAY = 60  # seconds that a server or a store is gone
SEED = re.compile(r"seed \d+: ")
CLOCK = """
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t which, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, which, now);
    const char *shift = getenv("CLOCK_SHIFT");
    if (!failed && shift && which == CLOCK_REALTIME) now->tv_sec += atol(shift);
    return failed;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec found;
    int failed = clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return failed;
}
time_t time(time_t *now) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (now) *now = found.tv_sec;
    return found.tv_sec;
}
"""


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


@pytest.mark.skipif(not shutil.which("cc"), reason="NOT TESTED: clocks that differ: cc is missing")
def test_the_last_decision_counts_where_clocks_are_hours_apart(
    servers: Servers, tmp_path: Path
) -> None:
    project, clock = made(tmp_path, "clocks", seeds=1), tmp_path / "clock.so"
    compiled = ["cc", "-shared", "-fPIC", "-O", "-x", "c", "-", "-o", str(clock)]
    subprocess.run(compiled, input=CLOCK, text=True, check=True)

    def said(hours: int, *words: str) -> str:
        """What a command says on a machine whose clock is so many hours ahead."""
        run = Run(project, servers, *words, LD_PRELOAD=str(clock), CLOCK_SHIFT=str(3600 * hours))
        assert run.end() == 0, run.said
        return run.said

    assert "clocks version 1 is champion" in said(1, "run")
    month("2013-08", 1500).write_parquet(tmp_path / "inbox" / "2013-08.parquet")
    if "clocks version 2 is champion" not in said(-1, "run"):  # the gate refused it
        said(-1, "promote", "2", "--override", "--reason", "a test")
    last = [line for line in said(0, "history").splitlines() if "version" in line][-1]
    assert "version 2 promoted in place of 1" in last
    assert "version 1 is champion again" in said(-1, "rollback", "--reason", "a test")
    assert re.search(r"champion +version 1\b", said(0, "status"))
