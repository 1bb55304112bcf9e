"""The tasks that make a model: plan, leaks, evaluate, refit, register; sweeps.py trains them."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from evergreen.errors import InputError
from evergreen.finding import count
from evergreen.ingest.personal_key import facts_of
from evergreen.orchestration.tasks.data import add_label_noise, publish_bias
from evergreen.orchestration.tasks.graph import check_graph, graph_of
from evergreen.orchestration.tasks.job import Job, not_a_mistake, note_shown
from evergreen.orchestration.tasks.papers import awaits_answers
from evergreen.orchestration.tasks.shown import create_markdown_artifact
from evergreen.orchestration.tasks.sweeps import Sweep, curves_of, run_sweep, show_sweep
from evergreen.papers.datasheet import read_datasheet
from evergreen.promotion.simplest import LINEAR
from evergreen.promotion.trained_models import TrainedModel, learnt_all, learnt_before
from evergreen.stores.dvc import data_versions, read_lock
from evergreen.stores.registry import CHAMPION, Registered
from evergreen.training.cross_validation import part_bytes
from evergreen.training.fingerprints import sweep_fingerprint, way_of
from evergreen.training.seeds import LIVE, Slots, share_cores

if TYPE_CHECKING:
    from evergreen.evaluation.evaluate import Evaluation
    from evergreen.orchestration.tasks.run import Training
    from evergreen.training.tables import Tables


@dataclass(frozen=True)
class Plan:
    """What the sweep will do; `finished`: an identical run, if any, and `registered` its model."""

    device: str
    slots: Slots
    fingerprint: str
    data: str
    finished: str | None = None
    registered: Registered | None = None
    memory: str = "in-memory"  # where the rows lie that train, and why


def describe(job: Job, plan: Plan, reason: str) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Return the training run's name in MLflow, the facts it carries, and its files' texts."""
    from evergreen.features.split import Split

    split = Split.of(job.project)
    roles = {"train": split.train, "validation": split.validation, "holdout": split.judging}
    parts = {f"split.{role}": ", ".join(part.batches) for role, part in roles.items()}
    sweep = job.params.sweep
    facts = {
        "device": plan.device,
        "memory": plan.memory,
        "seeds": sweep.seed_list(),
        "data": plan.data,
        "task": job.params.task,
        "reason": reason,
    }
    facts |= facts_of(job.project, job.dataset)
    name = f"up to {split.holdout.batches[-1]}, {count(sweep.seeds, 'seed')}, {sweep.model}"
    texts = {"params.yaml": job.params.text.decode(), "dvc.lock": read_lock(job.project).decode()}
    return name, facts | parts, texts


@task(name="plan", task_run_name="plan", cache_policy=NO_CACHE)
def plan(job: Job) -> Plan:
    """Close what a killed run left open, and see what is to be trained."""
    from evergreen.training.cluster import share_workers
    from evergreen.training.device import count_cores, pick_device
    from evergreen.training.learner import check_takes
    from evergreen.training.memory import hold_less, place_rows

    # What is wrong is told before anything is trained
    job.params.metrics.pick(job.params.gate.metric, job.params.task)
    check_takes(job.params)
    check_graph(job.params)
    read_datasheet(job.project)
    for run_id in job.runs.recover():
        get_run_logger().warning("run %s was killed before: its finished seeds are kept", run_id)
    device = pick_device(job.params.train.device)
    data = data_versions(job.project)["data/features"]
    fingerprint = sweep_fingerprint(data, job.params, device)
    finished = job.runs.find_finished(fingerprint)
    job.finish_cut()
    job.note_outside()
    registered = job.registry.version_of(finished.info.run_id) if finished else None
    if finished and (why := _why_again(job, str(finished.info.run_id), registered)):
        get_run_logger().warning(why)
        job.runs.reopen(finished.info.run_id)
        finished = None
    if not finished:
        _check_left(job)
    slots, where = share_cores(job.params.sweep, count_cores(), device), ""
    slots = share_workers(job.params.compute, slots)
    if not finished:
        slots, where = place_rows(job.project, job.params, slots, device)
    seeds, there = count(job.params.sweep.seeds, "seed"), job.params.compute.address
    shared = "%s on %s, %d at once with %s each"
    how = min(slots.jobs, job.params.sweep.seeds), count(slots.threads, "thread")
    get_run_logger().info(shared, seeds, f"workers of {there}" if there else device, *how)
    if slots.on_disk:
        hold_less()
        gc.freeze()  # what libraries hold is looked through for garbage once
        get_run_logger().warning("compute.memory is %s", where)
    earlier = finished.info.run_id if finished else None
    return Plan(device, slots, fingerprint, data, earlier, registered, where)


