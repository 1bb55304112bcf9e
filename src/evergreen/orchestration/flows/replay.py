"""History once more under several retraining policies: what each would have gained and cost."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from pydantic import Field

from evergreen.orchestration import console
from evergreen.orchestration.tasks import replay as steps
from evergreen.orchestration.tasks.job import Job
from evergreen.replay.outcome import POLICIES, Options, Policy, Replay

Batch = Annotated[str | None, Field(min_length=1)]
Seeds = Annotated[int | None, Field(ge=1, le=1000)]
Every = Annotated[int, Field(ge=1, le=1000)]
Policies = Annotated[tuple[Policy, ...], Field(min_length=1)]


@flow(name="replay")
def replay(
    until: Batch = None, seeds: Seeds = None, every: Every = 3, policies: Policies = POLICIES
) -> Replay:
    """Replay the batches of the source one by one.

    The real models and data are neither read nor changed.

    Args:
        until: The last batch; empty: the newest there is.
        seeds: How many seeds each retraining has; empty: as in params.yaml.
        every: How many batches lie between two scheduled retrainings.
        policies: Which policies are tried, beside never retraining; "ungated" promotes every
            challenger.
    """
    console.install()
    job = Job.open()
    with steps.hold(job, Options(until, seeds, every, policies)) as running:
        steps.walk(running)
        found = running.result()
        steps.publish(job, found, running)
    return found
