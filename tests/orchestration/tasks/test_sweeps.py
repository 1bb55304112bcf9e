"""Sweeps: a seed is trained, measured and recorded at once; one that fails stops nobody else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Semaphore
from types import SimpleNamespace
from typing import Any

import pytest
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
