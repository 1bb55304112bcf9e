"""The tasks that make a model: what a run is about, and a sweep that loses a seed but not the others."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Semaphore
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ROOT, environment
from prefect.logging import disable_run_logger

from evergreen.model.sweep import Slots, seed_fingerprint
from evergreen.model.train import Trained
from evergreen.registry import Registered
from flows.tasks import models
from flows.tasks.job import Job, value
from flows.tasks.models import Plan, Seed, describe, plan

PLAN = Plan("cpu", Slots(2, 1), "fingerprint", "data.dir")


@pytest.mark.parametrize(
    ("reused", "said"),
    [(False, "log_loss 0.4321 after 7 rounds, 2.5 s"), (True, "log_loss 0.4321 after 7 rounds, from an earlier run")],
)
def test_a_seed_is_told_in_a_few_words(reused: bool, said: str) -> None:
    trained = Trained(3, b"", 7, 0.4, {}, seconds=2.54)
    assert Seed(trained, {"log_loss": 0.43214, "roc_auc": 0.9}, reused).tell() == said


def test_a_run_is_named_after_its_holdout_and_carries_its_facts(make_job: Callable[..., Job], tmp_path: Path) -> None:
    one = make_job(tmp_path, sweep={"seeds": 3, "first_seed": 5})
    one.project.features.mkdir(parents=True)
    parts = {"train": ["2013-01", "2013-02"], "validation": ["2013-03"], "holdout": ["2013-04"]}
    split = {role: {"batches": batches, "start": None, "end": None} for role, batches in parts.items()}
    (one.project.features / "split.json").write_text(json.dumps(split))
    (one.project.root / "dvc.lock").write_text("stages: {}")
    name, facts, texts = describe(one, PLAN, "drift of temp")
    assert texts == {"params.yaml": one.params.text.decode(), "dvc.lock": "stages: {}"}
    assert name == "up to 2013-04, 3 seeds, median"
    assert facts == {
        "device": "cpu",
        "seeds": [5, 6, 7],
        "data": "data.dir",
        "task": "binary",
        "reason": "drift of temp",
        "split.train": "2013-01, 2013-02",
        "split.validation": "2013-03",
        "split.holdout": "2013-04",
    }


@pytest.mark.parametrize("damaged", [True, False])
def test_an_earlier_run_is_judged_again_where_the_champion_is_gone(
    damaged: bool, make_job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else there would be no champion for as long as the data stay as they are."""
    reopened: list[str] = []
    run = SimpleNamespace(info=SimpleNamespace(run_id="run"))
    tracker: Any = SimpleNamespace(recover=list, find_finished=lambda _: run, reopen=reopened.append)
    registry = SimpleNamespace(
        recover=list,
        version_of=lambda _: Registered("evergreen", "2", ""),
        aliases=lambda: {"champion": "1"},
        champion=lambda: None if damaged else "1",
    )
    made = make_job(tmp_path)
    monkeypatch.setattr(models, "data_versions", lambda _: {"data/features": "data.dir"})
    monkeypatch.setattr(Job, "registry", property(lambda _: registry))
    monkeypatch.setattr(Job, "note_outside", lambda _: None)
    with disable_run_logger():
        found = plan.fn(Job(made.project, made.params, tracker))
    assert reopened == (["run"] if damaged else [])
    assert found.finished == (None if damaged else "run")


class Notes:
    """What would be recorded."""

    def __init__(self) -> None:
        self.seeds: list[Any] = []

    def record_seed(self, *what: Any) -> None:
        self.seeds.append(what)


def test_a_seed_is_trained_measured_and_recorded_at_once(
    monkeypatch: pytest.MonkeyPatch, make_job: Callable[..., Job], tmp_path: Path
) -> None:
    model = Trained(1, b"model", 7, 0.4, {})
    monkeypatch.setattr("evergreen.model.train.train", lambda *_, **__: model)
    told = lambda _, booster, *__: {"length": len(booster)}  # noqa: E731
    monkeypatch.setattr("evergreen.model.evaluate.measure_seed", told)
    notes, one = Notes(), make_job(tmp_path)
    one = Job(one.project, one.params, notes)  # type: ignore[arg-type]
    limit = Semaphore(1)
    with disable_run_logger():
        fresh = models.train.fn(one, PLAN, "run", None, None, 1, None, limit)
        known = models.train.fn(one, PLAN, "run", None, None, 1, model, limit)
    assert fresh == Seed(model, {"length": 5}, reused=False)
    assert notes.seeds == [("run", model, {"length": 5}, seed_fingerprint(PLAN.data, one.params, "cpu", 1))]
    assert (known.name, value(known)) == ("Skipped", Seed(model, {"length": 5}, reused=True))
    assert limit.acquire(blocking=False)


