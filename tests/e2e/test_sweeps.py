"""A sweep in a flow, with Prefect's own engine and server; only the training is made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, environment
from forking import FORKS

pytestmark = pytest.mark.slow
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
    sweep = sweeps.Sweep(JUDGED, None, params, "rows", "cpu", Slots(2, 1), params.sweep.seed_list())
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


def test_a_failed_seed_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    asked = json.dumps([(broken, known) for broken, known, _ in SWEEPS.values()])
    done = FORKS[0].run([asked], tmp_path, environment(ROOT), 240, SWEEP)
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
