"""The tasks that make a model: plan, matrix, train, evaluate, register."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Semaphore
from typing import Any

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed
from prefect.logging import get_run_logger
from prefect.utilities.annotations import quote

from evergreen.data.finding import count
from evergreen.errors import explain
from evergreen.model.learner import Trained, find_learner
from evergreen.model.sweep import Slots, Spread, seed_fingerprint, share_cores, sweep_fingerprint
from evergreen.registry import CHAMPION, Registered
from evergreen.versions import data_versions, read_lock
from flows.tasks.data import publish_bias
from flows.tasks.job import NAMES, Job, not_a_mistake, note_shown, skipped
from flows.tasks.shown import create_markdown_artifact, create_table_artifact


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


def describe(job: Job, plan: Plan, reason: str) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Return the name of the training run in MLflow, the facts it carries, and the files that it goes by."""
    from evergreen.data.split import Split

    split = Split.read(job.project.features / "split.json")
    parts = {f"split.{role}": ", ".join(getattr(split, role).batches) for role in NAMES}
    facts = {"device": plan.device, "seeds": job.params.sweep.seed_list(), "data": plan.data, "task": job.params.task}
    facts["reason"] = reason
    name = f"up to {split.holdout.batches[-1]}, {count(job.params.sweep.seeds, 'seed')}, {job.params.sweep.model}"
    texts = {"params.yaml": job.params.text.decode(), "dvc.lock": read_lock(job.project).decode()}
    return name, facts | parts, texts


@task(name="plan", task_run_name="plan", cache_policy=NO_CACHE)
def plan(job: Job) -> Plan:
    """Close what a killed run left open, and see what is to be trained."""
    from evergreen.model.device import count_cores, pick_device
    from evergreen.model.metrics import pick_metric

    pick_metric(job.params.gate.metric, job.params.task)  # a wrong one is told before anything is trained
    for run_id in job.tracker.recover():
        get_run_logger().warning("run %s was killed before: its finished seeds are kept", run_id)
    device = pick_device(job.params.train.device)
    data = data_versions(job.project)["data/features"]
    fingerprint = sweep_fingerprint(data, job.params, device)
    finished = job.tracker.find_finished(fingerprint)
    job.finish_cut()
    job.note_outside()
    registered = job.registry.version_of(finished.info.run_id) if finished else None
    if finished and not registered:
        get_run_logger().warning("the model of run %s is gone or damaged: it is made again", finished.info.run_id)
        job.tracker.reopen(finished.info.run_id)
        finished = None
    elif finished and registered and _lacks_champion(job, registered):
        get_run_logger().warning("the champion is gone or damaged: version %s is judged again", registered.version)
        job.tracker.reopen(finished.info.run_id)
        finished = None
    if not finished:
        _check_left(job)
    slots = share_cores(job.params.sweep, count_cores(), device)
    get_run_logger().info(
        "%s on %s, %d at once with %s each",
        count(job.params.sweep.seeds, "seed"),
        device,
        slots.jobs,
        count(slots.threads, "thread"),
    )
    return Plan(device, slots, fingerprint, data, finished.info.run_id if finished else None, registered)


def _check_left(job: Job) -> None:
    """Raise InputError where little is left of what the champion has learnt from."""
    from evergreen.data.hold import check_left
    from evergreen.data.manifest import Manifest
    from evergreen.data.split import Split

    if not (live := job.registry.champion()):
        return
    _, tags = job.tracker.describe(job.registry.run_of(live))
    used = Split.read(job.project.features / "split.json").train.batches
    learnt = tags["evergreen.split.train"].split(", ")
    check_left(Manifest(job.project.features), used, learnt, job.params.split.min_share)


def _lacks_champion(job: Job, registered: Registered) -> bool:
    """Say whether a version other than the `registered` one is champion, and cannot be."""
    held = job.registry.aliases().get(CHAMPION)
    return held is not None and held != registered.version and not job.registry.champion()


@task(name="leaks", task_run_name="leaks", timeout_seconds=3600, cache_policy=NO_CACHE)
def load(job: Job) -> tuple[Any, tuple[str, ...]]:
    """Encode the rows, and stop where something in them is too good to be known at prediction time.

    Returns the tables, and what a person must be told of the checks.
    """
    from evergreen.life.leaks import check_leaks
    from evergreen.model.evaluate import check_holdout
    from evergreen.model.tables import load_tables

    tables = load_tables(job.project)
    check_holdout(tables)
    notes = check_leaks(tables, job.params.leaks)
    for note in notes:
        get_run_logger().warning(note)
    return tables, notes


@task(name="matrix", task_run_name="matrix", timeout_seconds=3600, cache_policy=NO_CACHE)
def matrix(job: Job, plan: Plan, run_id: str, tables: Any) -> Any:
    """Bin the rows once for all seeds, and recall the seeds that an earlier run trained."""
    parts = {role: len(getattr(tables, role)) for role in NAMES}
    job.tracker.log_data(run_id, data_versions(job.project), parts)
    recalled = {
        seed: found
        for seed in job.params.sweep.seed_list()
        if (found := job.tracker.load_seed(run_id, seed_fingerprint(plan.data, job.params, plan.device, seed)))
    }
    whole = len(recalled) == job.params.sweep.seeds
    binned = None if whole else find_learner(job.params.train.learner).build_matrix(tables, job.params.train)
    rows = ", ".join(f"{count:,} {NAMES[role]}" for role, count in parts.items())
    get_run_logger().info("%s rows, %s", rows, count(len(tables.features), "feature"))
    return binned, recalled


