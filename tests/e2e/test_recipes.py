"""Recipes: what `evergreen status` and DVC do anew after an edit of the library."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from conftest import environment
from forking import DVC, FORKS

from evergreen.ingest.manifest import Manifest
from evergreen.project import Project

pytestmark = pytest.mark.slow
Run = Callable[..., subprocess.CompletedProcess[str]]
NUMBERS = {  # number that moves -> its stage, and the folder in which it makes every batch anew
    "VALIDATE": ("validate", ["validated"]),
    "PREPARE": ("prepare", ["features"]),
    "HOLD": ("prepare", []),
}


def dvc(project: Project, *words: str) -> str:
    """What `dvc` by itself prints."""
    done = FORKS[0].run(words, project.root, environment(project.root), 300, DVC)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def project(validated_project: Project) -> Project:
    """A small project whose batches are prepared."""
    dvc(validated_project, "repro")
    return validated_project


def due(project: Project, cli: Run) -> set[str]:
    """The stages that `evergreen status` and `dvc status` say are to run."""
    (line,) = [
        line
        for line in cli(project, "status").stdout.splitlines()
        if line.startswith("stages to run")
    ]
    stages = set(line.removeprefix("stages to run").replace(",", "").split()) - {"none"}
    assert set(json.loads(dvc(project, "status", "--json"))) == stages
    return stages


def stamps(project: Project) -> dict[str, dict[str, Any]]:
    """Folder -> batch -> what it was made from."""
    return {
        name: {
            batch: entry.get("stamp")
            for batch, entry in Manifest(project.root / "data" / name).entries.items()
        }
        for name in ("raw", "validated", "features")
    }


def assert_done_anew(project: Project, cli: Run, number: str) -> None:
    stage, made = NUMBERS[number]
    path, before = project.root / "src" / "evergreen" / "recipes.py", stamps(project)
    path.write_text(re.sub(rf"^{number} = ", f"{number} = 9", path.read_text(), flags=re.MULTILINE))
    assert due(project, cli) == {stage}
    dvc(project, "repro")
    assert due(project, cli) == set()
    after = stamps(project)
    assert [
        name for name in before if not set(before[name].items()) & set(after[name].items())
    ] == made
    assert all(before[name] == after[name] for name in before if name not in made)


@pytest.mark.long
def test_a_typo_mended_in_the_library_does_nothing_anew_and_a_number_that_moved_its_step(
    project: Project, cli: Run
) -> None:
    for room in ("ingest", "validation", "features", "quality"):
        modules = sorted((project.root / "src" / "evergreen" / room).glob("*.py"))
        assert modules, room
        for path in modules:
            path.write_text(path.read_text().replace('"""', '"""Mended. ', 1))
    assert due(project, cli) == set()
    assert "nothing new" in cli(project, "validate").stdout
    assert_done_anew(project, cli, "VALIDATE")


@pytest.mark.long
@pytest.mark.parametrize("number", ["PREPARE", "HOLD"])
def test_a_number_that_moved_does_its_step_anew(number: str, project: Project, cli: Run) -> None:
    assert_done_anew(project, cli, number)
