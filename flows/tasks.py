"""Each step as a Prefect task: how often it is retried, how long it may take, what the UI shows of it.

The one place for such policy: steps know no Prefect, flows know only order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Semaphore
from typing import Any, TypeVar

from prefect import State, Task, task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import TaskRun
from prefect.futures import as_completed
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.utilities.annotations import quote

from evergreen import params as parameters
from evergreen.errors import explain
from evergreen.model.sweep import Slots, Spread, seed_fingerprint, share_cores, sweep_fingerprint
from evergreen.model.train import Trained
from evergreen.params import Params
from evergreen.project import Project
from evergreen.tracking import Registered, Tracker
from evergreen.versions import data_versions, run_stage

T = TypeVar("T")
NAMES = {"train": "training", "validation": "early stopping", "holdout": "holdout"}


@dataclass(frozen=True)
class Job:
    """What every task of one run needs."""

    project: Project
    params: Params
    tracker: Tracker = field(repr=False)

    @classmethod
    def open(cls, **sections: dict[str, Any]) -> Job:
        """Return the job of the project around the working directory, some parameters replaced."""
        project = Project.find()
        params = parameters.load(project.params).override(**sections)
        return cls(project, params, Tracker(project, params))


@dataclass(frozen=True)
class Plan:
    """What the sweep will do: on which device, how many seeds at once; `finished` is an identical run, if any.

    `registered` is the model of that run.
    """

    device: str
    slots: Slots
    fingerprint: str
    data: str
    finished: str | None = None
    registered: Registered | None = None


@dataclass(frozen=True)
class Seed:
    """What became of one seed."""

    trained: Trained = field(repr=False)
    metrics: Mapping[str, float]
    reused: bool

    def tell(self) -> str:
        """Say it in a few words."""
        name, best = next(iter(self.metrics.items()))
        how = "from an earlier run" if self.reused else f"{self.trained.seconds:.1f} s"
        return f"{name} {best:.4f} after {self.trained.rounds} rounds, {how}"


def value(result: T | State[T]) -> T:
    """Return what a task gave, also where it gave a state to be shown with it."""
    return result.result() if isinstance(result, State) else result  # type: ignore[return-value]


def skipped(why: str, result: Any = None) -> State[Any]:
    """Return a state that the UI shows as 'Skipped', with the reason."""
    get_run_logger().info("skipped, %s", why)
    return Completed(name="Skipped", message=why, data=result)


def not_a_mistake(_: Task[..., Any], __: TaskRun, state: State[Any]) -> bool:
    """Retry only what trying again can mend."""
    error = state.result(raise_on_failure=False)
    return not (isinstance(error, BaseException) and explain(error))


def name_run(job: Job) -> None:
    """Call the flow's run after the newest batch it knows."""
    from evergreen.data.manifest import Manifest

    newest = list(Manifest(job.project.features).in_order())[-1]
    name = f"{job.params.tracking.model} up to {newest}, {job.params.sweep.seeds} seeds"
    if flow_run.id:
        with get_client(sync_client=True) as client:
            client.update_flow_run(flow_run.id, name=name)


def describe(job: Job, plan: Plan) -> tuple[str, dict[str, Any]]:
    """Return the name of the training run in MLflow, and the facts it carries."""
    from evergreen.data.prepare import Split

    split = Split.read(job.project.features / "split.json")
    parts = {f"split.{role}": ", ".join(getattr(split, role).batches) for role in NAMES}
    facts = {"device": plan.device, "seeds": job.params.sweep.seed_list(), "data": plan.data, "task": job.params.task}
    return f"up to {split.holdout.batches[-1]}", facts | parts


# --- data -------------------------------------------------------------------------------------------------------------


@task(name="ingest", task_run_name="ingest", retries=2, retry_delay_seconds=5, retry_condition_fn=not_a_mistake,
      timeout_seconds=3600, cache_policy=NO_CACHE)  # fmt: skip
