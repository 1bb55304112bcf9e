"""A replay as a person starts it: real flights, thinned."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from matplotlib import image

from evergreen import params
from evergreen.project import Project
from evergreen.replay.outcome import UNGATED
from evergreen.stores.tracking import Tracker

pytestmark = pytest.mark.slow


@pytest.mark.long
def test_a_person_replays_and_finds_the_picture(
    make_project: Callable[..., Project], cli: Callable[..., Any]
) -> None:
    """It touches neither the project's data nor its models."""
    months = tuple(f"2013-{month:02}" for month in range(1, 6))
    quick = {
        "rounds": 30,
        "early_stopping_rounds": 5,
        "learning_rate": 0.3,
        "max_depth": 3,
        "device": "cpu",
    }
    project = make_project(months, rows=1500, train=quick, sweep={"seeds": 2})
    done = cli(project, "replay", "--every", "2", "--until", months[-1], timeout=590)
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert [line.split(" 0.")[0] for line in lines[1:6]] == [
        "never",
        "every batch",
        "every 2 batches",
        "on drift",
        UNGATED,
    ]
    assert "reports/replay.png" in lines[-1]
    assert image.imread(project.reports / "replay.png").ndim == 3
    told = json.loads((project.reports / "replay.json").read_text(encoding="utf-8"))
    assert told["finding"].splitlines()[0] in done.stdout
    assert told["courses"][0]["retrainings"] == 0
    assert not project.raw.exists()
    tracker = Tracker(project, params.load(project.params))
    experiments = {
        experiment.name: experiment.experiment_id
        for experiment in tracker.client.search_experiments()
    }
    assert "evergreen" not in experiments
    (run,) = tracker.client.search_runs([experiments["evergreen replay"]])
    assert run.info.status == "FINISHED"
    assert {file.path for file in tracker.client.list_artifacts(run.info.run_id)} >= {
        "replay.png",
        "replay.json",
    }
    assert run.data.metrics["every batch.retrainings"] == told["courses"][1]["retrainings"]
