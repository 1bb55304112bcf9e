"""Diagnosed: a small diagnosis with everything that a page shows, made once."""

from __future__ import annotations

from functools import cache

from diagnosis.sick import lab_of, sound

from evergreen.diagnosis.diagnose import Diagnosis, diagnose


@cache
def diagnosis(task: str = "binary", learner: str = "xgboost") -> Diagnosis:
    rows = (120, 60, 120) if learner == "xgboost" else (100, 60, 100)
    seeds = 2 if (task, learner) == ("binary", "xgboost") else 1
    return diagnose(lab_of(sound(task, rows=rows), seeds, rounds=4, learner=learner))