SWEEP = """
import json, sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from evergreen.errors import InputError
from evergreen.model import evaluate, train
from evergreen.model.sweep import Slots
from evergreen.params import Params
from evergreen.project import Project
from flows.server import connect

project = Project(Path.cwd())
params = Params(sweep={"seeds": 4}, ports={"prefect": 1})
connect(project, params, lambda: None)
from prefect import flow
from flows import console
from flows.tasks import job as jobs, models

errors, tried, failures = {}, Counter(), {}

def fit(binned, params, seed, **_):
    tried[seed] += 1
    if seed in errors:
        raise errors[seed]
    return train.Trained(seed, b"x" * seed, 1, 0.1, {})

train.train = fit
evaluate.measure_seed = lambda tables, booster, learner: {"length": float(len(booster))}

@flow
def sweep(known):
    console.install()
    tracker = SimpleNamespace(
        record_seed=lambda *_: None, record_failure=lambda run_id, seed, said: failures.update({seed: said})
    )
    job, plan = jobs.Job(project, params, tracker), models.Plan("cpu", Slots(2, 1), "", "")
    return models.sweep(job, plan, "run", None, None, known)

found = []
for broken, known in json.loads(sys.argv[1]):
    kinds = {"luck": RuntimeError, "mistake": InputError}
    errors = {int(seed): kinds[kind](f"{kind} {seed}") for seed, kind in broken.items()}
    tried.clear(), failures.clear()
    try:
        trained, failed = sweep({seed: train.Trained(seed, b"old", 1, 0.1, {}) for seed in known})
        ended = [[one.trained.seed, one.reused, one.metrics["length"]] for one in trained], failed
    except Exception as error:
        ended = repr(error)
    found.append({"ended": ended, "tried": dict(tried), "failures": dict(failures)})
Path("found.json").write_text(json.dumps(found))
"""
SWEEPS: dict[str, tuple[dict[int, str], list[int], dict[str, Any]]] = {  # seed -> why it fails, seeds known before
    "one fails, the rest goes on": (
        {1: "luck"},
        [2],
        {
            "ended": [[[0, False, 0.0], [2, True, 3.0], [3, False, 3.0]], [1]],
            "tried": {"0": 1, "1": 2, "3": 1},
            "failures": {"1": "luck 1"},
        },
    ),
    "a mistake ends it": (
        {1: "mistake"},
        [],
        {"ended": "InputError('mistake 1')", "tried": {"0": 1, "1": 1, "2": 1, "3": 1}, "failures": {"1": "mistake 1"}},
    ),
    "none is left": (
        dict.fromkeys(range(4), "luck"),
        [],
        {
            "ended": "RuntimeError",
            "tried": dict.fromkeys("0123", 2),
            "failures": {str(seed): f"luck {seed}" for seed in range(4)},
        },
    ),
}


@pytest.mark.slow
def test_a_failed_seed_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    """With Prefect's own engine and server; only the training itself is made up."""
    asked = json.dumps([(broken, known) for broken, known, _ in SWEEPS.values()])
    command = [sys.executable, "-c", SWEEP, asked]
    done = subprocess.run(command, cwd=tmp_path, env=environment(ROOT), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    found = dict(zip(SWEEPS, json.loads((tmp_path / "found.json").read_text()), strict=True))
    for name, (_, _, expected) in SWEEPS.items():
        if name == "none is left":
            assert found[name]["ended"].startswith("RuntimeError('luck ")
            found[name]["ended"] = "RuntimeError"
        assert found[name] == expected, name
    printed = done.stdout + done.stderr
    assert "seed 1: failed (" in printed
    assert "seed 2: length 3.0000 after 1 rounds, from an earlier run" in printed
    assert "mistake 1" not in printed  # the command line says it, last
