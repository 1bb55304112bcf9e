"""The flow `replay`: its parameters, and a whole replay of real flights."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from prefect.exceptions import ParameterTypeError

from evergreen import cli
from evergreen.errors import InputError
from evergreen.orchestration.flows.replay import replay
from evergreen.replay.outcome import POLICIES

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
