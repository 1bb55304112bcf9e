"""The tasks that score a batch: read, validate, score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from evergreen.errors import InputError
from evergreen.finding import count
from evergreen.ingest.personal_key import check_learnt, key_of
from evergreen.orchestration.tasks.job import Job, not_a_mistake
from evergreen.orchestration.tasks.shown import create_table_artifact
from evergreen.scoring.predictions import ONNX, PACKAGE, Engine, Kept, Scorer
from evergreen.scoring.unlabelled import Given
from evergreen.stores.outside import find_live, remedy

if TYPE_CHECKING:
    from evergreen.scoring.score import Summary
    from evergreen.validation.report import Outcome


@dataclass(frozen=True)
class Plan:
    """The rows to score, the champion that scores them, and its earlier predictions, if any."""

    given: Given
    scorer: Scorer
    kept: Kept | None = field(default=None, repr=False)


@task(name="read", task_run_name="read", retries=2, retry_delay_seconds=5,
      retry_condition_fn=not_a_mistake, timeout_seconds=3600, cache_policy=NO_CACHE)  # fmt: skip
def read(job: Job, path: str, name: str | None) -> Plan:
    """See who is champion, read the rows, and look whether it has scored them before."""
    from evergreen.scoring.predictions import find
    from evergreen.scoring.unlabelled import read_given

    scorer = champion(job)
    if job.dataset.personal:
        _, tags = job.runs.describe(scorer.run_id)
        check_learnt(key_of(job.project, job.dataset), tags, scorer.version)
    given = read_given(job.project, job.dataset, job.params.source, path, name)
    get_run_logger().info(
        "%s for version %s of %s", count(given.rows.height, "row"), scorer.version, scorer.model
    )
    return Plan(given, scorer, find(job.project, job.dataset, given, scorer))


def champion(job: Job) -> Scorer:
    """Return the version that is live. Raises InputError where there is none."""
    event = find_live(job.tracker, job.registry)
    if fault := job.registry.fault(event):
        raise InputError(f"the champion cannot be used ({fault}): {remedy(job.registry, event)}")
    job.warn()
    return Scorer(job.registry.name, event.version, job.registry.versions.run_of(event.version))


@task(name="validate", task_run_name="validate", timeout_seconds=3600, cache_policy=NO_CACHE)
def validate(job: Job, plan: Plan) -> Outcome:
    """Check the rows as any batch's, less what is known later; quarantine bad rows.

    Stops at a bad batch.
    """
    from evergreen.scoring.unlabelled import check_given
    from evergreen.validation.contract import Contract

    checked = check_given(plan.given, Contract.of(job.project, job.params))
    report = checked.report
    get_run_logger().info(
        "%s valid, %s quarantined", count(report.valid, "row"), f"{report.quarantined:,}"
    )
    return checked


@task(name="score", task_run_name="score", retries=2, retry_delay_seconds=5,
      retry_condition_fn=not_a_mistake, timeout_seconds=3600, cache_policy=NO_CACHE)  # fmt: skip
def score(job: Job, plan: Plan, checked: Outcome, engine: Engine = PACKAGE) -> tuple[Kept, bool]:
    """Predict with the champion, checksums compared, and keep it; return whether it is new."""
    from evergreen.features.definition import Definition
    from evergreen.scoring.score import summarize_scores
    from evergreen.scoring.score_and_keep import score_and_keep

    dataset, model = job.dataset, job.registry.versions.open(plan.scorer.version)
    predict = None
    if engine == ONNX:
        from evergreen.export.onnx_file import OnnxModel, build

        predict = OnnxModel(build(model).SerializeToString()).predict_rows
    kept, fresh, scores = score_and_keep(
        job.project,
        dataset,
        job.params.task,
        model,
        plan.scorer,
        plan.given,
        checked,
        predict,
        engine,
    )
    now = Definition.of(dataset, job.params.task)
    for change in model.definition.changes(now):
        get_run_logger().warning("version %s: %s", plan.scorer.version, change)
    table = tabulate(kept, summarize_scores(scores, model.encoder))
    about = f"Batch {kept.batch} by version {kept.scorer.version}; {kept.path}"
    create_table_artifact(table, key="scoring", description=about)
    get_run_logger().info(
        "%s scored by version %s: %s", count(kept.scored, "row"), kept.scorer.version, kept.path
    )
    return kept, fresh


def tabulate(kept: Kept, summary: Summary) -> list[dict[str, Any]]:
    """Return what the UI shows of a scoring: counts, predictions, unknown levels by column."""
    counts: Mapping[str, int] = {
        "rows scored": kept.scored,
        "rows quarantined": kept.quarantined,
        **{f"rows left out, {why}": rows for why, rows in kept.left_out.items()},
        **{
            f"rows with a level of {name!r} unknown to the model": rows
            for name, rows in summary.unseen.items()
        },
    }
    numbers = {
        f"{name}, {what}": f"{value:.4g}"
        for name, shown in summary.predictions.items()
        for what, value in shown.items()
    }
    return [{"what": what, "value": str(value)} for what, value in {**counts, **numbers}.items()]
