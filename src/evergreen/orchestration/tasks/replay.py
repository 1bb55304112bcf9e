"""The tasks of a replay: each batch of history, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger
from prefect.runtime import deployment

from evergreen.files import write_json
from evergreen.finding import count, span
from evergreen.orchestration.tasks.job import PATIENCE, Job, holding
from evergreen.orchestration.tasks.shown import create_table_artifact
from evergreen.replay.outcome import Options, Replay
from evergreen.replay.replay import Replayer, open_replay


@contextmanager
def hold(job: Job, options: Options) -> Iterator[Replayer]:
    """Hold the replay's workspace and return what replays; the project stays free.

    A run of a deployment waits for its turn. Whoever has it closes what killed replays left open.
    """
    with open_replay(job.project, job.params, options, PATIENCE if deployment.id else 0) as running:
        name = f"replay of {span(running.names)}, {count(running.params.sweep.seeds, 'seed')}"
        with holding(running.workspace, name=name):
            yield running


def walk(running: Replayer) -> None:
    """Let every batch arrive, a task each."""
    progress = create_progress_artifact(
        0.0, key="replay-progress", description=f"{len(running.names)} batches"
    )
    for number, name in enumerate(running.names, 1):
        arrive(running, name)
        update_progress_artifact(progress, 100 * number / len(running.names))


@task(name="arrive", task_run_name="{name}", cache_policy=NO_CACHE)
def arrive(running: Replayer, name: str) -> None:
    """Let one batch arrive, and say what it meant for each policy."""
    steps, log = running.advance(name), get_run_logger()
    if not steps:
        log.info("%s", _explain(running, name))
    for track, step in zip(running.tracks, steps, strict=False):
        policy = running.options.title(track.policy)
        log.info(
            "%s: %s %.4f by %s; %s: %s",
            policy,
            running.metric,
            step.value,
            step.champion,
            step.action,
            step.reason,
        )


def _explain(running: Replayer, name: str) -> str:
    """Return why a batch has measured no champion."""
    if name in running.left_out:
        return f"left out: {running.left_out[name]}"
    if running.refused:
        return f"no champion yet: {' '.join(running.refused)}"
    return "the first champion" if running.tracks else "history for the first champion"


@task(name="publish", task_run_name="publish", cache_policy=NO_CACHE)
def publish(job: Job, found: Replay, running: Replayer) -> None:
    """Draw the picture, write the numbers, and show and record both."""
    from evergreen.report.replay_picture import draw_replay, draw_staleness

    reports = job.project.reports
    picture, numbers = draw_replay(found, reports / "replay.png"), reports / "replay.json"
    stale = [draw_staleness({"": found}, reports / "staleness.png")] if found.costs() else []
    write_json(numbers, found.as_plain())
    create_table_artifact(found.as_table(), key="replay", description=found.finding)
    record(job, found, running, [picture, *stale, numbers])
    get_run_logger().info("%s", found.finding)


def record(job: Job, found: Replay, running: Replayer, files: Sequence[Path]) -> str:
    """Record the replay in MLflow, in an experiment of its own; returns the run's id."""
    client = job.tracker.client
    place = job.tracker.experiment_called(f"{job.params.tracking.experiment} replay")
    tags = {"mlflow.note.content": found.finding}
    name = f"{span(found.batches)}, {count(running.params.sweep.seeds, 'seed')}"
    run_id = str(job.tracker.create_run(place, name, tags).info.run_id)
    for course in found.outcomes:
        totals: dict[str, Any] = {
            "mean": course.mean.value,
            "gain": course.gain.value,
            "gain.low": course.gain.low,
        }
        totals |= {
            "gain.high": course.gain.high,
            "retrainings": course.retrainings,
            "promotions": course.promotions,
        }
        for key, value in (totals | {"seconds": course.seconds}).items():
            client.log_metric(run_id, f"{course.policy}.{key}", float(value))
        for at, step in enumerate(course.steps):
            if step.value == step.value:  # NaN is no finding
                client.log_metric(run_id, f"{course.policy}.{found.metric}", step.value, step=at)
    client.log_dict(run_id, running.params.model_dump(by_alias=True, mode="json"), "params.json")
    job.artifacts.attach(run_id, files)
    client.set_terminated(run_id)
    return run_id
