"""Sweeps: a seed is trained, measured and recorded at once; one that fails stops nobody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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
from evergreen.orchestration.tasks.sweeps import Seed, Sweep
from evergreen.training.fingerprints import seed_fingerprint
from evergreen.training.learner import Trained
from evergreen.training.rounds import Cut
from evergreen.training.seeds import JUDGED, LIVE, Slots

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
            Sweep(JUDGED, None, job.params, "rows", "cpu", PLAN.slots, [1]),
            "run",
            [None],
            1,
            None,
            limit,
            "train",
        )
        known = sweeps.train.fn(
            job,
            Sweep(JUDGED, None, job.params, "rows", "cpu", PLAN.slots, [1]),
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


@pytest.mark.parametrize("role", [JUDGED, LIVE])
def test_every_seed_is_judged_and_goes_live(
    role: str, make_job: Callable[..., Job], tmp_path: Path, make_tables: Callable[..., Any]
) -> None:
    job = make_job(tmp_path, sweep={"seeds": 5})
    sweep = Sweep.of(job, role, make_tables("binary"), "cpu", Slots(1, 1), rounds=7)
    assert (list(sweep.seeds), sweep.params.train.rounds) == ([0, 1, 2, 3, 4], 7)


@pytest.fixture
def searching(
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_tables: Callable[..., Any],
) -> SimpleNamespace:
    """A run that has to find its rounds on two cuts; `asked`: the sweeps, `tags`: what is noted."""
    tags: dict[str, Any] = {}
    runs = SimpleNamespace(tag=lambda _, facts: tags.update(facts))
    monkeypatch.setattr(Job, "runs", property(lambda _: runs))
    job, newest, older = make_job(tmp_path), make_tables("binary"), make_tables("binary")
    run = SimpleNamespace(job=job, plan=PLAN, run_id="run", tables=newest, asked=[], failed=[])

    run.give_back = lambda: given_back.append(len(run.tables.train))
    given_back: list[int] = []

    def load() -> Any:
        assert given_back == [0]  # the other one was given up before
        return older

    cuts = [Cut("2013-05", lambda: pytest.fail("it is there")), Cut("2013-04", load)]
    monkeypatch.setattr(sweeps, "find_cuts", lambda *_, **__: cuts)
    split = SimpleNamespace(judged=None)
    monkeypatch.setattr("evergreen.features.split.Split.of", lambda _: split)

    def sweep(_: Job, asked: Sweep, run_id: str) -> tuple[list[Seed], list[int]]:
        run.asked.append(asked)
        kept = [Seed(Trained(at, b"", 20 + at, 0.1, {}), {}, reused=False) for at in asked.seeds]
        return kept, run.failed

    monkeypatch.setattr(sweeps, "run_sweep", sweep)
    run.newest, run.older, run.tags, run.split, run.cuts = newest, older, tags, split, cuts
    return run


def test_each_seed_is_stopped_by_another_cut(searching: Any) -> None:
    with disable_run_logger():
        found = sweeps.find_rounds(searching)
    assert found is not None
    assert [(asked.title, asked.seeds, asked.slots) for asked in searching.asked] == [
        ("find rounds by 2013-05", [0, 2], Slots(2, 1)),
        ("find rounds by 2013-04", [1], Slots(1, 2)),
    ]
    assert searching.asked[1].tables is searching.older
    assert [seed.trained.seed for seed in found.seeds] == [0, 2, 1]
    assert found.rounds.on(len(searching.newest.train)) == 21
    assert searching.tags == {"rounds.found": found.rounds.tell()}


def test_of_few_rows_the_folds_stop_the_seeds(searching: Any) -> None:
    searching.split.judged = "folds"
    del searching.cuts[1]
    searching.cuts[0] = Cut("the rows before each fold", lambda: searching.older)
    with disable_run_logger():
        sweeps.find_rounds(searching)
    assert [(asked.tables, asked.seeds) for asked in searching.asked] == [
        (searching.older, [0, 1, 2])
    ]


def test_machines_elsewhere_keep_their_threads(searching: Any) -> None:
    compute = {"cluster": "dask", "address": "tcp://10.0.0.1:8786"}
    searching.job = replace(searching.job, params=searching.job.params.override(compute=compute))
    with disable_run_logger():
        sweeps.find_rounds(searching)
    assert [asked.slots for asked in searching.asked] == [PLAN.slots, PLAN.slots]


def test_a_seed_that_cannot_tell_the_rounds_stops_the_run(searching: Any) -> None:
    searching.failed = [2]
    with (
        disable_run_logger(),
        pytest.raises(
            InputError, match=r"seed\(s\) \[2\], which find the number of rounds, failed"
        ),
    ):
        sweeps.find_rounds(searching)


def test_without_a_refit_every_seed_is_stopped_by_itself(searching: Any) -> None:
    searching.job = replace(
        searching.job, params=searching.job.params.override(train={"refit": "none"})
    )
    assert sweeps.find_rounds(searching) is None
