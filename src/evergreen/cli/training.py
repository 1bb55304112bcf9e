"""`evergreen run`: data and model brought up to date."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from evergreen.cli.session import open_flow, open_project
from evergreen.cli.table import held_rows, show_table, titled

if TYPE_CHECKING:
    from evergreen.params import Params
    from evergreen.project import Project

BY_CHANCE = (
    ", chosen by chance; if batches come in the order of time, "
    'time="<order>" in dataset.py lets the newest judge'
)
PICTURES = (
    "reports/: result.png, curves.png, comparison.png, validation.html, bias.html, model_card.html"
)
NOTHING_NEW = "nothing has changed since the last run: every step is skipped"
SOME_SEEDS_FAILED = 3  # exit code


@click.command()
@click.option("--seeds", type=int, help="How many seeds, in place of sweep.seeds.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    help="Where to train, in place of train.device.",
)
@click.option(
    "--model",
    type=click.Choice(["median", "mean"]),
    help="Which model comes out, in place of sweep.model.",
)
@click.option("--reason", default="asked for", help="Why; kept with the run.")
def run(seeds: int | None, device: str | None, model: str | None, reason: str) -> None:
    """Bring data and model up to date.

    Ingest, validate, prepare, check leaks, train, evaluate, compare, refit, register, decide: only
    what is new.
    """
    from evergreen.orchestration import unchanged
    from evergreen.redact import redact
    from evergreen.stores.git import first_commit

    began = time.monotonic()
    with open_project(lock=False) as (project, params):
        # Wrong values end here, before a server is started
        asked: dict[str, dict[str, Any]] = {
            "sweep": {"seeds": seeds, "model": model},
            "train": {"device": device},
        }
        params.override(**asked)
        first_commit(project.root)
        _ = project.dataset
        if rows := _rows_unchanged(project, params, asked):
            click.echo(NOTHING_NEW)
            show_table(["step", "what happened"], [*rows, _took(began)])
            return
        flow = open_flow(project, params, "training", lambda: _load_libraries(project, params))
        outcome = flow(seeds=seeds, device=device, model=model, reason=redact(reason))
        rows = outcome_rows(project, params, outcome)
        show_table(["step", "what happened"], [*rows, _took(began)])
        if outcome.left:  # what the next run prints, where it finds nothing to do
            same = replace(outcome, decision=None, steps=dict.fromkeys(outcome.steps, "skipped"))
            unchanged.keep(project, outcome.left, outcome_rows(project, params, same))
    if outcome.failed_seeds:
        sys.exit(SOME_SEEDS_FAILED)


def _rows_unchanged(
    project: Project,
    params: Params,
    asked: dict[str, dict[str, Any]],
) -> list[list[str]]:
    """Return what is printed of a run with nothing to do; empty for any other."""
    from evergreen.ingest.batches import find_waiting
    from evergreen.orchestration import unchanged
    from evergreen.orchestration.turn import turn

    def waits() -> bool:
        waiting = find_waiting(project, project.dataset, params)
        return bool(waiting.offers or waiting.passed_over)

    with turn(project):
        return unchanged.find(project, params, asked, waits)


def _took(began: float) -> list[str]:
    return ["took", f"{time.monotonic() - began:.0f} s"]


def outcome_rows(project: Project, params: Params, outcome: Any) -> list[list[str]]:
    """Return what a run did, what the model is worth, and where to read more."""
    from evergreen.features.split import Split
    from evergreen.stores.runs import Runs
    from evergreen.stores.tracking import Tracker

    tracker, split = Tracker(project, params), Split.of(project)
    rows = [[step, how] for step, how in outcome.steps.items()]
    hint = BY_CHANCE if split.holdout.shares and len(split.holdout.batches) > 1 else ""
    rows.append(["judged on", split.judging_rows() + hint])
    rows += metric_rows(params, Runs(tracker).describe(outcome.run_id)[0])
    if outcome.decision:
        rows += titled("why", outcome.decision.reasons)
    if outcome.registered:
        model = outcome.registered
        alias = f" is {model.alias}" if model.alias else ""
        rows.append(["model", f"{model.name} version {model.version}{alias}"])
    rows += held_rows(project)
    if outcome.failed_seeds:
        failed = ", ".join(map(str, outcome.failed_seeds))
        rows.append(["failed seeds", f"{failed}; run again to try them again"])
    rows.append(["pictures", PICTURES])
    where = "" if "://" in tracker.uri[:8] else "  (with `evergreen up`)"
    rows.append(["MLflow", tracker.link(outcome.run_id) + where])
    return rows


def metric_rows(params: Params, metrics: dict[str, float]) -> list[list[str]]:
    """Return the task's first metric, beside the baselines and over seeds; none if not recorded."""
    name = next(iter(params.metrics.of(params.task)))
    if name not in metrics:
        return []
    interval = f"({metrics[f'{name}.low']:.4f} to {metrics[f'{name}.high']:.4f})"
    found = [f"{params.train.learner} {metrics[name]:.4f} {interval}"]
    found += [f"{other} {metrics[f'{other}.{name}']:.4f}" for other in ("linear", "constant")]
    mean, deviation = metrics[f"seeds.{name}.mean"], metrics.get(f"seeds.{name}.deviation", 0)
    return [[name, ", ".join(found)], ["over seeds", f"{mean:.4f} ± {deviation:.4f}"]]


def _load_libraries(project: Project, params: Params) -> None:
    """Import, while the server starts, what every run needs."""
    from evergreen.stores import dvc
    from evergreen.stores.tracking import Tracker
    from evergreen.validation import validate

    dvc.load_library()
    _ = Tracker(project, params).experiment
    if not project.validated.exists():
        # A first run: its server takes longer, and there is something to validate
        validate.load_library()