def _check_left(job: Job) -> None:
    """Raise InputError where little is left of what the champion has learnt from."""
    from evergreen.features.split import Split
    from evergreen.ingest.manifest import Manifest
    from evergreen.quality.held_batches import check_left

    if not (live := job.registry.champion()):
        return
    _, tags = job.runs.describe(job.registry.versions.run_of(live))
    used = Split.of(job.project).train.batches
    learnt = tags["evergreen.split.train"].split(", ")
    check_left(Manifest(job.project.features), used, learnt, job.params.split.min_share)


def _why_again(job: Job, finished: str, registered: Registered | None) -> str:
    """Return why the run `finished`, of just this training, is gone over once more; else empty."""
    if not registered:
        return f"the model of run {finished} is gone or damaged: it is made again"
    if _lacks_champion(job, registered):
        return f"the champion is gone or damaged: version {registered.version} is judged again"
    if awaits_answers(job, registered):
        return f"datasheet.yaml is answered by now: version {registered.version} is judged again"
    return ""


def _lacks_champion(job: Job, registered: Registered) -> bool:
    """Return whether a version other than the `registered` one is champion, and cannot be."""
    held = job.registry.aliases().get(CHAMPION)
    return held is not None and held != registered.version and not job.registry.champion()


@task(name="leaks", task_run_name="leaks", timeout_seconds=3600, cache_policy=NO_CACHE)
def load(job: Job, plan: Plan) -> tuple[Tables, tuple[str, ...]]:
    """Encode the rows, and stop where something in them is too good to be known at prediction time.

    A label that the loss cannot take stops it as well. Returns the tables, and what a person must
    be told of the checks.
    """
    from evergreen.evaluation.evaluate import check_holdout
    from evergreen.quality.leaks import check_leaks
    from evergreen.training.labels import check_labels
    from evergreen.training.tables import load_tables

    tables = load_tables(job.project, on_disk=plan.slots.on_disk)
    check_holdout(tables)
    check_labels(job.project, job.dataset, job.params, tables)
    if not len(tables.validation):
        raise InputError("the split leaves no rows for early stopping: add batches")
    notes = check_leaks(tables, job.params.leaks)
    for note in notes:
        get_run_logger().warning(note)
    return tables, notes


@task(name="linear", task_run_name="linear", timeout_seconds=3600, cache_policy=NO_CACHE)
def fit_linear(job: Job, tables: Tables) -> bytes:
    """Fit the linear model on the rows that the trees have learnt from."""
    from evergreen.evaluation import baselines

    return baselines.fit_linear(tables, job.params.sweep.first_seed)


@task(name="evaluate", task_run_name="evaluate", timeout_seconds=3600, cache_policy=NO_CACHE)
def evaluate(run: Training) -> Evaluation:
    """Choose the model, judge it on the holdout, draw the pictures, look for wrong labels."""
    from evergreen.evaluation.baselines import predict_baselines
    from evergreen.evaluation.evaluate import evaluate as judge
    from evergreen.quality.bias import check_bias
    from evergreen.report.plots import draw_curves, draw_result, feature_gain
    from evergreen.training.learner import watched_by
    from evergreen.training.seeds import choose

    job, tables, seeds = run.job, run.tables, run.seeds
    boosters = {seed.trained.seed: seed.trained.booster for seed in seeds}
    loss = job.params.metrics.loss(tables.task)
    losses = {seed.trained.seed: seed.metrics[loss] for seed in seeds}
    chosen = {seed: boosters[seed] for seed in choose(losses, job.params.sweep.model)}
    aimed, learner = job.params.train.aimed_quantile(), job.params.train.learner
    baselines = predict_baselines(tables, job.params.sweep.first_seed, run.linear, aimed)
    metrics, measured = job.params.metrics, [seed.metrics for seed in seeds]
    evaluation = judge(
        tables, chosen, measured, baselines, job.params.evaluate, learner, metrics=metrics
    )
    rows = count(evaluation.rows, "row")
    title = f"{job.params.tracking.model}: {count(len(seeds), 'seed')}, holdout of {rows}"
    parts = [part for joined in chosen.values() for part in part_bytes(tables, joined)]
    gain = feature_gain(parts, tables.features, learner)
    reports = job.project.reports
    curves, watched = (
        curves_of(run.search, seeds),
        watched_by(learner, job.params.task, job.params.train),
    )
    files = [
        draw_result(
            evaluation,
            list(boosters),
            curves,
            gain,
            title,
            reports / "result.png",
            learner,
            metrics=metrics,
            watched=watched,
        ),
        draw_curves(evaluation, title, reports / "curves.png"),
    ]
    run.bias = add_label_noise(job, run.bias, evaluation)
    pages = [publish_bias(job, run.bias), reports / "validation.html"]
    job.runs.record_evaluation(
        run.run_id, evaluation, run.failed, [*files, *(page for page in pages if page.exists())]
    )
    note_shown(job, run.run_id)
    check_bias(run.bias, job.params.bias)
    show_sweep(seeds, evaluation.spread, chosen)
    create_markdown_artifact(
        evaluation.as_markdown(), key="evaluation", description="Bootstrap intervals"
    )
    name, estimate = next(iter(evaluation.estimates["model"].items()))
    get_run_logger().info(
        "%s %.4f (%.4f to %.4f); linear %.4f",
        name,
        estimate.value,
        estimate.low,
        estimate.high,
        evaluation.estimates["linear"][name].value,
    )
    return evaluation


