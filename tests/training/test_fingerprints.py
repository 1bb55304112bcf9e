"""Fingerprints: what makes another model changes them, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from types import SimpleNamespace

import pytest

from evergreen import recipes
from evergreen.files import sha256_of
from evergreen.params import Params, Train
from evergreen.params.train import USUAL
from evergreen.training.fingerprints import seed_fingerprint, sweep_fingerprint, way_of
from late_flights.dataset import dataset

BASE = Params()


def changed(section, **values):
    return BASE.override(**{section: values})


OTHER = {
    "rounds": 100,
    "early_stopping_rounds": 7,
    "learning_rate": 0.06,
    "max_depth": 5,
    "min_child_weight": 4.0,
    "subsample": 0.7,
    "colsample_bytree": 0.6,
    "reg_lambda": 2.0,
    "max_bin": 128,
    "schedule": "cosine",
}
# Of a loss or a schedule; see test_each_number_of_a_loss_and_a_schedule_makes_another_model
TOGETHER = {
    "quantile": {"loss": "quantile", "quantile": 0.9},
    "huber_slope": {"loss": "pseudo_huber", "huber_slope": 2.0},
    "tweedie_power": {"loss": "tweedie", "tweedie_power": 1.2},
    "schedule_rounds": {"schedule": "step", "schedule_rounds": 50},
    "schedule_end": {"schedule": "step", "schedule_end": 0.5},
}
OF_BINARY = {
    "positive_weight": {"loss": "weighted_log_loss", "positive_weight": 3.0},
    "focal_gamma": {"loss": "focal", "focal_gamma": 1.0},
}


def test_every_parameter_of_training_is_tried_here():
    tried = {*OTHER, *TOGETHER, *OF_BINARY, "loss", "device", "learner", "refit"}
    assert tried == set(Train.model_fields)


@pytest.mark.parametrize("name", [*TOGETHER, *OF_BINARY])
def test_each_number_of_a_loss_and_a_schedule_makes_another_model(name):
    task = "binary" if name in OF_BINARY else "regression"
    values = (TOGETHER | OF_BINARY)[name]
    without = {key: value for key, value in values.items() if key != name}
    ways = [Params(task=task, train=train) for train in ({}, without, values)]
    assert len({seed_fingerprint("data", way, "cpu", 0) for way in ways}) == 3
    assert len({way_of(dataset, way, "xgboost") for way in ways}) == 3


@pytest.mark.parametrize(("task", "usual"), USUAL.items())
def test_a_usual_loss_by_its_name_is_the_same_way_of_training(task, usual):
    plain, named = (Params(task=task, train={"loss": loss}) for loss in ("auto", usual))
    assert seed_fingerprint("d", plain, "cpu", 0) == seed_fingerprint("d", named, "cpu", 0)
    assert way_of(dataset, plain, "xgboost") == way_of(dataset, named, "xgboost")


def test_another_learner_and_another_code_of_it_make_another_model(monkeypatch, tmp_path):
    mine, found = tmp_path / "mine.py", set()
    learner = SimpleNamespace(LIBRARIES=("scikit-learn",), __file__=str(mine))
    for code in ("a = 1", "a = 2"):
        mine.write_text(code)
        monkeypatch.setattr("evergreen.training.fingerprints.find_learner", lambda _: learner)
        found.add(seed_fingerprint("data", changed("train", learner="late_flights.mine"), "cpu", 0))
    monkeypatch.undo()
    assert len({*found, seed_fingerprint("data", BASE, "cpu", 0)}) == 3


SEED_CHANGES = {
    "data": ("other", BASE, "cpu", 0),
    "task": ("data", BASE.model_copy(update={"task": "regression"}), "cpu", 0),
    "device": ("data", BASE, "cuda", 0),
    "seed": ("data", BASE, "cpu", 1),
    **{
        f"train.{name}": ("data", changed("train", **{name: value}), "cpu", 0)
        for name, value in OTHER.items()
    },
}
UNRELATED = {
    "device as asked for": changed("train", device="cpu"),
    "ports": changed("ports", prefect=4201, mlflow=5001),
    "jobs": changed("sweep", jobs=2),
    "experiment": changed("tracking", experiment="other"),
    "source": changed("source", until="2013-02"),  # the data's version stands for it
}
SEED_ONLY_UNRELATED = {
    "more seeds": changed("sweep", seeds=20, first_seed=5),
    "median": changed("sweep", model="median"),
    "no refit": changed("train", refit="none"),
    "resamples": changed("evaluate", resamples=200),
    "model": changed("tracking", model="other"),
}


@pytest.mark.parametrize("what", SEED_CHANGES)
def test_a_seeds_fingerprint_changes_with(what):
    assert seed_fingerprint(*SEED_CHANGES[what]) != seed_fingerprint("data", BASE, "cpu", 0)


@pytest.mark.parametrize("what", {**UNRELATED, **SEED_ONLY_UNRELATED})
def test_a_seeds_fingerprint_does_not_change_with(what):
    params = {**UNRELATED, **SEED_ONLY_UNRELATED}[what]
    assert seed_fingerprint("data", params, "cpu", 0) == seed_fingerprint("data", BASE, "cpu", 0)


SWEEP_CHANGES = {
    **{what: case[:3] for what, case in SEED_CHANGES.items() if what != "seed"},
    **{what: ("data", params, "cpu") for what, params in SEED_ONLY_UNRELATED.items()},
    "fewer seeds": ("data", changed("sweep", seeds=9), "cpu"),
    "first seed": ("data", changed("sweep", first_seed=1), "cpu"),
    "confidence": ("data", changed("evaluate", confidence=0.9), "cpu"),
    "answers required": ("data", changed("gate", datasheet="required"), "cpu"),
}


@pytest.mark.parametrize("what", SWEEP_CHANGES)
def test_a_sweeps_fingerprint_changes_with(what):
    assert sweep_fingerprint(*SWEEP_CHANGES[what]) != sweep_fingerprint("data", BASE, "cpu")


def test_a_sweeps_fingerprint_is_that_of_before_there_were_answers():
    content = BASE.gate.model_dump(exclude={"datasheet"})
    assert content | {"datasheet": "optional"} == BASE.gate.model_dump()
    before = [part.model_dump() for part in (BASE.evaluate, BASE.leaks, BASE.bias)]
    seeds = [seed_fingerprint("data", BASE, "cpu", seed) for seed in BASE.sweep.seed_list()]
    how = (BASE.sweep.model, BASE.tracking.model, BASE.train.refit, [*before, content])
    was = sha256_of(seeds, how, version("scikit-learn"), recipes.JUDGE)
    assert sweep_fingerprint("data", BASE, "cpu") == was


@pytest.mark.parametrize("what", UNRELATED)
def test_a_sweeps_fingerprint_does_not_change_with(what):
    assert sweep_fingerprint("data", UNRELATED[what], "cpu") == sweep_fingerprint(
        "data", BASE, "cpu"
    )


@pytest.mark.parametrize("library", ["xgboost", "scikit-learn"])
def test_fingerprints_change_with_the_libraries(library, monkeypatch):
    from evergreen.training import fingerprints

    seed, whole = seed_fingerprint("data", BASE, "cpu", 0), sweep_fingerprint("data", BASE, "cpu")
    real = fingerprints.version
    monkeypatch.setattr(
        fingerprints, "version", lambda name: "0.0" if name == library else real(name)
    )
    assert sweep_fingerprint("data", BASE, "cpu") != whole
    assert (seed_fingerprint("data", BASE, "cpu", 0) != seed) == (library == "xgboost")


def test_a_way_of_training_is_of_code_parameters_and_definition():
    ours = way_of(dataset, BASE, "xgboost")
    assert (
        way_of(dataset, BASE.override(sweep={"seeds": 3}, train={"device": "cpu"}), "xgboost")
        == ours
    )
    assert way_of(dataset, BASE.override(train={"max_depth": 3}), "xgboost") != ours
    assert way_of(dataset, BASE.override(prepare={"min_level_rows": 3}), "xgboost") != ours
    straight = way_of(dataset, BASE, "linear")
    assert straight != ours
    # It has no depth
    assert way_of(dataset, BASE.override(train={"max_depth": 3}), "linear") == straight
    assert way_of(replace(dataset, label=~dataset.label), BASE, "xgboost") != ours
