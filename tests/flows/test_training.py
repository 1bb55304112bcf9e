"""Training: the flow takes the parameters that params.yaml and the command line allow, no more."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

import pytest
from prefect.exceptions import ParameterTypeError
from prefect.logging import disable_run_logger

from evergreen import cli, params
from evergreen.errors import InputError
from evergreen.project import Project
from flows.training import training

SECTIONS = {"seeds": "sweep", "model": "sweep", "device": "train"}
ASKED: list[tuple[str, Any, bool]] = [
    ("seeds", None, True),
    ("seeds", 1, True),
    ("seeds", 1000, True),
    ("seeds", 0, False),
    ("seeds", -1, False),
    ("seeds", 1001, False),
    ("seeds", "many", False),
    ("device", None, True),
    ("device", "auto", True),
    ("device", "cpu", True),
    ("device", "cuda", True),
    ("device", "tpu", False),
    ("model", None, True),
    ("model", "median", True),
    ("model", "mean", True),
    ("model", "best", False),
    ("reason", "drift of temp", True),
    ("reason", None, False),
    ("learning_rate", 0.1, False),
]


@pytest.mark.parametrize(("name", "wanted", "allowed"), ASKED)
def test_the_flow_takes_what_params_take(name: str, wanted: object, allowed: bool) -> None:
    """Who starts a run from Prefect's page is held to the same bounds."""
    if allowed:
        assert training.validate_parameters({name: wanted})[name] == wanted
        if name in SECTIONS:
            params.Params().override(**{SECTIONS[name]: {name: wanted}})
        return
    with pytest.raises((ParameterTypeError, TypeError)):
        training.validate_parameters({name: wanted})
    if name in SECTIONS:
        with pytest.raises(InputError, match=rf"{SECTIONS[name]}\.{name}"):
            params.Params().override(**{SECTIONS[name]: {name: wanted}})


def test_every_parameter_is_optional_and_an_option_of_the_command() -> None:
    names = list(inspect.signature(training.fn).parameters)
    assert sorted(names) == sorted(str(option.name) for option in cli.main.commands["run"].params)
    assert training.parameters.required == []


def test_every_parameter_is_explained_on_prefects_page() -> None:
    shown = training.parameters.properties
    assert [name for name, field in shown.items() if not field.get("description")] == []


def test_outside_a_project_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no project here"):
        training.fn()
    assert list(tmp_path.iterdir()) == []


def test_whoever_starts_a_second_run_is_refused(project: Project) -> None:
    with (
        disable_run_logger(),
        project.lock(),
        pytest.raises(InputError, match=f"another run .* under way .process {os.getpid()}"),
    ):
        training.fn()
    assert not (project.root / "data").exists()
