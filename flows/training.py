"""From new batches to a decision: the order of the steps; put one of yours beside them."""

from __future__ import annotations

from typing import Annotated, Literal

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from evergreen.orchestration import steps
from evergreen.training.device import count_cores

Seeds = Annotated[int | None, Field(ge=1, le=1000)]
Device = Literal["auto", "cpu", "cuda"] | None
Model = Literal["median", "mean"] | None


@flow(name="training", task_runner=ThreadPoolTaskRunner(max_workers=count_cores()))
def training(
    seeds: Seeds = None, device: Device = None, model: Model = None, reason: str = "asked for"
) -> steps.Outcome:
    """Bring data and model up to date: only what is new costs work, and an identical run is reused.

    Args:
        reason: Why it runs; kept with the run.
        seeds: How many seeds; empty: as in params.yaml.
        device: Where to train; empty: as in params.yaml.
        model: Register the median seed or the mean of all; empty: as in params.yaml.
    """
    asked = {"sweep": {"seeds": seeds, "model": model}, "train": {"device": device}}
    with steps.open_training(reason, asked) as run:
        steps.ingest(run)
        steps.validate(run)
        steps.prepare(run)
        if not steps.reuse(run):  # an identical run that is there
            steps.check_leaks(run)
            steps.train(run)
            steps.evaluate(run)
            steps.compare(run)
            steps.refit(run)
            steps.register(run)
            steps.decide(run)
    return steps.conclude(run)
