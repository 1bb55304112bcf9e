"""Seeds: they come back bit for bit, and damaged ones do not count."""

from __future__ import annotations

import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from tracked import METRICS, begin, children, fit

from evergreen.stores.runs import Runs
from evergreen.stores.seeds import Seeds
from evergreen.training.xgboost import Trained

pytestmark = pytest.mark.slow  # real stores


def test_a_seed_comes_back_as_it_was(tracker):
    parent = begin(tracker)
    Seeds(tracker).record(parent, fit(3), METRICS, "seed print")
    assert Seeds(tracker).load(parent, "seed print") == fit(3)
    assert Seeds(tracker).load(parent, "other print") is None
    assert len(children(tracker, parent)) == 1


def test_a_seed_is_recorded_with_its_curves_and_metrics(tracker):
    parent = begin(tracker)
    trained = fit(3)
    run_id = Seeds(tracker).record(parent, trained, METRICS, "seed print")
    run = tracker.client.get_run(run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "seed 3")
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.data.tags["evergreen.seed"] == "3"
    for part in ("train", "validation"):
        history = tracker.client.get_metric_history(run_id, f"{part}_loss")
        assert [point.value for point in sorted(history, key=lambda point: point.step)] == list(
            trained.history[part]
        )
    known = {name: run.data.metrics[name] for name in METRICS}
    assert known == METRICS
    assert run.data.metrics["rounds"] == trained.rounds
    assert run.data.params["learning_rate"] == "0.05"


def test_a_seed_of_another_run_is_recalled_and_recorded_here_too(tracker):
    first, second = begin(tracker, "one"), begin(tracker, "two")
    origin = Seeds(tracker).record(first, fit(3), METRICS, "seed print")
    assert Seeds(tracker).load(second, "seed print") == fit(3)
    (copy,) = children(tracker, second)
    assert copy.data.tags["evergreen.reused_from"] == origin
    assert copy.info.status == "FINISHED"
    ours, theirs = copy.data.metrics, tracker.client.get_run(origin).data.metrics
    assert ours == theirs
    history = [
        tracker.client.get_metric_history(run_id, "validation_loss")
        for run_id in (origin, copy.info.run_id)
    ]
    assert [point.value for point in history[0]] == [point.value for point in history[1]]
    assert Seeds(tracker).load(second, "seed print") == fit(3)  # from here now
    assert len(children(tracker, second)) == 1
    assert len(children(tracker, first)) == 1


def test_the_seconds_of_what_a_run_trained_itself(tracker):
    first, second = begin(tracker, "one"), begin(tracker, "two")
    seeds = Seeds(tracker)
    for seed, role in ((3, "judged"), (4, "judged"), (3, "live")):
        trained = replace(fit(3), seed=seed, seconds=2.0 + seed)
        seeds.record(first, trained, {}, f"{role} {seed}", role)
    found = seeds.seconds_of(first)
    assert {role: sorted(seconds) for role, seconds in found.items()} == {
        "judged": [5.0, 6.0],
        "live": [5.0],
    }
    seeds.load(second, "judged 3")  # from the other run: it costs nothing here
    assert seeds.seconds_of(second) == {}


def test_a_seed_that_failed_is_not_recalled(tracker):
    parent = begin(tracker)
    Seeds(tracker).record_failure(parent, 3, "out of memory " * 100)
    (run,) = children(tracker, parent)
    assert (run.info.status, run.data.tags["evergreen.seed"]) == ("FAILED", "3")
    assert run.data.tags["evergreen.error"].startswith("out of memory")
    assert Seeds(tracker).load(parent, "seed print") is None


def damage(folder, how):
    booster, facts = folder / "booster.ubj", folder / "trained.json"
    content = booster.read_bytes()
    if how == "a byte of the booster altered":
        booster.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    elif how == "booster gone":
        booster.unlink()
    elif how == "booster of another seed":
        booster.write_bytes(fit(1).booster)
    elif how == "facts cut":
        facts.write_text(facts.read_text()[:-10])
    elif how == "facts empty":
        facts.write_text("{}")
    else:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "how",
    [
        "a byte of the booster altered",
        "booster gone",
        "booster of another seed",
        "facts cut",
        "facts empty",
        "everything gone",
    ],
)
def test_a_damaged_seed_does_not_count(how, tracker):
    parent = begin(tracker)
    run_id = Seeds(tracker).record(parent, fit(3), METRICS, "seed print")
    damage(Path(tracker.client.get_run(run_id).info.artifact_uri, "seed"), how)
    assert Seeds(tracker).load(parent, "seed print") is None
    Seeds(tracker).record(begin(tracker, "other"), fit(3), METRICS, "seed print")
    assert Seeds(tracker).load(parent, "seed print") == fit(3)  # the intact one


