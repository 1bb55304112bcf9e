"""A clock that is an hour off, of one machine of several: order and champion are right.

The servers are those of `compose.yaml`, as processes of this machine, on PostgreSQL; a command gets
another clock by a library that the loader puts before the system's own.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from infra.stacked import MARKS, Run, Servers, made
from infra.working import decisions, page_of, versions
from services import services

from evergreen.project import Project

pytestmark = [
    *MARKS,
    pytest.mark.skipif(
        not shutil.which("cc"), reason="NOT TESTED: a clock that is off, since no cc is here"
    ),
]
HOUR = 3600
SHIFT = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long shift(void) {
    const char *seconds = getenv("CLOCK_SHIFT");
    return seconds ? atol(seconds) : 0;
}

int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, at);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += shift();
    return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, which leaves clocks that only go forward as they are."""
    folder = tmp_path_factory.mktemp("clock")
    source, made = folder / "shift.c", folder / "shift.so"
    source.write_text(SHIFT)
    build = ["cc", "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl"]
    subprocess.run(build, check=True)
    return made


def off(shim: Path, seconds: int) -> dict[str, str]:
    return {"LD_PRELOAD": str(shim), "CLOCK_SHIFT": str(seconds)}


def test_the_clock_of_a_command_is_off_and_its_stopwatch_is_not(shim: Path) -> None:
    """Else nothing else here would show anything."""
    ask = ["python3", "-c", "import time; print(time.time(), time.monotonic())"]
    told = []
    for shift in (0, HOUR):
        done = subprocess.run(ask, env=off(shim, shift), capture_output=True, text=True, check=True)
        told.append([float(word) for word in done.stdout.split()])
    assert told[1][0] - told[0][0] == pytest.approx(HOUR, abs=60)
    assert told[1][1] - told[0][1] == pytest.approx(0, abs=60)


def change(project: Project, rounds: int) -> None:
    content = yaml.safe_load(project.params.read_text())
    content["train"]["rounds"] = rounds
    project.params.write_text(yaml.safe_dump(content))


def say(project: Project, servers: Servers, *words: str, **clock: str) -> str:
    run = Run(project, servers, *words, **clock)
    assert run.end() == 0, run.said
    return run.said


@pytest.mark.parametrize("seconds", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_what_was_decided_last_counts_whichever_clock_it_was_decided_by(
    seconds: int, shim: Path, servers: Servers, tmp_path: Path
) -> None:
    name = f"clock_{'ahead' if seconds > 0 else 'behind'}"
    project, clock = made(tmp_path, name, seeds=2, gate={"approval": "manual"}), off(shim, seconds)
    said = say(project, servers, "run", **clock)
    assert "waits for approval" in said
    say(project, servers, "promote", "1", "--approve", **clock)
    change(project, 20)
    say(project, servers, "run")
    why = ("--reason", "as good")
    say(project, servers, "promote", "--override", *why)  # the challenger, which is the newest
    assert versions(servers, name) == ("2", 2)
    change(project, 10)
    say(project, servers, "run", **clock)
    say(project, servers, "promote", "--override", *why, **clock)
    assert versions(servers, name) == ("3", 3)
    say(project, servers, "rollback", *why)
    say(project, servers, "monitor", **clock)
    assert [number for number, what in decisions(servers, name) if what == "promoted"] == [
        "1", "2", "3",
    ]  # fmt: skip
    assert decisions(servers, name)[-1] == ("2", "rolled back")
    for of in ({}, clock):
        told = " ".join(say(project, servers, "status", **of).split())
        assert "version 2" in told
        assert "moved" not in told, told
        history = say(project, servers, "history", **of)
        assert [history.index(f"version {number} promoted") for number in "123"] == sorted(
            history.index(f"version {number} promoted") for number in "123"
        )


@pytest.mark.parametrize("seconds", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_a_worker_with_such_a_clock_takes_what_is_due_by_that_of_the_server(
    seconds: int, shim: Path, servers: Servers, tmp_path: Path
) -> None:
    name = f"worker_{'ahead' if seconds > 0 else 'behind'}"
    project, page = made(tmp_path, name, seeds=1), page_of(servers)
    work = servers.ours.variables("work")
    doctor = Run(project, servers, "doctor", **off(shim, seconds))
    doctor.end()
    side = "ahead of" if seconds > 0 else "behind"
    assert f"60 min {side} that of the Prefect server" in " ".join(doctor.said.split())
    with services(project, signal.SIGTERM, **work, **off(shim, seconds)) as up:
        assert f"60 min {side} that of the Prefect server: set it" in up.said
        due = page.start(datetime.now(UTC) + timedelta(minutes=30))
        page.wait(page.start(), "COMPLETED")
        assert page.ask(f"/flow_runs/{due}")["state"]["name"] == "Scheduled"
    assert versions(servers, name) == ("1", 1)
