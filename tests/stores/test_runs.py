"""Runs: they end as their block ends, and carry where they came from."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tracked import METRICS, begin, evaluation, fit, kill, status, tags

from evergreen.errors import InputError
from evergreen.stores.git import Commit
from evergreen.stores.runs import Runs
from evergreen.stores.seeds import Seeds
from evergreen.training.device import describe_machine

pytestmark = pytest.mark.slow  # real stores


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
        with Runs(tracker).open("print", "up to May", {}) as run_id:
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
    assert 0 <= Runs(tracker).seconds(seen["id"]) < 600
    assert (Runs(tracker).find_finished("print") is not None) == (ends == "FINISHED")


def test_a_run_carries_where_it_came_from(tracker):
    run_id = begin(tracker, "print", {"device": "cpu", "seeds": [0, 1]})
    found = tags(tracker, run_id)
    expected = {
        "evergreen.fingerprint": "print",
        "evergreen.device": "cpu",
        "evergreen.seeds": "[0, 1]",
        "evergreen.model": "mean",
        "evergreen.machine": describe_machine("cpu"),
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
        with Runs(tracker).open("print", "first", {"device": "cpu"}) as run_id:
            ids.append(run_id)
            if how == "some seeds failed":
                Runs(tracker).record_evaluation(run_id, evaluation(), [3], [])
            if how in errors:
                raise errors[how]
    except (RuntimeError, KeyboardInterrupt):
        pass
    if how == "killed":
        kill(tracker, ids[0])
        assert Runs(tracker).recover() == ids
    assert Runs(tracker).find_finished("print") is None
    with Runs(tracker).open("print", "second", {"device": "cuda"}) as run_id:
        ids.append(run_id)
        assert status(tracker, run_id) == "RUNNING"
        Runs(tracker).record_evaluation(run_id, evaluation(), [], [])
    assert ids[0] == ids[1]
    assert tags(tracker, run_id)["evergreen.device"] == "cuda"
    assert Runs(tracker).find_finished("print").info.run_id == run_id
    assert len(tracker.client.search_runs([tracker.experiment])) == 1


def test_another_fingerprint_is_another_run(tracker):
    first, second = begin(tracker, "one"), begin(tracker, "two")
    assert first != second
    assert Runs(tracker).find_finished("one").info.run_id == first
    assert Runs(tracker).find_finished("three") is None


def test_a_finished_run_with_failed_seeds_does_not_hide_a_whole_one(tracker):
    whole = begin(tracker)
    with Runs(tracker).open("print", "later", {}) as later:
        assert later != whole
        Runs(tracker).record_evaluation(later, evaluation(), [1], [])
    assert Runs(tracker).find_finished("print").info.run_id == whole


def test_a_training_that_lost_a_seed_is_none_that_was_made(tracker):
    """It could not be judged: what was asked for still is."""
    for batch, failed in (("2013-05", []), ("2013-06", [1])):
        with Runs(tracker).open(batch, "a run", {"split.holdout": batch}) as run_id:
            Runs(tracker).record_evaluation(run_id, evaluation(), failed, [])
    assert [training.holdout for training in Runs(tracker).trainings()] == [("2013-05",)]


def test_what_a_killed_run_left_open_is_closed(tracker):
    done, left = begin(tracker, "one"), begin(tracker, "two")
    child = Seeds(tracker).record(left, fit(), METRICS, "seed print")
    kill(tracker, left)
    kill(tracker, child)
    assert set(Runs(tracker).recover()) == {left, child}
    assert [status(tracker, run_id) for run_id in (done, left, child)] == [
        "FINISHED",
        "KILLED",
        "KILLED",
    ]
    assert Runs(tracker).recover() == []


def test_runs_of_another_project_in_the_same_store_are_left_alone(
    open_tracker, tmp_path, monkeypatch
):
    first = open_tracker("one")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", first.uri)
    first, second = open_tracker("one"), open_tracker("two")
    assert first.uri == second.uri
    mine, theirs = begin(first, "mine"), begin(second, "theirs")
    assert first.experiment == second.experiment
    kill(first, mine)
    kill(second, theirs)
    assert Runs(first).recover() == [mine]
    assert (status(first, mine), status(first, theirs)) == ("KILLED", "RUNNING")


def test_a_run_that_is_under_way_in_another_project_is_not_continued(open_tracker, monkeypatch):
    first = open_tracker("one")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", first.uri)
    first, second = open_tracker("one"), open_tracker("two")
    with Runs(first).open("print", "here", {}) as mine:
        assert begin(second, "print") != mine
        assert status(first, mine) == "RUNNING"


def test_data_sets_are_inputs_of_the_run(tracker):
    run_id = begin(tracker)
    Runs(tracker).log_data(
        run_id, {"data/raw": "aa.dir", "data/features": "bb.dir"}, {"train": 10, "holdout": 5}
    )
    inputs = tracker.client.get_run(run_id).inputs.dataset_inputs
    found = {
        data.dataset.name: (data.dataset.digest, data.tags[0].value, data.dataset.profile)
        for data in inputs
    }
    assert found == {
        "data/raw": ("aa", "upstream", None),
        "data/features": ("bb", "training", json.dumps({"rows": {"train": 10, "holdout": 5}})),
    }
    sources = {json.loads(data.dataset.source)["md5"] for data in inputs}
    assert sources == {"aa.dir", "bb.dir"}


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
    return sorted(
        Path(artifact.path).name for artifact in tracker.client.list_artifacts(run_id, "code")
    )


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


def test_an_evaluation_is_recorded(tracker, tmp_path):
    run_id = begin(tracker)
    picture = tmp_path / "result.png"
    picture.write_bytes(b"a picture")
    Runs(tracker).record_evaluation(run_id, evaluation(), [4, 7], [picture])
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
    Runs(tracker).record_evaluation(run_id, evaluation(seeds=(0.7,)), (), [])
    found = tracker.client.get_run(run_id).data.metrics
    assert found["seeds.roc_auc.mean"] == 0.7
    assert "seeds.roc_auc.deviation" not in found
