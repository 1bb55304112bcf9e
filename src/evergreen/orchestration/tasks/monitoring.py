"""The tasks that watch the champion: its reference, each new batch, and what follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from prefect import task
from prefect.logging import get_run_logger

from evergreen import recipes
from evergreen.decision import RETRAIN, ROLL_BACK, Decision
from evergreen.errors import InputError
from evergreen.evaluation.intervals import Estimate
from evergreen.features.keys import key_columns
from evergreen.features.split import LABEL, TIME, Split
from evergreen.files import sha256_of
from evergreen.ingest.manifest import Manifest
from evergreen.ingest.naming import natural
from evergreen.monitoring import monitor
from evergreen.monitoring.retrain import decide_retraining
from evergreen.orchestration.server import has_waiting_run
from evergreen.orchestration.tasks.champion import ONCE, LiveChampion
from evergreen.orchestration.tasks.job import Job
from evergreen.orchestration.tasks.shown import create_markdown_artifact, create_table_artifact
from evergreen.orchestration.watch import REQUESTED, emit
from evergreen.promotion.rollback import judge_rollback
from evergreen.quality.held_batches import read_held
from evergreen.statistics.sketch import SKETCH, Sketch
from evergreen.stores.events import CHANGES
from evergreen.stores.journal import Entry
from evergreen.stores.registry import CHAMPION, PREVIOUS


@dataclass(frozen=True)
class Waiting:
    """A batch to look at: labelled (data/features), or scored, no labels (data/predictions)."""

    name: str
    fingerprint: str
    end: str
    scored: bool


def find_waiting(job: Job, live: LiveChampion) -> list[Waiting]:
    """Return the newer batches on which the champion was not live yet, oldest first."""
    seen = {entry.batch: entry for entry in live.journal.entries(live.reference.version)}
    found = sorted(_offers(job, live), key=lambda batch: (batch.end, natural(batch.name)))
    return [
        batch
        for batch in found
        if not (batch.name in seen and seen[batch.name].fingerprint == batch.fingerprint)
    ]


def _offers(job: Job, live: LiveChampion) -> Iterator[Waiting]:
    from evergreen.scoring.predictions import Kept, known

    params = [
        getattr(job.params, name).model_dump() for name in ("drift", "retrain", "evaluate", "gate")
    ]
    own: list[object] = [job.params.extensions.code] if job.params.extensions.code else []
    own += job.params.train.named_loss(job.params.task)  # it decides by which metric
    how = (params, live.reference.version, recipes.WATCH, *own)
    features, newest = Manifest(job.project.features), live.newest
    held = read_held(features)
    later = {
        name: entry
        for name, entry in features.entries.items()
        if entry["end"] > newest and name not in live.holdout
    }
    for name, entry in later.items():
        yield Waiting(
            name, sha256_of(features.version(name), how, held.get(name)), entry["end"], scored=False
        )
    for name, version in known(job.project):
        if version == live.reference.version and name not in features.entries:
            kept = Kept.read(job.project.predictions / name / f"{version}.json")
            # Any of them may hold labels of these rows
            labels = [entry["sum"] for entry in later.values()]
            yield Waiting(
                name, sha256_of(kept.fingerprint, how, labels), kept.scored_at, scored=True
            )


@task(name="look", task_run_name="look at {batch.name}", timeout_seconds=3600, **ONCE)
def look(job: Job, live: LiveChampion, batch: Waiting, *, last: bool) -> Decision:
    """Compare a batch with the champion's rows, decide on retraining, write both down."""
    version = live.reference.version
    others = [facts for facts in read_facts(live) if facts["batch"] != batch.name]
    why = tuple(read_held(Manifest(job.project.features)).get(batch.name, {}).values())
    stale = None if why or batch.scored else _find_staleness(job, live, batch.name)
    seen = monitor.observe(
        batch.name, *_read(job, live, batch), live.reference, job.params, others, why, stale
    )
    facts = seen.as_plain() | {
        "usual_auc": live.reference.usual_auc,
        "metric": live.metric,
        "label": live.label,
    }
    decision = decide(job, live, [*others, facts])
    metrics = {
        f"{how}.{name}": x.value
        for how in ("real", "estimated")
        for name, x in getattr(seen, how).items()
    }
    metrics |= {"drifted_columns": float(len(seen.drift.drifted)), "rows": float(seen.rows)}
    ask = last and decision.action == RETRAIN
    live.journal.write(
        Entry(batch.name, version, batch.fingerprint), facts, metrics, decision, ask=ask
    )
    get_run_logger().info("%s: %s", batch.name, seen.drift.says)
    for reason in decision.reasons:
        get_run_logger().info("%s: %s", decision.action, reason)
    if decision.action == RETRAIN:
        job.notify("retraining requested", version=version, batch=batch.name, says=decision.reasons)
    _show(seen, decision)
    return decision


