"""From new batches to a decision: the order of the steps, a line each. Add a step of yours beside them."""

from __future__ import annotations

from typing import Annotated, Literal

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from evergreen.orchestration.steps import (
    Outcome,
    check_leaks,
    compare,
    conclude,
    decide,
    evaluate,
    ingest,
    open_training,
    prepare,
    refit,
    register,
    reuse,
    train,
    validate,
)
from evergreen.training.device import count_cores

Seeds = Annotated[int | None, Field(ge=1, le=1000)]
Device = Literal["auto", "cpu", "cuda"] | None
Model = Literal["median", "mean"] | None


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
    with open_training(
        reason, sweep={"seeds": seeds, "model": model}, train={"device": device}
    ) as run:
        ingest(run)
        validate(run)
        prepare(run)
        if not reuse(run):  # an identical run
            check_leaks(run)
            train(run)
            evaluate(run)
            compare(run)
            refit(run)
            register(run)
            decide(run)
    return conclude(run)
