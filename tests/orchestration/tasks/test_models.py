"""The tasks that make a model: what a run is about, and a sweep that loses only one seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from evergreen.errors import InputError
from evergreen.features.split import Part, Split
from evergreen.finding import Finding
from evergreen.ingest.manifest import Manifest
from evergreen.orchestration.tasks import models
from evergreen.orchestration.tasks.job import Job
from evergreen.orchestration.tasks.models import Plan, describe, plan
from evergreen.orchestration.tasks.sweeps import Seed
from evergreen.quality.bias import BiasReport
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


@pytest.mark.parametrize(
    ("used", "least", "stops"),
    [
        (1, 0.5, True),
        (2, 0.5, False),
        (1, 0.25, False),
        (1, None, False),
    ],
)
def test_a_run_stops_where_little_is_left_of_what_the_champion_has_learnt_from(
    used: int,
    least: float | None,
    stops: bool,
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before anything is trained: a history that falls out takes what it taught with it."""
    months = ["2013-01", "2013-02", "2013-03", "2013-04"]
    job = make_job(tmp_path, split={"min_share": least})
    features = Manifest(job.project.features)
    features.folder.mkdir(parents=True)
    for month in months:
        features.file(month).touch()
        when = dict.fromkeys(("start", "middle", "end"), f"{month}-01 00:00:00")
        features.record(month, features.file(month), rows=1000, **when)
    part = Part(tuple(months[-used:]), None, None)
    monkeypatch.setattr(Split, "of", classmethod(lambda cls, project: Split(part, part, part)))
    asked: list[str] = []

    def describe(run_id: str) -> tuple[dict[str, float], dict[str, str]]:
        asked.append(run_id)
        return {}, {"evergreen.split.train": ", ".join(months)}

    runs = SimpleNamespace(recover=list, find_finished=lambda _: None, describe=describe)
    versions = SimpleNamespace(run_of=lambda number: f"run of {number}")
    registry = SimpleNamespace(recover=list, champion=lambda: "1", versions=versions)
    monkeypatch.setattr(models, "data_versions", lambda _: {"data/features": "data.dir"})
    monkeypatch.setattr(Job, "registry", property(lambda _: registry))
    monkeypatch.setattr(Job, "runs", property(lambda _: runs))
    monkeypatch.setattr(Job, "note_outside", lambda _: None)
    monkeypatch.setattr(
        "evergreen.training.memory.place_rows", lambda *_: (Slots(1, 2), "in-memory")
    )
    with disable_run_logger():
        if stops:
            with pytest.raises(InputError, match=r"only 1,000 rows are left .* learnt from 4,000"):
                plan.fn(job)
        else:
            assert plan.fn(job).finished is None
    assert asked == ["run of 1"]


@pytest.mark.parametrize(("bound", "stops"), [(0.2, True), (0.4, False)])
def test_labels_that_the_model_contradicts_beyond_a_bound_stop_the_run_once_it_is_recorded(
    bound: float,
    stops: bool,
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was found before training is not all: labels are judged by the model."""
    says = "A model that has not seen them contradicts 30% of the labels."
    noise = Finding("labels", "wrong labels", 0.3, says, bound="max_label_noise")
    before = BiasReport("binary", ("2013-01",), "2013-01", 100, ())
    page, recorded = tmp_path / "bias.html", []
    page.touch()
    estimate = SimpleNamespace(value=0.7, low=0.6, high=0.8)
    evaluation = SimpleNamespace(
        rows=100,
        spread={},
        estimates={"model": {"roc_auc": estimate}, "linear": {"roc_auc": estimate}},
        as_markdown=lambda: "",
    )
    for name, given in (
        ("evaluation.baselines.predict_baselines", {}),
        ("evaluation.evaluate.evaluate", evaluation),
        ("report.plots.draw_curves", tmp_path / "curves.png"),
        ("report.plots.draw_result", tmp_path / "result.png"),
        ("report.plots.feature_gain", {}),
    ):
        monkeypatch.setattr(f"evergreen.{name}", lambda *_, given=given, **__: given)
    for name in ("curves_of", "note_shown", "show_sweep", "create_markdown_artifact"):
        monkeypatch.setattr(models, name, lambda *_, **__: None)
    monkeypatch.setattr(models, "part_bytes", lambda *_: [])
    monkeypatch.setattr(
        models,
        "add_label_noise",
        lambda job, report, _: BiasReport("binary", report.batches, report.newest, 100, (noise,)),
    )
    monkeypatch.setattr(models, "publish_bias", lambda *_: page)
    runs = SimpleNamespace(record_evaluation=lambda *given: recorded.append(given))
    monkeypatch.setattr(Job, "runs", property(lambda _: runs))
    trained = Trained(0, b"", 7, 0.4, {}, seconds=1.0)
    run: Any = SimpleNamespace(
        job=make_job(tmp_path, bias={"max_label_noise": bound}),
        run_id="run",
        tables=SimpleNamespace(task="binary", features=("x",)),
        seeds=[Seed(trained, {"log_loss": 0.4}, reused=False)],
        failed=[],
        linear=b"",
        search=None,
        bias=before,
    )
    with disable_run_logger():
        if stops:
            with pytest.raises(InputError, match=r"wrong labels is 30.00%, more than 20.00%"):
                models.evaluate.fn(run)
        else:
            assert models.evaluate.fn(run) is evaluation
    ((run_id, *_, files),) = recorded
    assert (run_id, page in files) == ("run", True)