def ingest(job: Job) -> Any:
    """Take new batches from the source into data/raw/."""
    from evergreen.data import batches

    waiting = batches.waiting(job.project, job.params)
    done = run_stage(
        job.project, "ingest", lambda check: batches.ingest(job.project, job.params, check=check), force=bool(waiting)
    )
    if done is None or not done.new:
        return skipped("no new batch")
    get_run_logger().info("%d new batches, %s to %s", len(done.new), done.new[0], done.new[-1])
    return done


@task(name="validate", task_run_name="validate", timeout_seconds=3600, cache_policy=NO_CACHE)
def validate(job: Job) -> Any:
    """Check new batches; quarantine bad rows, stop at a bad batch."""
    from evergreen.data.validate import BadBatchError, read_reports
    from evergreen.data.validate import validate as check

    try:
        done = run_stage(job.project, "validate", lambda altered: check(job.project, job.params, check=altered))
    except BadBatchError as error:
        publish_validation(job, [*read_reports(job.project), error.report])
        raise
    if done is None:
        return skipped("unchanged since it was validated")
    publish_validation(job, done.reports)
    new = [one for one in done.reports if one.batch in done.new]
    bad = sum(one.quarantined for one in new)
    get_run_logger().info(
        "%d batches valid, %s rows, %s quarantined", len(done.new), f"{sum(one.rows for one in new):,}", f"{bad:,}"
    )
    return done


def publish_validation(job: Job, reports: Sequence[Any]) -> None:
    """Write the validation page, and show its short table in the UI."""
    from evergreen.report.validation_page import write_validation_page

    write_validation_page(job.project, reports, job.params.tracking.model)
    table = [
        {
            "batch": one.batch,
            "rows": one.rows,
            "valid": one.valid,
            "quarantined": one.quarantined,
            "verdict": "bad" if one.faults else "valid",
            "why": "; ".join(
                one.faults or [f"{c.says} ({c.broken})" for c in one.checks if c.scope == "rows" and c.broken]
            ),
        }
        for one in reports
    ]
    create_table_artifact(
        table, key="validation", description="Batches and their rows; the full page: reports/validation.html"
    )


@task(name="prepare", task_run_name="prepare", timeout_seconds=3600, cache_policy=NO_CACHE)
def prepare(job: Job) -> Any:
    """Turn validated batches into features, split them by time, fit the encoder on training rows."""
    from evergreen.data.prepare import prepare as make

    done = run_stage(job.project, "prepare", lambda altered: make(job.project, job.params, check=altered))
    if done is None:
        return skipped("unchanged since it was prepared")
    parts = {NAMES[role]: getattr(done.split, role).batches for role in NAMES}
    shown = ", ".join(
        f"{name} {batches[0]}" + (f" to {batches[-1]}" if len(batches) > 1 else "") for name, batches in parts.items()
    )
    get_run_logger().info("%s rows: %s", f"{done.rows:,}", shown)
    lines = [f"| {name} | {', '.join(batches)} |" for name, batches in parts.items()]
    lines += ["", "Rows left out on purpose:", ""] + [
        f"- {count:,} rows, {why}" for why, count in done.left_out.items()
    ]
    create_markdown_artifact("\n".join(["| part | batches |", "|---|---|", *lines]), key="split")
    for why, count in done.left_out.items():
        get_run_logger().info("left out on purpose: %s rows, %s", f"{count:,}", why)
    return done


# --- model ------------------------------------------------------------------------------------------------------------


@task(name="plan", task_run_name="plan", cache_policy=NO_CACHE)
def plan(job: Job) -> Plan:
    """Close what a killed run left open, and see what is to be trained."""
    from evergreen.model.device import count_cores, pick_device

    for run_id in job.tracker.recover():
        get_run_logger().warning("run %s was killed before: its finished seeds are kept", run_id)
    device = pick_device(job.params.train.device)
    data = data_versions(job.project)["data/features"]
    fingerprint = sweep_fingerprint(data, job.params, device)
    finished = job.tracker.find_finished(fingerprint)
    registered = job.tracker.version_of(finished.info.run_id) if finished else None
    if finished and not registered:
        get_run_logger().warning("the model of run %s is gone or damaged: it is made again", finished.info.run_id)
        job.tracker.reopen(finished.info.run_id)
        finished = None
    slots = share_cores(job.params.sweep, count_cores(), device)
    get_run_logger().info(
        "%d seeds on %s, %d at once with %d thread(s) each", job.params.sweep.seeds, device, slots.jobs, slots.threads
    )
    return Plan(device, slots, fingerprint, data, finished.info.run_id if finished else None, registered)


