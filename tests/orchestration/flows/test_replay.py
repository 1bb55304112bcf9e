"""The flow `replay`: its parameters, and a whole replay of real flights."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from matplotlib import image
from prefect.exceptions import ParameterTypeError

from evergreen import cli, params
from evergreen.errors import InputError
from evergreen.orchestration.flows.replay import replay
from evergreen.project import Project
from evergreen.replay.outcome import POLICIES, UNGATED
from evergreen.stores.tracking import Tracker

ASKED: list[tuple[str, Any, bool]] = [
    ("until", None, True),
    ("until", "2013-06", True),
    ("until", "", False),
    ("seeds", None, True),
    ("seeds", 2, True),
    ("seeds", 0, False),
    ("every", 1, True),
    ("every", 0, False),
    ("policies", ("never", "drift"), True),
    ("policies", POLICIES, True),
    ("policies", (), False),
    ("policies", ("sometimes",), False),
    ("learning_rate", 0.1, False),
]


@pytest.mark.parametrize(("name", "wanted", "allowed"), ASKED)
def test_the_flow_takes_what_makes_sense(name: str, wanted: object, allowed: bool) -> None:
    if allowed:
        assert replay.validate_parameters({name: wanted})[name] == wanted
        return
    with pytest.raises((ParameterTypeError, TypeError)):
        replay.validate_parameters({name: wanted})


def test_every_parameter_is_optional_and_explained_on_prefects_page() -> None:
    assert replay.parameters.required == []
    assert [
        name for name, field in replay.parameters.properties.items() if not field.get("description")
    ] == []
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(replay.fn).parameters.items()
    }
    options = {str(option.name): option.default for option in cli.main.commands["replay"].params}
    assert set(options) == set(defaults) - {"policies"}
    assert options["every"] == defaults["every"]


def test_too_few_batches_are_an_error_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("dvc.yaml", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "params.yaml").write_text("source: {kind: python, module: late_flights.flights}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"a replay needs 4 batches.* holds 3 up to '2013-03'"):
        replay.fn(until="2013-03")
    assert not (tmp_path / "stores" / "replay").exists()


@pytest.mark.slow
def test_a_person_replays_and_finds_the_picture(
    make_project: Callable[..., Project], cli: Callable[..., Any]
) -> None:
    """Real flights, thinned; a replay touches neither the project's data nor its models."""
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
