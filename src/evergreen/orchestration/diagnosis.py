"""Diagnosis of a project: its rows before the newest batch, its champion and its last run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evergreen.diagnosis.diagnose import Diagnosis, Tell, diagnose
from evergreen.diagnosis.lab import Lab, thin
from evergreen.diagnosis.speed import Speed, find_speed, time_gpu
from evergreen.diagnosis.stale import Live
from evergreen.features.keys import hash_rows
from evergreen.features.split import Split, read_part
from evergreen.orchestration.turn import turn
from evergreen.params import Params
from evergreen.project import Project
from evergreen.stores.registry import Registry
from evergreen.stores.runs import Runs
from evergreen.stores.seeds import Seeds
from evergreen.stores.tracking import Tracker
from evergreen.training.device import count_cores
from evergreen.training.seeds import JUDGED, LIVE, ROUNDS

if TYPE_CHECKING:
    from evergreen.tuning.cuts import Cut

SEEDS = 3
PATIENCE = 4.0  # seconds that one training may take: with more, fewer rows are looked at
FEWEST = 4_000  # rows, to which they are thinned at most
ROLES = {ROUNDS: "finding the rounds", JUDGED: "the judged model", LIVE: "the live model"}


@dataclass(frozen=True)
class Diagnosed:
    """What was found, on which rows, and the page of it."""

    found: Diagnosis
    judged: str
    page: Path


def diagnose_project(project: Project, params: Params, rows: int, tell: Tell) -> Diagnosed:
    """Return what is wrong with the model of a project, and write the page.

    `rows`: at most so many learn, and as many judge; fewer where that would take long. Raises
    InputError where nothing is prepared, or where there is too little to judge by.
    """
    from evergreen.report.diagnosis_page import write_diagnosis_page
    from evergreen.tuning.cuts import find_cuts

    with turn(project):  # what is read must not change meanwhile
        cut, tracker = find_cuts(project, params, most=2)[-1], Tracker(project, params)
        live, spent = None, None
        if tracker.is_there:
            live, spent = _read_champion(project, tracker, cut), _read_seconds(tracker)
        newest = Split.of(project).holdout.batches[-1]
    tell(f"rows before {newest}, which only the gate looks at")
    lab, most = make_lab(cut, params, rows), max(rows, len(cut.tables.train))
    slowest = max(model.seconds for model in lab.base.trained)
    if slowest > PATIENCE and rows > FEWEST:
        rows = max(FEWEST, int(rows * PATIENCE / slowest))
        lab = make_lab(cut, params, rows)
    whole = make_lab(cut, params, most) if live and rows < most else None
    found = diagnose(lab, params.leaks, _of_lab(live, cut, lab), whole, tell)
    judged = describe(cut, lab, newest)
    speed = _speed(spent, lab)
    page = write_diagnosis_page(project, found, params.tracking.model, judged, speed)
    return Diagnosed(found, judged, page)


def make_lab(cut: Cut, params: Params, rows: int) -> Lab:
    """Return the lab of a cut, with at most so many rows that learn, and as many that judge."""
    tables = cut.tables
    parts = {
        name: part.take(thin(len(part), most))
        for name, most in (("train", rows), ("validation", max(1000, rows // 2)), ("holdout", rows))
        for part in [getattr(tables, name)]
    }
    days = None if cut.days is None else cut.days[thin(len(cut.days), rows)]
    first = params.sweep.first_seed
    return Lab(
        replace(tables, **parts),
        params.train,
        tuple(range(first, first + SEEDS)),
        min(SEEDS, params.sweep.jobs or count_cores()),
        in_time=not cut.name.startswith("fold "),
        days=days,
    )


def describe(cut: Cut, lab: Lab, newest: str) -> str:
    """Return which rows were looked at, in words."""

    def some(kind: str) -> str:
        used, there = len(getattr(lab.tables, kind)), len(getattr(cut.tables, kind))
        return f"{used:,}" if used == there else f"{used:,} of {there:,}"

    thinned = len(lab.tables.train) < len(cut.tables.train)
    return (
        f"Judged on {some('holdout')} rows of {cut.name}, not on {newest}, which only the gate "
        "looks at; "
        f"{some('train')} rows learn and {some('validation')} stop a training, {len(lab.seeds)} "
        "seeds each"
        + (
            ", drawn at random. Fewer rows learn less: compare, but do not take a figure for the "
            "model's."
            if thinned
            else "."
        )
    )


# --- what the stores know
# --------------------------------------------------------------------------------------------------


def _read_champion(project: Project, tracker: Tracker, cut: Cut) -> Live | None:
    """Return the champion and what it predicts for the rows that judge; None without one."""
    registry = Registry(tracker)
    number = registry.champion()
    if number is None:
        return None
    model = registry.versions.open(number)
    keys = cut.tables.holdout.keys
    assert keys is not None
    frame = read_part(project, Split.of(project).before_holdout())
    known = hash_rows(frame)
    order = np.argsort(known, kind="stable")
    rows = frame[order[np.searchsorted(known[order], keys)]]
    absent = [name for name in model.encoder.features if name not in rows.columns]
    if absent or model.encoder.classes != cut.tables.classes:
        return Live(number, model.learnt.newest, None, np.ones(len(keys), bool))
    learnt = np.isin(keys, model.learnt.keys)
    return Live(number, model.learnt.newest, model.predict_rows(rows), learnt)


def _of_lab(live: Live | None, cut: Cut, lab: Lab) -> Live | None:
    """Return the champion as it speaks of the rows of the lab."""
    if live is None:
        return None
    at = thin(len(cut.tables.holdout), len(lab.tables.holdout))
    return replace(live, p=None if live.p is None else live.p[at], learnt=live.learnt[at])


def _read_seconds(tracker: Tracker) -> tuple[float, dict[str, list[float]]] | None:
    """Return the seconds of the last run and of its models; None where none has finished."""
    runs = Runs(tracker)
    if not (done := runs.trainings()):
        return None
    last = done[-1].run_id
    found = Seeds(tracker).seconds_of(last)
    return runs.seconds(last), {name: found[role] for role, name in ROLES.items() if role in found}


def _speed(spent: tuple[float, dict[str, list[float]]] | None, lab: Lab) -> Speed | None:
    return find_speed(*spent, time_gpu(lab)) if spent else None
