"""The champion as monitoring knows it: what it has learnt from, and what is expected of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from evergreen.errors import InputError
from evergreen.features.definition import Definition
from evergreen.finding import span
from evergreen.ingest.manifest import Manifest
from evergreen.monitoring import monitor
from evergreen.orchestration.tasks.job import Job, not_a_mistake
from evergreen.stores.journal import Journal

ONCE = {"retries": 1, "retry_condition_fn": not_a_mistake, "cache_policy": NO_CACHE}


@dataclass(frozen=True)
class LiveChampion:
    """The champion as monitoring knows it, and the batches that judged it when it was promoted."""

    reference: monitor.Reference = field(repr=False)
    journal: Journal = field(repr=False)
    holdout: tuple[str, ...]
    metric: str

    @property
    def label(self) -> str | None:
        """What the champion predicts; None where it does not say."""
        label = self.reference.model.definition.label
        return label.says if label else None

    @property
    def newest(self) -> str:
        """The time of the newest row that the champion has learnt from, ISO 8601."""
        return str(self.reference.model.learnt.newest)


@task(name="champion", task_run_name="champion", **ONCE)
def know_champion(job: Job) -> LiveChampion | None:
    """Gather what the champion is known by; None where there is none."""
    journal = Journal(job.tracker)
    journal.recover()
    job.finish_cut()
    job.note_outside()
    live = job.registry.champion()
    if not live:
        return None
    model = job.registry.versions.open(live)
    _, tags = job.runs.describe(job.registry.versions.run_of(live))
    learnt, holdout = (
        tuple(tags[f"evergreen.split.{role}"].split(", ")) for role in ("train", "holdout")
    )
    learnt = model.learnt.batches if model.refit else learnt
    held_out = (
        job.artifacts.read_held_out(job.registry.versions.run_of(live)) if model.refit else None
    )
    features = Manifest(job.project.features)
    there = [name for name in learnt if name in features.entries]
    if not there or not set(holdout) <= set(features.entries):
        raise InputError(
            f"batches that the champion, version {live}, knows are gone from data/features "
            f"({span((learnt[0], holdout[-1]))}): restore them with `dvc pull`, or train a new "
            "champion with `evergreen run`"
        )
    known = [journal.facts(entry).get("usual_auc") for entry in journal.entries(live)[-1:]]
    for change in check_definition(
        live, model.definition, Definition.of(job.dataset, job.params.task)
    ):
        get_run_logger().warning("version %s is measured by what it was made for: %s", live, change)
    auc = next(iter(known), None)
    own = job.rows_of(model)
    reference = monitor.gather(
        live, model, held_out, features, there, holdout, job.params, auc, own
    )
    # Another task may be wanted by now
    metrics, task = job.params.metrics, model.encoder.task
    wanted = metrics.pick(job.params.gate.metric, job.params.task)
    metric = metrics.pick(wanted if wanted in metrics.of(task) else None, task)
    if metric not in reference.expected:
        raise InputError(
            f"the holdout of the champion, version {live}, has too few rows to say what {metric} "
            "to expect: train a new champion with `evergreen run` when there are more"
        )
    get_run_logger().info("version %s has learnt from %s", live, span(learnt))
    return LiveChampion(reference, journal, holdout, metric)


def check_definition(version: str, was: Definition, now: Definition) -> list[str]:
    """Return what dataset.py says otherwise than when the champion was made.

    Raises InputError where it cannot be told any more which rows the champion has learnt from.
    """
    if was.time not in (None, now.time):
        raise InputError(
            f"the champion, version {version}, cannot be watched: {' '.join(was.changes(now))}; "
            "train another with `evergreen run`, and take it with `evergreen promote --approve`"
        )
    return list(was.changes(now))