@task(name="skip", task_run_name="{step}", cache_policy=NO_CACHE)
def skip(step: str, why: str) -> Any:
    """Stand for a step whose result is there already."""
    return skipped(why)


@task(name="matrix", task_run_name="matrix", timeout_seconds=3600, cache_policy=NO_CACHE)
def matrix(job: Job, plan: Plan, run_id: str) -> Any:
    """Encode and bin the rows once for all seeds, and recall the seeds that an earlier run trained."""
    from evergreen.model.evaluate import check_holdout
    from evergreen.model.matrix import build_matrix, load_tables

    tables = load_tables(job.project)
    check_holdout(tables)
    parts = {role: len(getattr(tables, role)) for role in NAMES}
    job.tracker.log_data(run_id, data_versions(job.project), parts)
    recalled = {
        seed: found
        for seed in job.params.sweep.seed_list()
        if (found := job.tracker.load_seed(run_id, seed_fingerprint(plan.data, job.params, plan.device, seed)))
    }
    whole = len(recalled) == job.params.sweep.seeds
    binned = None if whole else build_matrix(tables, job.params.train.max_bin)
    rows = ", ".join(f"{count:,} {NAMES[role]}" for role, count in parts.items())
    get_run_logger().info("%s rows, %d features", rows, len(tables.features))
    return tables, binned, recalled


@task(
    name="train", task_run_name="train seed {seed}", retries=1, retry_condition_fn=not_a_mistake, cache_policy=NO_CACHE
)
def train(job: Job, plan: Plan, run_id: str, tables: Any, binned: Any, seed: int, known: Any, limit: Semaphore) -> Any:
    """Train one seed and record it at once, so that a killed sweep keeps it."""
    from evergreen.model.evaluate import measure_seed
    from evergreen.model.train import train as fit

    if known is not None:
        return skipped("trained by an earlier run", Seed(known, measure_seed(tables, known.booster), reused=True))
    with limit:
        trained = fit(binned, job.params.train, seed, device=plan.device, threads=plan.slots.threads)
        metrics = measure_seed(tables, trained.booster)
    fingerprint = seed_fingerprint(plan.data, job.params, plan.device, seed)
    job.tracker.record_seed(run_id, trained, metrics, fingerprint)
    return Seed(trained, metrics, reused=False)


def sweep(
    job: Job, plan: Plan, run_id: str, tables: Any, binned: Any, known: Mapping[int, Any]
) -> tuple[list[Seed], list[int]]:
    """Train the seeds side by side, a task each; return those with a model, and the seeds that failed.

    A seed that fails is reported and the rest goes on; what would fail every seed (a full disk, say) stops the sweep.
    """
    seeds = job.params.sweep.seed_list()
    limit = Semaphore(plan.slots.jobs)
    futures = {
        train.submit(job, plan, run_id, quote(tables), quote(binned), seed, known.get(seed), limit): seed
        for seed in seeds
    }
    progress = create_progress_artifact(0.0, key="sweep-progress", description=f"{len(seeds)} seeds")
    trained, failed = {}, {}
    for number, future in enumerate(as_completed(list(futures)), 1):
        result, seed = future.result(raise_on_failure=False), futures[future]
        if isinstance(result, BaseException):
            failed[seed] = result
            job.tracker.record_failure(run_id, seed, str(result))
        else:
            trained[seed] = result
        update_progress_artifact(progress, 100 * number / len(seeds))
        told = "failed" if seed in failed else trained[seed].tell()
        get_run_logger().info("seed %d: %s (%d of %d)", seed, told, number, len(seeds))
    for error in failed.values():
        if explain(error) or not trained:
            raise error
    return [trained[seed] for seed in sorted(trained)], sorted(failed)


