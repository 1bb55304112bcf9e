"""Diagnosed: a small diagnosis with everything that a page shows, made once."""

from __future__ import annotations

from functools import cache

from diagnosis.sick import lab_of, sound

from evergreen.diagnosis.diagnose import Diagnosis, diagnose


@cache
def diagnosis(task: str = "binary", learner: str = "xgboost") -> Diagnosis:
    return diagnose(lab_of(sound(task, rows=(300, 100, 300)), 2, rounds=12, learner=learner))
