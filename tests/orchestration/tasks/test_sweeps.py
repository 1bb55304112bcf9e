"""Sweeps: a seed is trained, measured and recorded at once; one that fails stops nobody else."""

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

from evergreen.errors import InputError
from evergreen.orchestration.tasks import sweeps
from evergreen.orchestration.tasks.job import Job, value
from evergreen.orchestration.tasks.models import Plan
from evergreen.orchestration.tasks.sweeps import Search, Seed, Sweep
from evergreen.training.fingerprints import seed_fingerprint
from evergreen.training.learner import Trained
from evergreen.training.seeds import JUDGED, LIVE, ROUND_SEEDS, ROUNDS, Slots

PLAN = Plan("cpu", Slots(2, 1), "run", "data")


class Notes:
    """What would be recorded."""

    def __init__(self) -> None:
        self.seeds: list[Any] = []

    def record(self, *what: Any) -> None:
        self.seeds.append(what)


def test_a_seed_is_trained_measured_and_recorded_at_once(
    monkeypatch: pytest.MonkeyPatch, make_job: Callable[..., Job], tmp_path: Path
) -> None:
    model = Trained(1, b"model", 7, 0.4, {})
    monkeypatch.setattr("evergreen.training.xgboost.train", lambda *_, **__: model)
    told = lambda _, booster, *__, **___: {"length": len(booster)}  # noqa: E731
    monkeypatch.setattr("evergreen.evaluation.evaluate.measure_seed", told)
    notes, job = Notes(), make_job(tmp_path)
    monkeypatch.setattr(Job, "seeds", property(lambda _: notes))
    limit = Semaphore(1)
    with disable_run_logger():
        fresh = sweeps.train.fn(
            job,
            Sweep(JUDGED, None, job.params, "rows", "cpu", PLAN.slots),
            "run",
            [None],
            1,
            None,
            limit,
            "train",
        )
        known = sweeps.train.fn(
            job,
            Sweep(JUDGED, None, job.params, "rows", "cpu", PLAN.slots),
            "run",
            [None],
            1,
            model,
            limit,
            "train",
        )
    assert fresh == Seed(model, {"length": 5}, reused=False)
    assert notes.seeds == [
        ("run", model, {"length": 5}, seed_fingerprint("rows", job.params, "cpu", 1), JUDGED)
    ]
    assert (known.name, value(known)) == ("Skipped", Seed(model, {"length": 5}, reused=True))
    assert limit.acquire(blocking=False)


SWEEP = """
import json, sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from evergreen.errors import InputError
from evergreen.evaluation import evaluate
from evergreen.training import xgboost as train
from evergreen.training.seeds import JUDGED, Slots
from evergreen.params import Params
from evergreen.project import Project
from evergreen.orchestration.server import connect

project = Project(Path.cwd())
params = Params(sweep={"seeds": 4}, ports={"prefect": 1})
connect(project, params, lambda: None)
from prefect import flow
from evergreen.orchestration import console
from evergreen.orchestration.tasks import job as jobs, sweeps

errors, tried, failures = {}, Counter(), {}

def fit(binned, params, seed, **_):
    tried[seed] += 1
    if seed in errors:
        raise errors[seed]
    return train.Trained(seed, b"x" * seed, 1, 0.1, {})

train.train = fit
evaluate.measure_seed = lambda tables, booster, *_, **__: {"length": float(len(booster))}

@flow
def sweep(known):
    console.install()
    recorder = SimpleNamespace(
        record=lambda *_: None,
        record_failure=lambda run_id, seed, said, role: failures.update({seed: said}),
    )
    jobs.Job.seeds = property(lambda _: recorder)
    job = jobs.Job(project, params, None)
    sweep = sweeps.Sweep(JUDGED, None, params, "rows", "cpu", Slots(2, 1))
    sweeps.matrix = lambda *_: ([None], known)
    return sweeps.run_sweep(job, sweep, "run")

found = []
for broken, known in json.loads(sys.argv[1]):
    kinds = {"luck": RuntimeError, "mistake": InputError}
    errors = {int(seed): kinds[kind](f"{kind} {seed}") for seed, kind in broken.items()}
    tried.clear(), failures.clear()
    try:
        trained, failed = sweep({seed: train.Trained(seed, b"old", 1, 0.1, {}) for seed in known})
        rows = [[seed.trained.seed, seed.reused, seed.metrics["length"]] for seed in trained]
        ended = rows, failed
    except Exception as error:
        ended = repr(error)
    found.append({"ended": ended, "tried": dict(tried), "failures": dict(failures)})
Path("found.json").write_text(json.dumps(found))
"""
# Seed -> why it fails, seeds known before
SWEEPS: dict[str, tuple[dict[int, str], list[int], dict[str, Any]]] = {
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
        {
            "ended": "InputError('mistake 1')",
            "tried": {"0": 1, "1": 1, "2": 1, "3": 1},
            "failures": {"1": "mistake 1"},
        },
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
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(ROOT), capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    found = dict(zip(SWEEPS, json.loads((tmp_path / "found.json").read_text()), strict=True))
    for name, (_, _, expected) in SWEEPS.items():
        if name == "none is left":
            assert found[name]["ended"].startswith("RuntimeError('luck ")
            found[name]["ended"] = "RuntimeError"
        assert found[name] == expected, name
    printed = done.stdout + done.stderr
    assert "train, seed 1: failed (" in printed
    assert "train, seed 2: length 3.0000 after 1 rounds, from an earlier run" in printed
    assert "mistake 1" not in printed  # the command line says it, last


@pytest.mark.parametrize(("role", "count"), [(ROUNDS, ROUND_SEEDS), (JUDGED, 5), (LIVE, 5)])
def test_few_seeds_tell_the_rounds(
    role: str, count: int, make_job: Callable[..., Job], tmp_path: Path
) -> None:
    params = make_job(tmp_path).params.override(sweep={"seeds": 5})
    assert len(Sweep(role, None, params, "rows", "cpu", Slots(1, 1)).seeds) == count


def test_rounds_are_the_median_and_grow_with_the_rows() -> None:
    seeds = tuple(
        Seed(Trained(seed, b"", rounds, 0.1, {}), {}, reused=False)
        for seed, rounds in enumerate((20, 90, 40))
    )
    assert Search(seeds, 100).rounds(150, 2000) == 60


@pytest.mark.parametrize("judged", [False, True])
def test_a_seed_that_cannot_tell_the_rounds_stops_the_run(
    judged: bool,
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_tables: Callable[..., Any],
) -> None:
    """Cross-validation has folds of its own; else the tables of the split serve."""
    tables = make_tables("binary")
    monkeypatch.setattr("evergreen.training.tables.load_stopping", lambda _: tables)
    split = SimpleNamespace(judged=judged)
    monkeypatch.setattr("evergreen.features.split.Split.of", lambda _: split)
    seed = Seed(Trained(0, b"", 20, 0.1, {}), {}, reused=False)
    job, how = make_job(tmp_path), ("run", "cpu", Slots(1, 1), None if judged else tables)
    monkeypatch.setattr(sweeps, "run_sweep", lambda *_: ([seed], []))
    found = sweeps.find_rounds(job, *how)
    assert found is not None
    assert found.rounds(found.rows, 2000) == 20
    monkeypatch.setattr(sweeps, "run_sweep", lambda *_: ([seed], [1, 2]))
    with pytest.raises(
        InputError, match=r"seed\(s\) \[1, 2\], which find the number of rounds, failed"
    ):
        sweeps.find_rounds(job, *how)
