"""Prefect restarts in the middle of a long run of a worker: the run goes on.

The servers are those of `compose.yaml`, as processes of this machine, on PostgreSQL.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

from infra.stacked import MARKS, Servers, made
from infra.working import children, decisions, deploy, page_of, versions, worker

pytestmark = MARKS
RENEWED = 225  # seconds after which Prefect's client renews the place of a run
AWAY = 30  # seconds that Prefect is gone for


def test_a_run_goes_on_whose_place_the_server_has_forgotten(
    servers: Servers, tmp_path: Path
) -> None:
    project, page = made(tmp_path, "place"), page_of(servers)
    deploy(project, servers)
    with worker(project, servers, "first") as first:
        begun, clock = page.start(), time.monotonic()
        page.until(lambda: "matrix" in page.tasks(begun), "a training that is under way")
        servers.stop("prefect")  # which keeps places in memory
        held = children(first)
        for process in held:
            process.send_signal(signal.SIGSTOP)  # as one does that takes as long
        time.sleep(AWAY)
        servers.start("prefect")
        time.sleep(max(0.0, clock + RENEWED + AWAY - time.monotonic()))
        for process in held:
            process.send_signal(signal.SIGCONT)
        page.wait(begun, "COMPLETED")
        page.wait(page.start(), "COMPLETED")  # its place is free again
    assert versions(servers, "place") == ("1", 1)
    assert decisions(servers, "place") == [("1", "promoted")]
