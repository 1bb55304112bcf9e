"""The tasks that make a model: what a run is about, and a sweep that loses only one seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from prefect.logging import disable_run_logger

from evergreen.orchestration.tasks import models
from evergreen.orchestration.tasks.job import Job
from evergreen.orchestration.tasks.models import Plan, describe, plan
from evergreen.orchestration.tasks.sweeps import Seed
from evergreen.stores.registry import Registered
from evergreen.training.seeds import Slots
from evergreen.training.xgboost import Trained

PLAN = Plan("cpu", Slots(2, 1), "fingerprint", "data.dir")


@pytest.mark.parametrize(
    ("reused", "said"),
    [
        (False, "log_loss 0.4321 after 7 rounds, 2.5 s"),
        (True, "log_loss 0.4321 after 7 rounds, from an earlier run"),
    ],
)
def test_a_seed_is_told_in_a_few_words(reused: bool, said: str) -> None:
    trained = Trained(3, b"", 7, 0.4, {}, seconds=2.54)
    assert Seed(trained, {"log_loss": 0.43214, "roc_auc": 0.9}, reused).tell() == said


def test_a_run_is_named_after_its_holdout_and_carries_its_facts(
    make_job: Callable[..., Job], tmp_path: Path
) -> None:
    job = make_job(tmp_path, sweep={"seeds": 3, "first_seed": 5})
    job.project.features.mkdir(parents=True)
    parts = {"train": ["2013-01", "2013-02"], "validation": ["2013-03"], "holdout": ["2013-04"]}
    split = {
        role: {"batches": batches, "start": None, "end": None} for role, batches in parts.items()
    }
    (job.project.features / "split.json").write_text(json.dumps(split))
    (job.project.root / "dvc.lock").write_text("stages: {}")
    name, facts, texts = describe(job, PLAN, "drift of temp")
    assert texts == {"params.yaml": job.params.text.decode(), "dvc.lock": "stages: {}"}
    assert name == "up to 2013-04, 3 seeds, mean"
    assert facts == {
        "device": "cpu",
        "memory": "in-memory",
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
    runs = SimpleNamespace(recover=list, find_finished=lambda _: run, reopen=reopened.append)
    registry = SimpleNamespace(
        recover=list,
        version_of=lambda _: Registered("evergreen", "2", ""),
        aliases=lambda: {"champion": "1"},
        champion=lambda: None if damaged else "1",
    )
    monkeypatch.setattr(models, "data_versions", lambda _: {"data/features": "data.dir"})
    monkeypatch.setattr(Job, "registry", property(lambda _: registry))
    monkeypatch.setattr(Job, "runs", property(lambda _: runs))
    monkeypatch.setattr(Job, "note_outside", lambda _: None)
    # Where it is judged again, rows have a place; what is there already needs none
    outside = Slots(1, 2, on_disk=True), "external: too many"
    monkeypatch.setattr("evergreen.training.memory.place_rows", lambda *_: outside)
    with disable_run_logger():
        found = plan.fn(make_job(tmp_path))
    assert reopened == (["run"] if damaged else [])
    assert found.finished == (None if damaged else "run")
    assert (found.slots.on_disk, found.memory) == (damaged, "external: too many" if damaged else "")
