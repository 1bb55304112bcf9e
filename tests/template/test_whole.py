"""Two projects that share no answer: each sets up, trains a model, and passes all its own checks and tests. An hour."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from conftest import begin, environment
from template.making import bake

pytestmark = [pytest.mark.slow, pytest.mark.long]
PROJECTS = {
    "with data": {"project_name": "Late Flights", "task": "multiclass", "data": "flights", "ci": "github", "infra": "compose"},
    "without": {"project_name": "Price Watch", "task": "regression", "data": "none", "ci": "gitlab", "infra": "none"},
}  # fmt: skip


def make(project: Path, goal: str) -> subprocess.CompletedProcess[str]:
    """`make GOAL` as in a new shell: without this repository's environment and code."""
    env = {name: value for name, value in environment(project).items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    env["PATH"] = os.environ["PATH"]
    return subprocess.run(["make", goal], cwd=project, env=env, capture_output=True, text=True, timeout=5400)


@pytest.mark.parametrize("kind", PROJECTS)
def test_a_new_project_runs_and_passes_its_own_tests(kind: str, template: Path, tmp_path: Path) -> None:
    answers = PROJECTS[kind]
    project = bake(template, tmp_path / "made", **answers)
    begin(project)
    ran = make(project, "run")
    if answers["data"] == "flights":
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "version 1 is " in ran.stdout
    else:
        assert ran.returncode != 0
        assert "adopt" in ran.stderr, ran.stdout + ran.stderr
    for goal in ("check", "test"):
        done = make(project, goal)
        assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-5_000:]
    assert " passed" in done.stdout
