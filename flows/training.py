"""From new batches to a registered model: ingest, validate, prepare, sweep, evaluate, register."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from evergreen.model.device import count_cores
from evergreen.tracking import Registered
from flows import console, tasks
from flows.tasks import Job, value

Seeds = Annotated[int | None, Field(ge=1, le=1000, description="How many seeds; empty: as in params.yaml")]
Device = Annotated[Literal["auto", "cpu", "cuda"] | None, Field(description="Where to train; empty: as in params.yaml")]
Model = Annotated[
    Literal["median", "mean"] | None,
    Field(description="Register the median seed or the mean of all; empty: as in params.yaml"),
]


@dataclass(frozen=True)
class Outcome:
    """What a training run did, step by step, and the model it ended with."""

    steps: dict[str, str]
    run_id: str
    registered: Registered | None
    failed_seeds: tuple[int, ...] = ()


@flow(name="training", task_runner=ThreadPoolTaskRunner(max_workers=count_cores()))
def training(seeds: Seeds = None, device: Device = None, model: Model = None) -> Outcome:
    """Bring data and model up to date: only what is new costs work, and an identical run is reused."""
    console.install()
    job = Job.open(sweep={"seeds": seeds, "model": model}, train={"device": device})
    with job.project.lock():
        done = {
            "ingest": value(tasks.ingest(job)),
            "validate": value(tasks.validate(job)),
            "prepare": value(tasks.prepare(job)),
        }
        steps = {name: "done" if result else "skipped" for name, result in done.items()}
        tasks.name_run(job)
        plan = tasks.plan(job)
        if plan.finished:
            for step in ("train", "evaluate", "register"):
                tasks.skip(step, f"an identical run is there: {plan.finished}")
                steps[step] = "skipped"
            return Outcome(steps, plan.finished, plan.registered)
        with job.tracker.open_run(plan.fingerprint, *tasks.describe(job, plan)) as run_id:
            tables, binned, known = tasks.matrix(job, plan, run_id)
            trained, failed = tasks.sweep(job, plan, run_id, tables, binned, known)
            boosters = tasks.evaluate(job, run_id, tables, trained, failed)
            registered = tasks.register(job, plan, run_id, tables.encoder, boosters)
        reused = sum(one.reused for one in trained)
        steps["train"] = f"{len(trained)} seeds, {reused} of them reused"
        steps |= {"evaluate": "done", "register": "done"}
    return Outcome(steps, run_id, registered, tuple(failed))