def _find_staleness(job: Job, live: LiveChampion, name: str) -> Estimate | None:
    """Return what it costs on the newest batch that the champion lacks those before it.

    None for any other batch.
    """
    from evergreen.monitoring.staleness import find_staleness
    from evergreen.training.device import count_cores, pick_device
    from evergreen.training.tables import load_before_holdout

    holdout = Split.of(job.project).holdout
    if holdout.shares or holdout.batches != (name,):
        return None
    rows = pl.read_parquet(Manifest(job.project.features).file(name))
    champion, tables = job.candidate(live.reference.version), load_before_holdout(job.project)
    device, threads = pick_device(job.params.train.device), count_cores()
    return find_staleness(
        champion, tables, rows, live.metric, job.params, device=device, threads=threads
    )


def _read(
    job: Job, live: LiveChampion, batch: Waiting
) -> tuple[pl.DataFrame, Sketch, pl.DataFrame | None]:
    """Return a batch's rows, the sketch of their features, and rows whose labels came later."""
    from evergreen.scoring.predictions import join_labels, read, read_sketch

    features, own = Manifest(job.project.features), job.rows_of(live.reference.model)
    if not batch.scored:
        return (
            own(pl.read_parquet(features.file(batch.name))),
            Sketch.read(features.file(batch.name, SKETCH)),
            None,
        )
    version = live.reference.version
    rows = read(job.project, batch.name, version)
    first, last = str(rows[TIME].min()), str(rows[TIME].max())
    if not job.dataset.has_time_column:
        # Then it says when rows were scored, and labels come in any later batch
        first, last = live.newest, max(entry["end"] for entry in features.entries.values())
    near = [
        name
        for name, entry in features.entries.items()
        if entry["start"] <= last and entry["end"] >= first
    ]
    keys = key_columns(rows)
    found = [own(pl.read_parquet(features.file(name))) for name in near]
    labelled = [
        frame.select(*keys, LABEL) for frame in found if keys and key_columns(frame) == keys
    ]  # or KEY is another
    labelled_later = join_labels(rows, pl.concat(labelled)) if labelled else None
    return rows, read_sketch(job.project, batch.name, version), labelled_later


def read_facts(live: LiveChampion) -> list[dict[str, Any]]:
    """Return what was seen of each batch under this champion, oldest first."""
    found = [live.journal.facts(entry) for entry in live.journal.entries(live.reference.version)]
    return sorted(found, key=lambda fact: (fact["end"], fact["batch"]))


def decide(job: Job, live: LiveChampion, facts: Sequence[Mapping[str, Any]]) -> Decision:
    """Return what the policy says after all that was seen under this champion."""
    features, metric = Manifest(job.project.features), live.metric
    trained = [
        features.entries[run.holdout[-1]]["end"]
        for run in job.runs.trainings()
        if run.holdout[-1] in features.entries
    ]
    retrainings = [datetime.fromisoformat(end) for end in trained]
    state = monitor.champion_state(live.reference, metric, retrainings, features)
    windows = [monitor.window_of(fact, metric) for fact in facts if not fact["answered"]]
    return decide_retraining(windows, state, job.params.retrain, metrics=job.params.metrics)


@task(name="look back", task_run_name="look back", **ONCE)
def look_back(job: Job, live: LiveChampion) -> Decision | None:
    """Restore the previous champion where it does better on rows that came since.

    None: there is none to compare, or nothing was seen since the last time.
    """
    version = live.reference.version
    if live.journal.looked_back(version):
        return None
    decision = _look_back(job, live)
    live.journal.looked_back(version, done=True)
    return decision


