"""Queued: what was asked for before a run began that does the same is answered by that run.

A deployment runs once at a time, so what is asked for meanwhile waits. Each of these would start a
process only to find nothing to do, and while it waits a worker asks for it again and again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.runtime import deployment, flow_run
from prefect.states import Completed

WAITS = ("Scheduled", "Late", "AwaitingConcurrencySlot")
REASON = "reason"  # the parameter that changes nothing of what a run does


def answer_queued() -> int:
    """End the waiting runs of this run's deployment that it has answered; return how many.

    Those are the ones that were made and due before it began, with the same parameters. Call it
    when all is done, before the run ends: as long as it holds its place, none of them can begin.
    """
    if not (deployment.id and flow_run.id):
        return 0
    answered = 0
    # It is done whatever becomes of these: they would find nothing to do
    with suppress(Exception), get_client(sync_client=True) as client:
        own = client.read_flow_run(flow_run.id)
        assert own.start_time
        due: dict[str, Any] = {
            "deployment_id": {"any_": [own.deployment_id]},
            "state": {"name": {"any_": [*WAITS]}},
            "expected_start_time": {"before_": own.start_time},
        }
        found = client.read_flow_runs(flow_run_filter=FlowRunFilter(**due), limit=200)
        said = f"run {own.name!r} did the same, and began after this one was asked for"
        # When it is due may be by the clock of who asked; when it was made is by the server's
        before = [run for run in found if run.created and run.created <= own.start_time]
        for run in (run for run in before if _asked(run) == _asked(own)):
            client.set_flow_run_state(run.id, Completed(name="Skipped", message=said))
            answered += 1
    return answered


def _asked(run: FlowRun) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what decides what a run does: what is not given is as in params.yaml."""
    given = {key: value for key, value in run.parameters.items() if value is not None}
    given.pop(REASON, None)
    return given, run.job_variables or {}
