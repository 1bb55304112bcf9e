"""Diagnosis of a project: its rows before the newest batch, its champion and its last run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from evergreen.diagnosis.diagnose import Diagnosis, Tell, diagnose
from evergreen.diagnosis.lab import Lab, thinned
from evergreen.diagnosis.speed import Speed, find_speed, time_gpu
from evergreen.diagnosis.stale import Live
from evergreen.finding import count
from evergreen.params import Params
from evergreen.project import Project
from evergreen.stores.registry import Registry
from evergreen.stores.runs import Runs
from evergreen.stores.seeds import Seeds
from evergreen.stores.tracking import Tracker
from evergreen.training.device import count_cores
from evergreen.training.sweep import JUDGED, LIVE, ROUNDS

if TYPE_CHECKING:
    from pathlib import Path

    from evergreen.tuning.cuts import Cut

SEEDS = 3
ROLES = {ROUNDS: "finding the rounds", JUDGED: "the judged model", LIVE: "the live model"}


@dataclass(frozen=True)
class Diagnosed:
    """What was found, on which rows, and the page of it."""

    found: Diagnosis
    judged: str
    page: Path


def diagnose_project(project: Project, params: Params, rows: int, tell: Tell) -> Diagnosed:
    """Return what is wrong with the model of a project, and write the page.

    `rows`: at most so many learn, and as many judge. Raises InputError where nothing is prepared,
    or too little to judge by.
    """
    from evergreen.report.diagnosis_page import write_diagnosis_page
    from evergreen.tuning.cuts import find_cuts

    with project.lock():  # what is read must not change meanwhile
        cut = find_cuts(project, params, most=2)[-1]
        live, speed = read_live(project, params, cut), read_speed(project, params)
    lab, judged = make_lab(cut, params, rows)
    found = diagnose(lab, params.leaks, thin_live(live, cut, rows), tell)
    return Diagnosed(found, judged, write_diagnosis_page(project, found, params.tracking.model, judged, speed))