def trees_of(run: Training) -> TrainedModel:
    """Return the model of the sweep as the holdout judges it."""
    from evergreen.features.definition import Definition

    job, tables, chosen = run.job, run.tables, tuple(run.evaluation.chosen)
    boosters = {seed.trained.seed: seed.trained.booster for seed in run.seeds}
    name, rounds = job.params.train.learner, int(median(seed.trained.rounds for seed in run.seeds))
    how = (
        name,
        Definition.of(job.dataset, job.params.task),
        way_of(job.dataset, job.params, name),
        rounds,
    )
    learnt = learnt_before(job.project, tables)
    return TrainedModel(tables.without_rows(), boosters, chosen, learnt, *how)


def linear_of(run: Training) -> TrainedModel:
    """Return the linear model as the holdout judges it."""
    from evergreen.features.definition import Definition

    job, tables = run.job, run.tables
    seed = job.params.sweep.first_seed
    how = (
        LINEAR,
        Definition.of(job.dataset, job.params.task),
        way_of(job.dataset, job.params, LINEAR),
    )
    learnt = learnt_before(job.project, tables)
    return TrainedModel(tables.without_rows(), {seed: run.linear}, (seed,), learnt, *how)


def refits(job: Job) -> bool:
    """Return whether the live model learns from rows that a judged one lacks."""
    from evergreen.features.split import Split

    split = Split.of(job.project)
    return job.params.train.refit == "all" and bool(split.judged or split.holdout.shares is None)


def refit(run: Training) -> TrainedModel:
    """Train once more as the judged model was trained, on all rows: what goes live."""
    from evergreen.evaluation import baselines
    from evergreen.training.tables import load_all

    job, plan, judged = run.job, run.plan, run.model
    assert judged
    run.tables = run.tables.without_rows()  # they have done their work
    run.give_back()
    tables, rounds = load_all(job.project, on_disk=plan.slots.on_disk), 1
    if judged.learner == LINEAR:
        boosters = {seed: baselines.fit_linear(tables, seed) for seed in judged.chosen}
    else:
        assert run.search
        rounds = run.search.rounds.on(len(tables.train))
        seeds, failed = run_sweep(
            job, Sweep.of(job, LIVE, tables, plan.device, plan.slots, rounds), run.run_id
        )
        if failed:
            raise InputError(
                f"seed(s) {failed} could not be refit on all rows: run again to retry them"
            )
        boosters = {seed.trained.seed: seed.trained.booster for seed in seeds}
    learnt = learnt_all(job.project, tables)
    facts = {
        "refit.rounds": rounds,
        "refit.rows": len(tables.train),
        "refit.batches": ", ".join(learnt.batches),
    }
    job.runs.tag(run.run_id, facts)
    return TrainedModel(
        tables.without_rows(),
        boosters,
        judged.chosen,
        learnt,
        judged.learner,
        judged.definition,
        judged.way,
        rounds,
        refit=True,
    )


@task(name="register", task_run_name="register", retries=2, retry_delay_seconds=2,
      retry_condition_fn=not_a_mistake, cache_policy=NO_CACHE)  # fmt: skip
def register(run: Training) -> Registered:
    """Put a model into the registry."""
    made, job = run.model, run.job
    assert made
    assert made.tables.encoder
    graph = graph_of(job, made.model(), run.run_id)
    with made.package(job.project) as folder:
        about = (run.run_id, run.plan.fingerprint, folder, made.tables.encoder, graph)
        registered = job.registry.register(*about)
    get_run_logger().info(
        "%s version %s is %s", registered.name, registered.version, registered.alias or "registered"
    )
    return registered
