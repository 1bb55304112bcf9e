"""Automations: what Prefect's server does by itself, whatever became of the machine that ran."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

BEAT = 30  # seconds between two signs of life of a run
# Seconds without one until a run counts as dead; as long as Prefect keeps its place free for it
DEAD = 300
FREQUENCY = "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"


def give_signs_of_life() -> None:
    """Let runs of a worker that starts later tell Prefect's server that they are alive."""
    os.environ.setdefault(FREQUENCY, str(BEAT))


def notice_dead_runs(package: str) -> None:
    """Let Prefect mark runs of a project's deployments as crashed that give no more signs of life.

    A process that was killed, or whose machine is gone, cannot say so; and a run that stays
    "Running" is never told of. package: that of the project, as its work pool is called. What
    others run at the same server is left to them.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName

    own = WorkPoolFilter(name=WorkPoolFilterName(any_=[package]))
    with get_client(sync_client=True) as client:
        deployments = client.read_deployments(work_pool_filter=own)
    save(dead_runs(package, [str(deployment.id) for deployment in deployments]))


def save(described: dict[str, Any]) -> None:
    """Make an automation in Prefect, or change the one of that name."""
    from prefect.automations import Automation

    made = Automation(**described)
    try:
        made.id = Automation.read(name=made.name).id
    except ValueError:  # there is none yet
        made.create()
    else:
        made.update()


def dead_runs(package: str, deployments: Sequence[str]) -> dict[str, Any]:
    """Return Prefect's automation about runs that began to give signs of life, and stopped.

    deployments: the ids of those whose runs it looks at.
    """
    return {
        "name": f"{package}: runs whose process has died",
        "trigger": {
            "type": "event",
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
            "match_related": {
                "prefect.resource.role": "deployment",
                "prefect.resource.id": [f"prefect.deployment.{name}" for name in deployments],
            },
            "after": ["prefect.flow-run.heartbeat"],
            "expect": ["prefect.flow-run.*"],  # the next one, or an end
            "for_each": ["prefect.resource.id"],
            "posture": "Proactive",
            "threshold": 1,
            "within": DEAD,
        },
        "actions": [
            {
                "type": "change-flow-run-state",
                "state": "CRASHED",
                "message": f"no sign of life for {DEAD} s; the next run continues",
            }
        ],
    }
