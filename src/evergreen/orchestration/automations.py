"""Automations: what Prefect's server does by itself, whatever became of the machine that ran."""

from __future__ import annotations

import os
from typing import Any

BEAT = 30  # seconds between two signs of life of a run
# Seconds without one until a run counts as dead; as long as Prefect keeps its place free for it
DEAD = 300
FREQUENCY = "PREFECT_FLOWS_HEARTBEAT_FREQUENCY"


def notice_dead_runs() -> None:
    """Let runs of workers give signs of life, and Prefect mark those as crashed that give none.

    A process that was killed, or whose machine is gone, cannot say so; and a run that stays
    "Running" is never told of. Call it before a worker starts.
    """
    os.environ.setdefault(FREQUENCY, str(BEAT))
    save(dead_runs())


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


def dead_runs() -> dict[str, Any]:
    """Return Prefect's automation about runs that began to give signs of life, and stopped."""
    return {
        "name": "evergreen: runs whose process has died",
        "trigger": {
            "type": "event",
            "match": {"prefect.resource.id": "prefect.flow-run.*"},
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
