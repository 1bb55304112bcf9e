"""Faults of the servers in the middle of a run: it goes on, and nothing is lost.

The servers are those of `compose.yaml`, as processes of this machine, on PostgreSQL.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from infra.stacked import MARKS, Run, Servers, made

pytestmark = MARKS
AWAY = 60  # seconds that a server is gone
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


@pytest.mark.parametrize(
    "fault", [restart_postgres, restart_prefect, lose_mlflow], ids=lambda fault: fault.__name__
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
