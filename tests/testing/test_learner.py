"""check_learner: lets the learners that there are pass, and stops each way to be wrong."""

from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import ROOT

from evergreen import code
from evergreen.testing import check_learner
from evergreen.training import linear
from evergreen.training.learner import PARTS

COUNT = count()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["xgboost", "linear"])
def test_the_librarys_own_pass(name: str) -> None:
    check_learner(name)


@pytest.mark.slow
def test_the_one_of_the_docs_passes() -> None:
    check_learner(code.load(ROOT / "docs" / "another_model.py", "learner_of_docs"), ("binary",))


def like_linear(**other: Any) -> Any:
    return SimpleNamespace(
        **{part: getattr(linear, part) for part in PARTS} | other, __name__="own"
    )


def trained_as(**changes: Any) -> Any:
    def train(*given: Any, **how: Any) -> Any:
        return replace(linear.train(*given, **how), **changes)

    return like_linear(train=train)


def saying(change: Any, gains: Any = dict) -> Any:
    def load(content: bytes) -> Any:
        model = linear.load(content)
        return SimpleNamespace(predict=lambda x: change(model.predict(x)), gains=gains)

    return like_linear(load=load)


def by_luck() -> Any:
    """Each time another number is added to what a model says."""
    return saying(lambda p: p * (1 - 1e-6 * next(COUNT)))


def pickles(content: bytes) -> Any:
    return pickle.loads(content) if content[:1] == b"\x80" else linear.load(content)


BROKEN = {
    "a part is missing": (
        SimpleNamespace(__name__="own"),
        "is no learner: it does not define SUFFIX",
    ),
    "no such learner": ("lost", "there is no learner 'lost'"),
    "no dot": (like_linear(SUFFIX="json"), "must begin with a dot"),
    "a library is missing": (like_linear(LIBRARIES=("not-there",)), "not installed"),
    "no loss": (like_linear(LOSSES={}), "LOSSES does not say"),
    "another seed": (trained_as(seed=8), "and says 8"),
    "no bytes": (trained_as(booster="text"), "booster must be bytes"),
    "luck": (by_luck(), "gave two models"),
    "rounds": (trained_as(rounds=7), "must train params.rounds, 20, not 7"),
    "stopped by nothing": (trained_as(validation_loss=0.1), "validation_loss must be None"),
    "another shape": (saying(lambda p: p[:, None]), "predictions have shape"),
    "no numbers": (saying(lambda p: p * np.nan), "are no numbers"),
    "no probabilities": (saying(lambda p: 2 * p), "are no probabilities"),
    "learns nothing": (saying(lambda p: 0 * p + 0.5), "has learnt nothing"),
    "unknown features": (saying(lambda p: p, lambda: {"other": 1.0}), "are no features"),
    "no such loss": (like_linear(TAKES={"binary": ("focus",)}), "TAKES names 'focus' for binary"),
    "a nameless loss": (
        like_linear(TAKES={"binary": ("focal",)}, watched=lambda *_: None),
        "must be a text, not None",
    ),
    "pickle": (like_linear(load=pickles), r"load\(\) reads pickle"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_one_is_stopped(case: str) -> None:
    learner, told = BROKEN[case]
    with pytest.raises(AssertionError, match=told):
        check_learner(learner, ("binary",))