def _look_back(job: Job, live: LiveChampion) -> Decision | None:
    job.finish_cut()  # where this task is tried again
    decided, features = job.registry.aliases(), Manifest(job.project.features)
    before = decided.get(PREVIOUS) if decided.get(CHAMPION) == live.reference.version else None
    fit = [
        fact["batch"]
        for fact in read_facts(live)
        if fact["labelled"] and not fact["unfit"] and not fact["answered"]
    ]
    batches = [name for name in fit if name in features.entries][-job.params.retrain.windows :]
    if not before or not batches:
        return None
    rows = pl.concat([pl.read_parquet(features.file(name)) for name in batches])
    present = job.candidate(live.reference.version)
    try:
        earlier = job.candidate(before)
    except InputError as error:
        get_run_logger().warning("not compared with the previous champion: %s", error)
        return None
    decision = judge_rollback(rows, present, earlier, live.metric, job.params)
    if decision.action == ROLL_BACK:
        job.registry.rollback(
            f"by evidence of {', '.join(batches)}: {' '.join(decision.reasons)}", before
        )
        job.notify("rolled back", version=before, batch=batches[-1], says=decision.reasons)
    create_markdown_artifact(
        decision.as_markdown(), key="rollback", description="This champion and the previous one"
    )
    for reason in decision.reasons:
        get_run_logger().info("%s: %s", decision.action, reason)
    return decision


def ask_for_first(job: Job) -> str:
    """Ask for a training where no champion is live, and none waits already; returns why."""
    number = job.registry.aliases().get(CHAMPION)
    why = (
        f"version {number} cannot be used"
        if number
        else f"none yet: {job.registry.why_no_champion()}"
    )
    if has_waiting_run(job.project, "training"):  # for a person, say: one to approve is enough
        get_run_logger().warning("champion: %s; a training waits already", why)
        return why
    emit(job.project, REQUESTED, {"reason": why if number else "there is no champion yet"})
    get_run_logger().warning("champion: %s; a training was requested", why)
    return why


def ask(job: Job, live: LiveChampion) -> list[Entry]:
    """Ask, by an event, for the newest retraining that was decided upon and not made.

    An event that was lost is sent again.
    """
    open_entries = live.journal.asked()
    for entry in open_entries[-1:]:
        payload = {
            "reason": f"{entry.batch}: {entry.reason}",
            "batch": entry.batch,
            "version": entry.version,
            "entry": entry.run_id,
        }
        emit(job.project, REQUESTED, payload)
        get_run_logger().warning("a retraining was requested: %s", entry.reason)
    return open_entries


def _show(seen: Any, decision: Decision) -> None:
    table = [
        {
            "column": column.shift.key,
            "drifted": "yes" if column.drifted else "",
            "shift (PSI)": f"{column.shift.effect:.3f}",
            "from": f"{column.shift.low:.3f}",
            "to": f"{column.shift.high:.3f}",
            "usual and margin": f"{column.shift.margin:.3f}",
            "what": column.shift.says,
        }
        for column in sorted(
            seen.drift.columns,
            key=lambda column: -column.shift.effect / max(column.shift.margin, 1e-9),
        )
    ]
    create_table_artifact(table, key="drift", description=f"{seen.batch}: {seen.drift.says}")
    create_markdown_artifact(
        decision.as_markdown(), key="retraining", description=f"Retrain? After {seen.batch}"
    )


def write_page(job: Job, live: LiveChampion) -> Path:
    """Write the monitoring page, and keep it with the newest entry."""
    from evergreen.report.monitoring_page import History, write_monitoring_page

    # Under the champion of its time: the newest entry
    entries = {entry.batch: entry for entry in live.journal.entries()}
    facts = (live.journal.facts(entry) for entry in entries.values())
    # Other labels are on another scale
    same = (fact for fact in facts if fact.get("label") in (None, live.label))
    seen = sorted(same, key=lambda fact: (fact["end"], fact["batch"]))
    decided = [
        (fact["batch"], entries[fact["batch"]].action, entries[fact["batch"]].reason)
        for fact in seen
    ]
    marks: dict[str, list[str]] = {}
    for event in job.registry.events.history():
        if event.what in CHANGES:
            marks.setdefault(event.batch.rpartition(" ")[2], []).append(
                f"version {event.version} {event.what}"
            )
    expected = live.reference.expected[live.metric]
    newest = max(entry["end"] for entry in Manifest(job.project.features).entries.values())
    age = datetime.fromisoformat(newest) - datetime.fromisoformat(live.newest)
    history = History(
        job.params.tracking.model,
        live.reference.version,
        live.metric,
        (expected.value, expected.low, expected.high),
        age.total_seconds() / 86_400,
        seen,
        decided,
        marks,
        job.params.metrics[live.metric].lower_is_better,
    )
    path = write_monitoring_page(job.project, history)
    if entries:
        live.journal.attach(list(entries.values())[-1], [path])
    return path