def test_the_seeds_of_a_run_are_all_there_in_order(tracker):
    parent, other = begin(tracker, "one"), begin(tracker, "two")
    many = [replace(fit(0), seed=seed) for seed in (11, 2, 0, 30)]  # as numbers, not as text
    for trained in many:
        Seeds(tracker).record(parent, trained, METRICS, f"print {trained.seed}")
    Seeds(tracker).record(other, fit(5), METRICS, "print 5")
    Seeds(tracker).record_failure(parent, 7, "out of memory")
    damaged = Seeds(tracker).record(parent, fit(8), METRICS, "print 8")
    damage(
        Path(tracker.client.get_run(damaged).info.artifact_uri, "seed"),
        "a byte of the booster altered",
    )
    assert Seeds(tracker).of_run(parent) == sorted(many, key=lambda trained: trained.seed)
    Seeds(tracker).load(other, "print 2")  # reused by another run
    assert [trained.seed for trained in Seeds(tracker).of_run(other)] == [2, 5]
    assert Seeds(tracker).of_run(begin(tracker, "three")) == []


def test_a_seed_that_was_trained_again_counts_in_place_of_the_damaged_one(tracker):
    parent = begin(tracker)
    damaged = Seeds(tracker).record(parent, fit(3), METRICS, "seed print")
    damage(
        Path(tracker.client.get_run(damaged).info.artifact_uri, "seed"),
        "a byte of the booster altered",
    )
    Seeds(tracker).record(parent, fit(3), METRICS, "seed print")
    assert Seeds(tracker).load(parent, "seed print") == fit(3)
    assert Seeds(tracker).of_run(parent) == [fit(3)]


def test_recording_and_recalling_leave_no_files_behind(tracker, tmp_path, monkeypatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    parent = begin(tracker)
    Seeds(tracker).record(parent, fit(3), METRICS, "seed print")
    assert list(place.iterdir()) == []
    Seeds(tracker).load(parent, "seed print")
    assert list(place.iterdir()) == []


def test_seeds_are_recorded_from_many_threads_at_once(tracker):
    parent = begin(tracker)
    many = [replace(fit(0), seed=seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda trained: Seeds(tracker).record(
                    parent, trained, METRICS, f"print {trained.seed}"
                ),
                many,
            )
        )
    assert [Seeds(tracker).load(parent, f"print {seed}") for seed in range(8)] == many


def test_a_long_history_is_recorded_in_a_second(tracker, capsys):
    parent = begin(tracker)
    curve = tuple(np.linspace(1, 0.5, 500).tolist())
    trained = Trained(0, bytes(300_000), 500, 0.5, {"train": curve, "validation": curve}, 1.0)
    began = time.process_time()  # whatever else the machine does
    run_id = Seeds(tracker).record(parent, trained, METRICS, "seed print")
    seconds = time.process_time() - began
    with capsys.disabled():
        print(f"\nrecording one seed of 500 rounds: {seconds:.3f} s")
    assert len(tracker.client.get_metric_history(run_id, "train_loss")) == 500
    assert seconds < 1


def test_a_store_that_does_not_answer_is_no_damaged_seed(tracker, monkeypatch):
    with Runs(tracker).open("print", "a run", {}) as parent:
        run_id = Seeds(tracker).record(parent, fit(3), METRICS, "seed print")

    def busy(*_, **__):
        raise MlflowException("database is locked", error_code=TEMPORARILY_UNAVAILABLE)

    for name in ("list_artifacts", "download_artifacts"):
        with monkeypatch.context() as patch:
            patch.setattr(type(tracker.client), name, busy)
            with pytest.raises(MlflowException, match="locked"):
                Seeds(tracker).read(run_id)
    assert Seeds(tracker).read(run_id).seed == 3