@task(name="evaluate", task_run_name="evaluate", timeout_seconds=3600, cache_policy=NO_CACHE)
def evaluate(job: Job, run_id: str, tables: Any, seeds: Sequence[Seed], failed: Sequence[int]) -> Any:
    """Choose the model, judge it on the holdout beside two baselines, draw the pictures."""
    from evergreen.model.baselines import predict_baselines
    from evergreen.model.evaluate import evaluate as judge
    from evergreen.model.sweep import choose
    from evergreen.report.plots import draw_curves, draw_result, feature_gain

    boosters = {one.trained.seed: one.trained.booster for one in seeds}
    losses = {one.trained.seed: one.trained.validation_loss for one in seeds}
    chosen = {seed: boosters[seed] for seed in choose(losses, job.params.sweep.model)}
    baselines = predict_baselines(tables, job.params.sweep.first_seed)
    evaluation = judge(tables, chosen, [one.metrics for one in seeds], baselines, job.params.evaluate)
    title = f"{job.params.tracking.model}: {len(seeds)} seeds, holdout of {evaluation.rows:,} rows"
    gain = feature_gain(chosen, tables.features)
    reports = job.project.reports
    files = [
        draw_result(evaluation, [one.trained for one in seeds], gain, title, reports / "result.png"),
        draw_curves(evaluation, title, reports / "curves.png"),
    ]
    page = reports / "validation.html"
    job.tracker.record_evaluation(run_id, evaluation, failed, [*files, *([page] if page.exists() else [])])
    show_sweep(seeds, evaluation.spread, chosen)
    create_markdown_artifact(evaluation.as_markdown(), key="evaluation", description="Bootstrap intervals")
    name, one = next(iter(evaluation.estimates["model"].items()))
    get_run_logger().info(
        "%s %.4f (%.4f to %.4f); linear %.4f",
        name,
        one.value,
        one.low,
        one.high,
        evaluation.estimates["linear"][name].value,
    )
    return chosen


def show_sweep(seeds: Sequence[Seed], spread: Mapping[str, Spread], chosen: Mapping[int, bytes]) -> None:
    """Show a line per seed in the UI, and what they say together."""
    table: list[dict[str, Any]] = [
        {
            "seed": one.trained.seed,
            "rounds": one.trained.rounds,
            "validation loss": round(one.trained.validation_loss, 5),
            **{name: round(number, 5) for name, number in one.metrics.items()},
            "seconds": round(one.trained.seconds, 1),
            "in the model": "yes" if one.trained.seed in chosen else "",
        }
        for one in seeds
    ]
    together = "; ".join(f"{name} {one.mean:.4f} ± {one.deviation:.4f}" for name, one in spread.items())
    create_table_artifact(table, key="sweep", description=f"Over seeds (mean ± standard deviation): {together}")


@task(name="register", task_run_name="register", retries=2, retry_delay_seconds=2, retry_condition_fn=not_a_mistake,
      cache_policy=NO_CACHE)  # fmt: skip
def register(job: Job, plan: Plan, run_id: str, encoder: Any, boosters: Mapping[int, bytes]) -> Registered:
    """Package the model and put it into the registry."""
    import tempfile
    from pathlib import Path

    from evergreen.model.package import write_package

    with tempfile.TemporaryDirectory() as folder:
        place = write_package(Path(folder, "package"), encoder, boosters)
        registered = job.tracker.register(run_id, plan.fingerprint, place, encoder)
    get_run_logger().info("%s version %s is %s", registered.name, registered.version, registered.alias)
    show_links(job, run_id, registered)
    return registered


def show_links(job: Job, run_id: str, registered: Registered) -> None:
    """Show in the UI where to look next."""
    run = job.tracker.link(run_id)
    lines = [
        f"**{registered.name} version {registered.version} is {registered.alias}.**",
        "",
        f"- [the run in MLflow]({run})",
        f"- [its pictures and the validation page]({run}/artifacts)",
        f"- on disk: `{job.project.reports}`",
        f"- the data: `{json.dumps(data_versions(job.project))}`",
    ]
    create_markdown_artifact("\n".join(lines), key="links", description="MLflow is up while `evergreen up` runs")
