"""Recorded: what a version says of how it was made."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import refusal
from registries import encoder_of, package

from evergreen import wheel
from evergreen.reproduce.recorded import read
from evergreen.stores.registry import Registry
from evergreen.stores.runs import Runs

pytestmark = pytest.mark.slow  # real stores
FACTS = {"device": "cpu", "seeds": [3, 4]}
TEXTS = {"params.yaml": "task: binary\n", "dvc.lock": "stages: {}\n"}


@pytest.fixture
def registry(open_tracker, tmp_path: Path) -> Registry:
    """One version, of a run outside of any repository."""
    registry = Registry(open_tracker())
    with Runs(registry.tracker).open("print", "a run", FACTS, TEXTS) as run_id:
        registry.tracker.client.log_metric(run_id, "roc_auc", 0.75)
    registry.register(run_id, "print", package(tmp_path / "registered"), encoder_of())
    return registry


def test_all_that_a_version_says(registry: Registry, tmp_path: Path) -> None:
    found = read(registry, "1", tmp_path)
    assert (found.seeds, found.failed, found.device, found.commit) == ([3, 4], [], "cpu", "")
    assert (found.params, found.lock, found.changes) == (*TEXTS.values(), "")
    assert found.metrics == {"roc_auc": 0.75}
    assert found.made_in == registry.tracker.project.root
    assert found.library
    assert (found.library.name, found.library.read_bytes()) == wheel.installed()
    assert found.model.predicts_same(registry.versions.open("1"))
    assert found.held_out is None


def test_a_version_that_is_not_there_is_told(registry: Registry, tmp_path: Path) -> None:
    refusal(lambda: read(registry, "2", tmp_path), "there is no version 2")
