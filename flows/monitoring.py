"""From new batches to the question whether the champion still fits: ingest, validate, prepare, look, look back, ask."""

from __future__ import annotations

from dataclasses import dataclass

from prefect import flow

from evergreen.decision import Decision
from evergreen.orchestration import console
from evergreen.orchestration.steps import data
from evergreen.orchestration.steps import monitoring as steps
from evergreen.orchestration.steps.job import Job, name_run, newest, skip, value


@dataclass(frozen=True)
class Watch:
    """What a monitoring run saw: the batches looked at, what the policy says after the last, and what was asked for."""

    batches: tuple[str, ...]
    version: str | None
    decision: Decision | None
    rollback: Decision | None
    asked: tuple[str, ...]
    missing: str = ""  # why there is no champion


@flow(name="monitoring")
def monitoring() -> Watch:
    """Look at every new batch beside what the champion has learnt from, and ask for a retraining where it is time."""
    console.install()
    job = Job.open()
    with job.hold("monitoring"):
        for step in (data.ingest, data.validate, data.prepare):
            value(step(job))
        name_run(f"monitoring{newest(job)}")
        watched = steps.know_champion(job)
        if not watched:
            return Watch((), None, None, None, (), steps.ask_for_first(job))
        waiting = steps.find_waiting(job, watched)
        decision = None
        for one in waiting:
            decision = steps.look(job, watched, one, last=one is waiting[-1])
        back = steps.look_back(job, watched)
        if not waiting:
            skip("look", "every batch was looked at before")
        steps.write_page(job, watched)
        asked = steps.ask(job, watched)
    names = tuple(one.name for one in waiting)
    return Watch(
        names, watched.reference.version, decision, back, tuple(one.batch for one in asked)
    )
