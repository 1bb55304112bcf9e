"""Tuning in MLflow: a search that goes on goes on in its run, and no trial is there twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evergreen.stores.runs import Runs
from evergreen.stores.trials import TRIAL, Trials


def children(trials: Trials) -> list[tuple[str, str]]:
    """Number and status of each recorded trial."""
    found = trials._search(f"tags.`mlflow.parentRunId` = '{trials.run_id}'")
    return sorted((run.data.tags[TRIAL], run.info.status) for run in found)


def test_a_search_that_goes_on_goes_on_in_its_run(tracker: Any, tmp_path: Path) -> None:
    first = Trials(tracker, "abc")
    first.record(0, {"max_depth": 6, "kind": "a"}, {"lead": 0.0, "score": float("nan")}, "FINISHED")
    first.record(1, {"max_depth": 7}, {"lead": -0.1}, "KILLED")
    Trials(tracker, "abc").stop()  # none was begun by this one
    assert tracker.client.get_run(first.run_id).info.status == "RUNNING"
    first.stop()
    assert tracker.client.get_run(first.run_id).info.status == "KILLED"
    again = Trials(tracker, "abc")
    for number, status in ((0, "FINISHED"), (1, "KILLED"), (2, "FINISHED")):
        again.record(number, {"max_depth": 8}, {"lead": 0.2}, status)
    assert again.run_id == first.run_id
    assert children(again) == [("0", "FINISHED"), ("1", "KILLED"), ("2", "FINISHED")]
    (picture := tmp_path / "tune.png").write_bytes(b"picture")
    again.finish("nothing better", {"best.lead": 0.2, "lead": float("nan")}, [picture])
    run = tracker.client.get_run(again.run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"best.lead": 0.2})
    assert run.data.tags["mlflow.note.content"] == "nothing better"
    names = {artifact.path for artifact in tracker.client.list_artifacts(again.run_id)}
    assert names == {"tune.png", "train.json"}
    kept = next(
        run
        for run in again._search("attributes.status = 'FINISHED'")
        if run.data.tags.get(TRIAL) == "0"
    )
    assert (kept.data.params, kept.data.metrics) == (
        {"max_depth": "6", "kind": '"a"'},
        {"lead": 0.0},
    )


def test_searches_are_apart_from_each_other_and_from_trainings(tracker: Any) -> None:
    first, other = Trials(tracker, "abc"), Trials(tracker, "def")
    first.record(0, {}, {"lead": 0.0}, "FINISHED")
    assert first.run_id != other.run_id
    assert children(other) == []
    assert Runs(tracker).recover() == []  # a search under way is no run that was killed
    place = tracker.client.get_run(first.run_id).info.experiment_id
    assert tracker.client.get_experiment(place).name == "evergreen tuning"
