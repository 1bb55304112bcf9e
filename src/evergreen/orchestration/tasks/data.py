"""The tasks that bring data up to date: ingest, validate, prepare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from evergreen.finding import count, span
from evergreen.orchestration.tasks.job import NAMES, Job, not_a_mistake, skipped
from evergreen.orchestration.tasks.run import Run
from evergreen.orchestration.tasks.shown import create_markdown_artifact, create_table_artifact
from evergreen.stores.dvc import run_stage, run_step

if TYPE_CHECKING:
    from pathlib import Path

    from evergreen.evaluation.evaluate import Evaluation
    from evergreen.quality.bias import BiasReport
    from evergreen.validation.report import BatchReport


@task(name="ingest", task_run_name="ingest", retries=2, retry_delay_seconds=5,
      retry_condition_fn=not_a_mistake, timeout_seconds=3600, cache_policy=NO_CACHE)  # fmt: skip
def ingest(run: Run) -> Any:
    """Take new batches from the source into data/raw/."""
    from evergreen.ingest import batches
    from evergreen.ingest.listing import few

    job, run.steps["ingest"] = run.job, "skipped"
    seen = batches.find_waiting(job.project, job.dataset, job.params)
    if seen.passed_over:
        get_run_logger().warning("passed over in the source: %s", few(seen.passed_over))
    done = run_stage(
        job.project,
        "ingest",
        lambda check: batches.ingest(job.project, job.dataset, job.params, check=check),
        force=bool(seen.offers),
        params=job.params.text,
    )
    if done is None or not done.new:
        return skipped("no new batch")
    run.steps["ingest"] = "done"
    get_run_logger().info(
        "%s, %s", count(len(done.new), "new batch", "new batches"), span(done.new)
    )
    return done


@task(name="validate", task_run_name="validate", timeout_seconds=3600, cache_policy=NO_CACHE)
def validate(run: Run) -> Any:
    """Check new batches; quarantine bad rows, stop at a bad batch."""
    from evergreen.validation.contract import Contract
    from evergreen.validation.report import BadBatchError
    from evergreen.validation.validate import read_reports, stale
    from evergreen.validation.validate import validate as check

    job, run.steps["validate"] = run.job, "skipped"
    try:
        contract = Contract.of(job.project, job.params)
        done = run_step(
            job.project, job.params, "validate", partial(check, job.project, contract), stale
        )
    except BadBatchError as error:
        publish_validation(job, [*read_reports(job.project), error.report])
        raise
    if done is None:
        return skipped("unchanged since it was validated")
    run.steps["validate"] = "done"
    publish_validation(job, done.reports)
    new = [report for report in done.reports if report.batch in done.new]
    bad = sum(report.quarantined for report in new)
    rows = count(sum(report.rows for report in new), "row")
    get_run_logger().info(
        "%s valid, %s, %s quarantined", count(len(done.new), "batch", "batches"), rows, f"{bad:,}"
    )
    return done


def publish_validation(job: Job, reports: Sequence[BatchReport]) -> None:
    """Write the validation page, and show its short table in the UI."""
    from evergreen.report.validation_page import write_validation_page

    write_validation_page(job.project, reports, job.params.tracking.model)
    table = [
        {
            "batch": report.batch,
            "rows": report.rows,
            "valid": report.valid,
            "quarantined": report.quarantined,
            "verdict": "bad" if report.faults else "valid",
            "why": "; ".join(
                report.faults
                or [
                    f"{c.says} ({c.broken})"
                    for c in report.checks
                    if c.scope == "rows" and c.broken
                ]
            ),
        }
        for report in reports
    ]
    create_table_artifact(
        table,
        key="validation",
        description="Batches and their rows; the full page: reports/validation.html",
    )


@task(name="prepare", task_run_name="prepare", timeout_seconds=3600, cache_policy=NO_CACHE)
def prepare(run: Run) -> Any:
    """Turn validated batches into features, split by time, fit the encoder on training rows."""
    from evergreen.features.prepare import prepare as make
    from evergreen.features.prepare import stale
    from evergreen.ingest.manifest import Manifest
    from evergreen.quality.held_batches import (
        check_accepted,
        describe_held,
        find_held,
        read_held,
    )

    job, run.steps["prepare"] = run.job, "skipped"
    check_accepted(job.params.drift, Manifest(job.project.raw).entries)
    before = read_held(Manifest(job.project.features))
    work = partial(make, job.project, job.dataset, job.params, find_held)
    done = run_step(job.project, job.params, "prepare", work, stale)
    held = describe_held(Manifest(job.project.features))
    for told in held:
        get_run_logger().warning("held back: %s", told)
    for batch, columns in read_held(Manifest(job.project.features)).items():
        if batch not in before:
            job.notify("held back", batch=batch, says=columns.values())
    if done is None:
        return skipped("unchanged since it was prepared")
    run.steps["prepare"] = "done"
    parts = {NAMES[role]: getattr(done.split, role).batches for role in NAMES}
    if done.split.judged:
        parts = {"training, judged by cross-validation:": done.split.judged.batches}
    shown = ", ".join(f"{name} {span(batches)}" for name, batches in parts.items())
    if not done.split.newest_judges and not done.split.judged:
        shown = (
            f"{span(done.split.holdout.batches)}, split "
            f"{'by chance' if done.split.holdout.shares else 'by time'}"
        )
    get_run_logger().info("%s rows: %s", f"{done.rows:,}", shown)
    lines = [f"| {name} | {', '.join(batches)} |" for name, batches in parts.items()]
    lines += ["", "Rows left out on purpose:", ""] + [
        f"- {count(rows, 'row')}, {why}" for why, rows in done.left_out.items()
    ]
    lines += ["", *(f"**Held back**: {told}" for told in held)]
    create_markdown_artifact("\n".join(["| part | batches |", "|---|---|", *lines]), key="split")
    for why, rows in done.left_out.items():
        get_run_logger().info("left out on purpose: %s, %s", count(rows, "row"), why)
    return done


@task(name="bias", task_run_name="bias", timeout_seconds=3600, cache_policy=NO_CACHE)
def bias(job: Job) -> BiasReport:
    """Return what the training data leave out, lack and repeat; stop at a bound of params.yaml."""
    from evergreen.quality.bias import check_bias, find_bias
    from evergreen.quality.bias_findings import Evidence

    report = find_bias(Evidence.read(job.project, job.dataset), seed=job.params.sweep.first_seed)
    publish_bias(job, report)
    check_bias(report, job.params.bias)
    return report


def publish_bias(job: Job, report: BiasReport) -> Path:
    """Write the page, and show its numbers in the UI; return the page's path."""
    from evergreen.report.bias_page import write_bias_page

    page = write_bias_page(
        job.project, report, f"Data bias of {job.params.tracking.model}", job.params.bias
    )
    table = [
        {
            "what": finding.name,
            "value": "not known" if finding.value is None else f"{finding.value:.4g}",
            "meaning": finding.says,
        }
        for finding in report.findings
    ]
    create_table_artifact(
        table, key="bias", description="The training data; the full page: reports/bias.html"
    )
    return page


def add_label_noise(job: Job, bias: BiasReport, evaluation: Evaluation) -> BiasReport:
    """Return the report with what the model, which has not seen these labels, says of them."""
    from polars import selectors

    from evergreen.evaluation.evaluate import MODEL
    from evergreen.features.keys import KEY
    from evergreen.features.row_numbers import describe_rows
    from evergreen.features.split import Split, read_part
    from evergreen.quality.label_noise import Predicted, find_label_noise

    holdout = Split.of(job.project).judging
    keys = read_part(job.project, holdout, [selectors.starts_with(KEY)])
    tell = None if job.dataset.key else partial(describe_rows, job.project, job.dataset, holdout)
    predicted = Predicted(
        evaluation.y, evaluation.predictions[MODEL], evaluation.classes, keys, "the holdout", tell
    )
    return replace(bias, findings=(*bias.findings, *find_label_noise(evaluation.task, predicted)))