@task(
    name="train", task_run_name="train seed {seed}", retries=1, retry_condition_fn=not_a_mistake, cache_policy=NO_CACHE
)
def train(job: Job, plan: Plan, run_id: str, tables: Any, binned: Any, seed: int, known: Any, limit: Semaphore) -> Any:
    """Train one seed and record it at once, so that a killed sweep keeps it."""
    from evergreen.model.evaluate import measure_seed

    name = job.params.train.learner
    if known is not None:
        return skipped("trained by an earlier run", Seed(known, measure_seed(tables, known.booster, name), reused=True))
    with limit:
        learner, slots = find_learner(name), plan.slots
        trained = learner.train(binned, job.params.train, seed, device=plan.device, threads=slots.threads)
        metrics = measure_seed(tables, trained.booster, name)
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
    progress = create_progress_artifact(0.0, key="sweep-progress", description=count(len(seeds), "seed"))
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
        if not trained or (explain(error) and not isinstance(error, MemoryError)):
            raise error
    return [trained[seed] for seed in sorted(trained)], sorted(failed)


@task(name="evaluate", task_run_name="evaluate", timeout_seconds=3600, cache_policy=NO_CACHE)
def evaluate(job: Job, run_id: str, tables: Any, seeds: Sequence[Seed], failed: Sequence[int], bias: Any) -> Any:
    """Choose the model, judge it on the holdout beside two baselines, draw the pictures, look for wrong labels."""
    from evergreen.data.bias import check_bias
    from evergreen.model.baselines import predict_baselines
    from evergreen.model.evaluate import evaluate as judge
    from evergreen.model.sweep import choose
    from evergreen.report.plots import draw_curves, draw_result, feature_gain

    boosters = {one.trained.seed: one.trained.booster for one in seeds}
    losses = {one.trained.seed: one.trained.validation_loss for one in seeds}
    chosen = {seed: boosters[seed] for seed in choose(losses, job.params.sweep.model)}
    baselines = predict_baselines(tables, job.params.sweep.first_seed)
    learner = job.params.train.learner
    evaluation = judge(tables, chosen, [one.metrics for one in seeds], baselines, job.params.evaluate, learner)
    title = f"{job.params.tracking.model}: {count(len(seeds), 'seed')}, holdout of {count(evaluation.rows, 'row')}"
    gain = feature_gain(chosen, tables.features, learner)
    reports = job.project.reports
    files = [
        draw_result(evaluation, [one.trained for one in seeds], gain, title, reports / "result.png", learner),
        draw_curves(evaluation, title, reports / "curves.png"),
    ]
    bias = add_label_noise(job, bias, evaluation)
    pages = [publish_bias(job, bias), reports / "validation.html"]
    job.tracker.record_evaluation(run_id, evaluation, failed, [*files, *(page for page in pages if page.exists())])
    note_shown(job, run_id)
    check_bias(bias, job.params.bias)
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
    return evaluation


def add_label_noise(job: Job, bias: Any, evaluation: Any) -> Any:
    """Return the report with what the model, which has not seen the holdout's labels, says of them."""
    from polars import selectors

    from evergreen import dataset
    from evergreen.data.keys import KEY
    from evergreen.data.label_noise import Predicted, find_label_noise
    from evergreen.data.places import tell_rows
    from evergreen.data.split import Split, read_part
    from evergreen.model.evaluate import MODEL

    holdout = Split.read(job.project.features / "split.json").holdout
    keys = read_part(job.project, holdout, [selectors.starts_with(KEY)])
    tell = None if dataset.KEY else partial(tell_rows, job.project, holdout)
    predicted = Predicted(evaluation.y, evaluation.predictions[MODEL], evaluation.classes, keys, "the holdout", tell)
    return replace(bias, findings=(*bias.findings, *find_label_noise(evaluation.task, predicted)))


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
def register(
    job: Job, plan: Plan, run_id: str, tables: Any, seeds: Sequence[Seed], chosen: Sequence[int]
) -> Registered:
    """Package the model made of the `chosen` seeds and put it into the registry."""
    from pathlib import Path

    from evergreen.data.definition import Definition
    from evergreen.data.split import Split
    from evergreen.model.package import Learnt, write_package

    boosters = {one.trained.seed: one.trained.booster for one in seeds if one.trained.seed in chosen}
    split = Split.read(job.project.features / "split.json")
    learnt = Learnt.of(tables, str(split.validation.end))
    definition = Definition.present(job.params.task)
    with job.project.temporary() as folder:
        place = write_package(
            Path(folder, "package"), tables.encoder, boosters, learnt, job.params.train.learner, definition
        )
        registered = job.registry.register(run_id, plan.fingerprint, place, tables.encoder)
    get_run_logger().info("%s version %s is %s", registered.name, registered.version, registered.alias)
    return registered
