"""The papers of a run: the card of the model that it registered, and what people have answered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.orchestration.tasks.job import Job
from evergreen.papers.card import CARD
from evergreen.papers.datasheet import read_datasheet
from evergreen.papers.registration import Registration
from evergreen.stores.dvc import data_versions
from evergreen.stores.events import REFUSED

if TYPE_CHECKING:
    from evergreen.decision import Decision
    from evergreen.orchestration.tasks.run import Training
    from evergreen.stores.registry import Registered


def write_card(run: Training, number: str, decision: Decision) -> list[Path]:
    """Write the card of the model that a run has registered; return the paths of its files.

    Its head is what MLflow's page of the version says.
    """
    from evergreen.features.split import Split, read_part
    from evergreen.papers.sections import make_card

    job, made = run.job, run.model
    assert made
    rows = read_part(job.project, Split.of(job.project).judging)
    _, tags = job.runs.describe(run.run_id)
    found = Registration(
        project=job.project,
        params=job.params,
        dataset=job.dataset,
        datasheet=read_datasheet(job.project),
        version=number,
        run_id=run.run_id,
        model=made.model(),
        evaluation=run.evaluation,
        rows=rows,
        evidence=run.judged.evidence,
        decision=decision,
        bias=run.bias,
        notes=run.notes,
        failed=tuple(run.failed),
        versions=data_versions(job.project),
        facts=tags,
        seconds=job.seeds.seconds_of(run.run_id),
        history=tuple(event.told for event in job.registry.events.history()),
    )
    card = make_card(found)
    job.registry.versions.describe(
        number, f"{card.as_summary()}\nThe whole card: {CARD}.html among the files of its run.\n"
    )
    return card.write(job.project)


def unanswered(job: Job) -> tuple[str, ...]:
    """Return the questions of datasheet.yaml that keep a model from going live, if any do.

    Raises InputError where the file cannot be read.
    """
    found = read_datasheet(job.project).unanswered
    return found if job.params.gate.datasheet == "required" else ()


def awaits_answers(job: Job, registered: Registered) -> bool:
    """Return whether a version was refused for want of answers that are there now."""
    if job.params.gate.datasheet != "required" or unanswered(job):
        return False
    events = job.registry.events
    event = events.last_decision(registered.version)
    if event is None or event.what != REFUSED:
        return False
    return bool(events.evidence(event).get("evidence", {}).get("unanswered"))
