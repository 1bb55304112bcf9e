"""From new batches to a decision: ingest, validate, prepare, sweep, evaluate, register, compare, decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from evergreen.decision import ASK, Decision
from evergreen.finding import count
from evergreen.orchestration import console
from evergreen.orchestration.steps import data, life, models, sweeps
from evergreen.orchestration.steps.job import Job, answer, name_run, newest, show_again, skip, value
from evergreen.stores.registry import Registered
from evergreen.training.device import count_cores

Seeds = Annotated[int | None, Field(ge=1, le=1000)]
Device = Literal["auto", "cpu", "cuda"] | None
Model = Literal["median", "mean"] | None


@dataclass(frozen=True)
class Outcome:
    """What a training run did, step by step, and the model it ended with."""

    steps: dict[str, str]
    run_id: str
    registered: Registered | None
    failed_seeds: tuple[int, ...] = ()
    decision: Decision | None = None


@flow(name="training", task_runner=ThreadPoolTaskRunner(max_workers=count_cores()))
def training(
    seeds: Seeds = None, device: Device = None, model: Model = None, reason: str = "asked for"
) -> Outcome:
    """Bring data and model up to date: only what is new costs work, and an identical run is reused.

    Args:
        reason: Why it runs; kept with the run.
        seeds: How many seeds; empty: as in params.yaml.
        device: Where to train; empty: as in params.yaml.
        model: Register the median seed or the mean of all; empty: as in params.yaml.
    """
    console.install()
    job = Job.open(sweep={"seeds": seeds, "model": model}, train={"device": device})
    name = f"{job.params.tracking.model}{{}}, {count(job.params.sweep.seeds, 'seed')}"
    job.note_commit()
    with job.hold(name.format("")):
        done = {
            "ingest": value(data.ingest(job)),
            "validate": value(data.validate(job)),
            "prepare": value(data.prepare(job)),
        }
        steps = {name: "done" if result else "skipped" for name, result in done.items()}
        name_run(name.format(newest(job)))
        plan = models.plan(job)
        if plan.finished:
            for step in ("train", "evaluate", "register", "decide"):
                skip(step, f"an identical run is there: {plan.finished}")
                steps[step] = "skipped"
            show_again(job, plan.finished)
            answer(job, plan.finished)
            return Outcome(steps, plan.finished, plan.registered)
        with job.tracker.open_run(plan.fingerprint, *models.describe(job, plan, reason)) as run_id:
            tables, notes = models.load(job)
            bias = data.bias(job)
            search = sweeps.find_rounds(job, run_id, plan.device, plan.slots)
            tables, trained, failed = models.train(job, plan, run_id, tables, search)
            linear = models.fit_linear(job, tables)
            curves = sweeps.curves_of(search, trained)
            evaluation = models.evaluate(job, run_id, tables, trained, failed, curves, bias, linear)
            registered, decision = job.registry.champion_of(plan.fingerprint), None
            if not registered:  # else a run that was killed after its promotion
                trees = models.trees_of(job, tables, trained, evaluation.chosen)
                made, judged = life.compare(
                    job, trees, models.linear_of(job, tables, linear), evaluation, notes
                )
                if (
                    search
                    and models.refits(job)
                    and (made.tables.folds or life.passes(job, judged))
                ):
                    job.tracker.record_held_out(run_id, judged.held_out)
                    live = models.refit(job, plan, run_id, search, made)
                    judged = life.compare_refit(job, plan, live, made, judged, search)
                    made = live if made.tables.folds or life.passes(job, judged) else made
                registered = models.register(job, plan, run_id, made)
                judged = life.reload(job, registered, made, judged)
                registered, decision = life.settle(job, run_id, registered, judged)
        if not failed:  # else nothing was judged: what was asked for still is
            answer(job, run_id)
        reused = sum(one.reused for one in trained)
        steps["train"] = f"{count(len(trained), 'seed')}, {reused} of them reused"
        steps |= {
            "evaluate": "done",
            "register": "done",
            "decide": decision.action if decision else "is champion",
        }
    if decision and decision.action == ASK:
        registered = life.wait_for_approval(job, registered, decision)
    return Outcome(steps, run_id, registered, tuple(failed), decision)
