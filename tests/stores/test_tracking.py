"""Tracking: runs end as their block ends, and seeds come back bit for bit."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import fit as fit_task
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from evergreen.errors import InputError
from evergreen.evaluation.evaluate import Evaluation
from evergreen.evaluation.metrics import Estimate
from evergreen.params import Params
from evergreen.project import Project
from evergreen.stores.git import Commit
from evergreen.stores.tracking import Tracker
from evergreen.training.sweep import summarize
from evergreen.training.xgboost import Trained

fit = partial(fit_task, "binary")
METRICS = {"roc_auc": 0.71, "log_loss": 0.43, "brier": 0.2}


pytestmark = pytest.mark.slow  # real stores and servers


@pytest.fixture
def tracker(open_tracker):
    return open_tracker()


def status(tracker, run_id):
    return tracker.client.get_run(run_id).info.status


def tags(tracker, run_id):
    return tracker.client.get_run(run_id).data.tags


def begin(tracker, fingerprint="print", facts=None, texts=None):
    """A run that has ended well."""
    with tracker.open_run(fingerprint, "a run", facts or {}, texts) as run_id:
        pass
    return run_id


def kill(tracker, run_id):
    """Leave a run as a killed process leaves it."""
    tracker.client.update_run(run_id, status="RUNNING")


def children(tracker, parent):
    return tracker.client.search_runs([tracker.experiment], f"tags.mlflow.parentRunId = '{parent}'")


# --- runs
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (None, "FINISHED"),
        (InputError("a mistake"), "FAILED"),
        (RuntimeError("a fault"), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(1), "KILLED"),
    ],
)
def test_a_run_ends_as_its_block_ends(error, ends, tracker):
    seen = {}

    def work():
        with tracker.open_run("print", "up to May", {}) as run_id:
            seen["id"], seen["status"] = run_id, status(tracker, run_id)
            if error:
                raise error

    if error:
        with pytest.raises(type(error)) as caught:
            work()
        assert caught.value is error
    else:
        work()
    assert (seen["status"], status(tracker, seen["id"])) == ("RUNNING", ends)
    assert tracker.client.get_run(seen["id"]).info.end_time > 0
    assert (tracker.find_finished("print") is not None) == (ends == "FINISHED")


def test_a_run_carries_where_it_came_from(tracker):
    run_id = begin(tracker, "print", {"device": "cpu", "seeds": [0, 1]})
    found = tags(tracker, run_id)
    expected = {
        "evergreen.fingerprint": "print",
        "evergreen.device": "cpu",
        "evergreen.seeds": "[0, 1]",
        "evergreen.git.dirty": "not known",
        "mlflow.runName": "a run",
        "mlflow.source.git.commit": "none",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert {"library.xgboost", "library.python", "library.mlflow", "library.dvc"} <= set(found)
    assert str(tracker.project.root) in found["evergreen.root"]


@pytest.mark.parametrize("how", ["failed", "killed", "interrupted", "some seeds failed"])
def test_an_unfinished_run_is_continued(how, tracker):
    errors = {"failed": RuntimeError(), "interrupted": KeyboardInterrupt()}
    ids = []
    try:
        with tracker.open_run("print", "first", {"device": "cpu"}) as run_id:
            ids.append(run_id)
            if how == "some seeds failed":
                tracker.record_evaluation(run_id, evaluation(), [3], [])
            if how in errors:
                raise errors[how]
    except (RuntimeError, KeyboardInterrupt):
        pass
    if how == "killed":
        kill(tracker, ids[0])
        assert tracker.recover() == ids
    assert tracker.find_finished("print") is None
    with tracker.open_run("print", "second", {"device": "cuda"}) as run_id:
        ids.append(run_id)
        assert status(tracker, run_id) == "RUNNING"
        tracker.record_evaluation(run_id, evaluation(), [], [])
    assert ids[0] == ids[1]
    assert tags(tracker, run_id)["evergreen.device"] == "cuda"
    assert tracker.find_finished("print").info.run_id == run_id
    assert len(tracker.client.search_runs([tracker.experiment])) == 1


def test_another_fingerprint_is_another_run(tracker):
    first, second = begin(tracker, "one"), begin(tracker, "two")
    assert first != second
    assert tracker.find_finished("one").info.run_id == first
    assert tracker.find_finished("three") is None


def test_a_finished_run_with_failed_seeds_does_not_hide_a_whole_one(tracker):
    whole = begin(tracker)
    with tracker.open_run("print", "later", {}) as later:
        assert later != whole
        tracker.record_evaluation(later, evaluation(), [1], [])
    assert tracker.find_finished("print").info.run_id == whole


def test_a_training_that_lost_a_seed_is_none_that_was_made(tracker):
    """It could not be judged: what was asked for still is."""
    for batch, failed in (("2013-05", []), ("2013-06", [1])):
        with tracker.open_run(batch, "a run", {"split.holdout": batch}) as run_id:
            tracker.record_evaluation(run_id, evaluation(), failed, [])
    assert [one.holdout for one in tracker.trainings()] == [("2013-05",)]


def test_what_a_killed_run_left_open_is_closed(tracker):
    done, left = begin(tracker, "one"), begin(tracker, "two")
    child = tracker.record_seed(left, fit(), METRICS, "seed print")
    kill(tracker, left)
    kill(tracker, child)
    assert set(tracker.recover()) == {left, child}
    assert [status(tracker, one) for one in (done, left, child)] == ["FINISHED", "KILLED", "KILLED"]
    assert tracker.recover() == []


def test_runs_of_another_project_in_the_same_store_are_left_alone(
    open_tracker, tmp_path, monkeypatch
):
    one = open_tracker("one")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", one.uri)
    one, two = open_tracker("one"), open_tracker("two")
    assert one.uri == two.uri
    mine, theirs = begin(one, "mine"), begin(two, "theirs")
    assert one.experiment == two.experiment
    kill(one, mine)
    kill(two, theirs)
    assert one.recover() == [mine]
    assert (status(one, mine), status(one, theirs)) == ("KILLED", "RUNNING")


def test_a_run_that_is_under_way_in_another_project_is_not_continued(open_tracker, monkeypatch):
    one = open_tracker("one")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", one.uri)
    one, two = open_tracker("one"), open_tracker("two")
    with one.open_run("print", "here", {}) as mine:
        assert begin(two, "print") != mine
        assert status(one, mine) == "RUNNING"


@pytest.mark.parametrize("name", ["with space", "o'neil", '100% "größe"'])
def test_any_name_of_a_folder(name, open_tracker):
    tracker = open_tracker(name)
    run_id = begin(tracker)
    kill(tracker, run_id)
    assert tracker.recover() == [run_id]


def test_a_deleted_experiment_is_an_error(tracker, open_tracker):
    tracker.client.delete_experiment(tracker.experiment)
    with pytest.raises(InputError, match="experiment"):
        begin(open_tracker())


def test_the_environment_names_the_store(open_tracker, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5999")
    tracker = open_tracker()
    assert tracker.uri == "http://127.0.0.1:5999"


@pytest.mark.parametrize(
    ("uri", "start"),
    [(None, "http://127.0.0.1:5123/#/"), ("http://host:5999", "http://host:5999/#/")],
)
def test_where_a_run_is_shown(uri, start, open_tracker, monkeypatch):
    if uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    tracker = open_tracker(ports={"mlflow": 5123})
    tracker.__dict__["experiment"] = "7"
    models = "?workflowType=machine_learning"
    assert tracker.link("abc") == f"{start}experiments/7/runs/abc{models}"
    assert tracker.link("abc", "artifacts") == f"{start}experiments/7/runs/abc/artifacts{models}"
    assert tracker.link() == f"{start}experiments/7/runs{models}"
    monkeypatch.setenv("EVERGREEN_MLFLOW_PAGE", "http://seen.example:9")
    assert tracker.link() == f"http://seen.example:9/#/experiments/7/runs{models}"


@pytest.mark.parametrize(
    ("uri", "there"),
    [("", False), ("sqlite:////elsewhere/mlflow.db", True), ("http://other:5000", True)],
)
def test_a_store_that_is_named_is_there_and_ones_own_once_it_is_made(
    uri: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    tracker = Tracker(Project(tmp_path), Params())
    assert tracker.is_there == there
    tracker.project.stores.mkdir()
    (tracker.project.stores / "mlflow.db").touch()
    assert tracker.is_there


def test_data_sets_are_inputs_of_the_run(tracker):
    run_id = begin(tracker)
    tracker.log_data(
        run_id, {"data/raw": "aa.dir", "data/features": "bb.dir"}, {"train": 10, "holdout": 5}
    )
    inputs = tracker.client.get_run(run_id).inputs.dataset_inputs
    found = {
        one.dataset.name: (one.dataset.digest, one.tags[0].value, one.dataset.profile)
        for one in inputs
    }
    assert found == {
        "data/raw": ("aa", "upstream", None),
        "data/features": ("bb", "training", json.dumps({"rows": {"train": 10, "holdout": 5}})),
    }
    sources = {json.loads(one.dataset.source)["md5"] for one in inputs}
    assert sources == {"aa.dir", "bb.dir"}


# --- code
# --------------------------------------------------------------------------------------------------


def git(root, *args):
    command = [
        "git",
        "-C",
        str(root),
        "-c",
        "user.name=tester",
        "-c",
        "user.email=tester@localhost",
        *args,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def code_of(tracker, run_id):
    return sorted(Path(one.path).name for one in tracker.client.list_artifacts(run_id, "code"))


def test_uncommitted_changes_are_kept_beside_the_run(make_project, open_tracker, tmp_path):
    project = make_project(months=())
    git(project.root, "commit", "-qam", "params")
    tracker = open_tracker(project)
    first = begin(tracker, "clean")
    with project.params.open("a") as file:
        file.write("# changed\n")
    second = begin(tracker, "dirty")
    head = git(project.root, "rev-parse", "HEAD")
    for run_id, dirty in ((first, "false"), (second, "true")):
        assert tags(tracker, run_id)["mlflow.source.git.commit"] == head
        assert tags(tracker, run_id)["evergreen.git.dirty"] == dirty
        assert tags(tracker, run_id)["evergreen.git.no_commit"] == ""
    assert code_of(tracker, first) == []
    assert code_of(tracker, second) == ["uncommitted.diff"]
    diff = Path(
        tracker.client.download_artifacts(second, "code/uncommitted.diff", str(tmp_path))
    ).read_text()
    assert "+# changed" in diff


def test_a_run_is_of_the_commit_and_the_files_it_began_with(tracker, tmp_path):
    texts = {"params.yaml": "task: binary  # größer\n", "dvc.lock": "stages: {}\n"}
    tracker.commit = Commit("abc", "+before")
    run_id = begin(tracker, texts=texts)
    assert tags(tracker, run_id)["mlflow.source.git.commit"] == "abc"
    folder = Path(tracker.client.download_artifacts(run_id, "code", str(tmp_path)))
    assert {path.name: path.read_text() for path in folder.iterdir()} == texts | {
        "uncommitted.diff": "+before"
    }


def test_why_there_is_no_commit_is_kept(tracker):
    tracker.commit = Commit(why="git refuses it")
    run_id = begin(tracker)
    names = ("mlflow.source.git.commit", "evergreen.git.dirty", "evergreen.git.no_commit")
    assert [tags(tracker, run_id)[name] for name in names] == [
        "none",
        "not known",
        "git refuses it",
    ]


def test_nothing_that_mlflow_keeps_holds_a_secret(make_project, open_tracker, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hunter2-hunter2")
    project = make_project(months=())
    with project.params.open("a") as file:
        file.write("# once: postgresql://me:hunter2@host/db\n# password: hunter2\n")
    tracker = open_tracker(project)
    said = "https://host/x?sig=hunter2 and hunter2-hunter2"
    texts = {"params.yaml": project.params.read_text(), "dvc.lock": ""}
    with tracker.open_run("print", said, {"reason": said}, texts) as run_id:
        tracker.client.log_text(run_id, said, "a.txt")
        tracker.client.log_dict(run_id, {"a": [said, {said: 1}]}, "a.json")
        tracker.client.set_tag(run_id, "said", said)
        tracker.record_failure(run_id, 1, said)
    stored = [path for path in project.stores.rglob("*") if path.is_file()]
    assert len(stored) > 4
    assert [path for path in stored if b"hunter2" in path.read_bytes()] == []
    assert tracker.client.get_run(run_id).data.tags["evergreen.root"] == tracker.root


@pytest.mark.parametrize(
    "uri", ["http://me:hunter2@127.0.0.1:5000", "https://me:p@ss:w/hunter2@host"]
)
def test_a_link_holds_no_login(uri, open_tracker, monkeypatch):
    tracker = open_tracker()
    monkeypatch.setattr(tracker, "uri", uri)
    monkeypatch.setattr(type(tracker), "experiment", "1")
    assert "hunter2" not in tracker.link("run")


# --- seeds
# --------------------------------------------------------------------------------------------------


def test_a_seed_comes_back_as_it_was(tracker):
    parent = begin(tracker)
    tracker.record_seed(parent, fit(3), METRICS, "seed print")
    assert tracker.load_seed(parent, "seed print") == fit(3)
    assert tracker.load_seed(parent, "other print") is None
    assert len(children(tracker, parent)) == 1


def test_a_seed_is_recorded_with_its_curves_and_metrics(tracker):
    parent = begin(tracker)
    trained = fit(3)
    run_id = tracker.record_seed(parent, trained, METRICS, "seed print")
    run = tracker.client.get_run(run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "seed 3")
    assert run.data.tags["mlflow.parentRunId"] == parent
    assert run.data.tags["evergreen.seed"] == "3"
    for part in ("train", "validation"):
        history = tracker.client.get_metric_history(run_id, f"{part}_loss")
        assert [one.value for one in sorted(history, key=lambda one: one.step)] == list(
            trained.history[part]
        )
    known = {name: run.data.metrics[name] for name in METRICS}
    assert known == METRICS
    assert run.data.metrics["rounds"] == trained.rounds
    assert run.data.params["learning_rate"] == "0.05"


def test_a_seed_of_another_run_is_recalled_and_recorded_here_too(tracker):
    first, second = begin(tracker, "one"), begin(tracker, "two")
    origin = tracker.record_seed(first, fit(3), METRICS, "seed print")
    assert tracker.load_seed(second, "seed print") == fit(3)
    (copy,) = children(tracker, second)
    assert copy.data.tags["evergreen.reused_from"] == origin
    assert copy.info.status == "FINISHED"
    ours, theirs = copy.data.metrics, tracker.client.get_run(origin).data.metrics
    assert ours == theirs
    history = [
        tracker.client.get_metric_history(one, "validation_loss")
        for one in (origin, copy.info.run_id)
    ]
    assert [one.value for one in history[0]] == [one.value for one in history[1]]
    assert tracker.load_seed(second, "seed print") == fit(3)  # from here now
    assert len(children(tracker, second)) == 1
    assert len(children(tracker, first)) == 1


def test_a_seed_that_failed_is_not_recalled(tracker):
    parent = begin(tracker)
    tracker.record_failure(parent, 3, "out of memory " * 100)
    (run,) = children(tracker, parent)
    assert (run.info.status, run.data.tags["evergreen.seed"]) == ("FAILED", "3")
    assert run.data.tags["evergreen.error"].startswith("out of memory")
    assert tracker.load_seed(parent, "seed print") is None


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
    run_id = tracker.record_seed(parent, fit(3), METRICS, "seed print")
    damage(Path(tracker.client.get_run(run_id).info.artifact_uri, "seed"), how)
    assert tracker.load_seed(parent, "seed print") is None
    tracker.record_seed(begin(tracker, "other"), fit(3), METRICS, "seed print")
    assert tracker.load_seed(parent, "seed print") == fit(3)  # the intact one


def test_the_seeds_of_a_run_are_all_there_in_order(tracker):
    parent, other = begin(tracker, "one"), begin(tracker, "two")
    many = [replace(fit(0), seed=seed) for seed in (11, 2, 0, 30)]  # as numbers, not as text
    for one in many:
        tracker.record_seed(parent, one, METRICS, f"print {one.seed}")
    tracker.record_seed(other, fit(5), METRICS, "print 5")
    tracker.record_failure(parent, 7, "out of memory")
    damaged = tracker.record_seed(parent, fit(8), METRICS, "print 8")
    damage(
        Path(tracker.client.get_run(damaged).info.artifact_uri, "seed"),
        "a byte of the booster altered",
    )
    assert tracker.seeds_of(parent) == sorted(many, key=lambda one: one.seed)
    tracker.load_seed(other, "print 2")  # reused by another run
    assert [one.seed for one in tracker.seeds_of(other)] == [2, 5]
    assert tracker.seeds_of(begin(tracker, "three")) == []


def test_a_seed_that_was_trained_again_counts_in_place_of_the_damaged_one(tracker):
    parent = begin(tracker)
    damaged = tracker.record_seed(parent, fit(3), METRICS, "seed print")
    damage(
        Path(tracker.client.get_run(damaged).info.artifact_uri, "seed"),
        "a byte of the booster altered",
    )
    tracker.record_seed(parent, fit(3), METRICS, "seed print")
    assert tracker.load_seed(parent, "seed print") == fit(3)
    assert tracker.seeds_of(parent) == [fit(3)]


def test_recording_and_recalling_leave_no_files_behind(tracker, tmp_path, monkeypatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    parent = begin(tracker)
    tracker.record_seed(parent, fit(3), METRICS, "seed print")
    assert list(place.iterdir()) == []
    tracker.load_seed(parent, "seed print")
    assert list(place.iterdir()) == []


def test_seeds_are_recorded_from_many_threads_at_once(tracker):
    parent = begin(tracker)
    many = [replace(fit(0), seed=seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda one: tracker.record_seed(parent, one, METRICS, f"print {one.seed}"), many
            )
        )
    assert [tracker.load_seed(parent, f"print {seed}") for seed in range(8)] == many


def test_a_long_history_is_recorded_in_a_second(tracker, capsys):
    parent = begin(tracker)
    curve = tuple(np.linspace(1, 0.5, 500).tolist())
    trained = Trained(0, bytes(300_000), 500, 0.5, {"train": curve, "validation": curve}, 1.0)
    began = time.process_time()  # whatever else the machine does
    run_id = tracker.record_seed(parent, trained, METRICS, "seed print")
    seconds = time.process_time() - began
    with capsys.disabled():
        print(f"\nrecording one seed of 500 rounds: {seconds:.3f} s")
    assert len(tracker.client.get_metric_history(run_id, "train_loss")) == 500
    assert seconds < 1


# --- evaluation
# --------------------------------------------------------------------------------------------------


def evaluation(seeds=(0.7, 0.72)):
    estimates = {
        "model": {"roc_auc": Estimate(0.71, 0.7, 0.72), "log_loss": Estimate(0.4, 0.3, 0.5)},
        "constant": {"roc_auc": Estimate(0.5, 0.5, 0.5), "log_loss": Estimate(0.6, np.nan, np.nan)},
    }
    spread = {"roc_auc": summarize(seeds, 0.95)}
    return Evaluation("binary", 10, (1,), estimates, spread, np.zeros(10), {}, ("no", "yes"))


def test_an_evaluation_is_recorded(tracker, tmp_path):
    run_id = begin(tracker)
    picture = tmp_path / "result.png"
    picture.write_bytes(b"a picture")
    tracker.record_evaluation(run_id, evaluation(), [4, 7], [picture])
    run = tracker.client.get_run(run_id)
    found = run.data.metrics
    assert (found["roc_auc"], found["roc_auc.low"], found["roc_auc.high"]) == (0.71, 0.7, 0.72)
    assert found["constant.log_loss"] == 0.6
    assert "constant.log_loss.low" not in found
    assert found["seeds.roc_auc.mean"] == pytest.approx(0.71)
    assert json.loads(run.data.tags["evergreen.failed_seeds"]) == [4, 7]
    assert json.loads(run.data.tags["evergreen.chosen_seeds"]) == [1]
    kept = Path(tracker.client.download_artifacts(run_id, "result.png", str(tmp_path)))
    assert kept.read_bytes() == b"a picture"


def test_a_single_seed_has_no_deviation_to_record(tracker):
    run_id = begin(tracker)
    tracker.record_evaluation(run_id, evaluation(seeds=(0.7,)), (), [])
    found = tracker.client.get_run(run_id).data.metrics
    assert found["seeds.roc_auc.mean"] == 0.7
    assert "seeds.roc_auc.deviation" not in found


def test_a_store_that_does_not_answer_is_no_damaged_seed(tracker, monkeypatch):
    with tracker.open_run("print", "a run", {}) as parent:
        run_id = tracker.record_seed(parent, fit(3), METRICS, "seed print")

    def busy(*_, **__):
        raise MlflowException("database is locked", error_code=TEMPORARILY_UNAVAILABLE)

    for name in ("list_artifacts", "download_artifacts"):
        with monkeypatch.context() as patch:
            patch.setattr(type(tracker.client), name, busy)
            with pytest.raises(MlflowException, match="locked"):
                tracker.read_seed(run_id)
    assert tracker.read_seed(run_id).seed == 3
