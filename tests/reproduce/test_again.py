"""Again: asked as the run was asked, and a mistake ends in a sentence."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from conftest import settings_of

from evergreen.errors import InputError
from evergreen.reproduce import again as module
from evergreen.reproduce.again import Asked, main
from evergreen.training.device import pick_device

ASKED = Asked("nowhere", [5, 6, 7], "median", "cpu", "xgboost", refit=True)


@pytest.mark.parametrize(("model", "picked"), [("median", "median"), ("", "mean")])
def test_a_run_is_asked_for_as_it_was(model: str, picked: str, tmp_path: Path) -> None:
    project = settings_of(tmp_path, "late_flights")
    project.params.write_text("sweep: {seeds: 20}\ntrain: {device: auto}\n")
    found = replace(ASKED, model=model).params(project)
    assert found.sweep.seed_list() == [5, 6, 7]
    assert (found.sweep.model, found.train.device) == (picked, "cpu")
    assert pick_device(found.train.device) == "cpu"


def test_a_mistake_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise InputError("no rows")

    monkeypatch.setattr(module, "again", fail)
    with pytest.raises(SystemExit) as ended:
        main(json.dumps(asdict(ASKED)), str(tmp_path))
    assert ended.value.code == "error: no rows"


def test_a_fault_of_the_program_has_its_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "again", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(json.dumps(asdict(ASKED)), str(tmp_path))
