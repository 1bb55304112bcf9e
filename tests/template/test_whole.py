"""Two projects that share no answer: each sets up, trains a model, and passes all its own checks and tests. Minutes."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from conftest import begin, environment, git
from template.making import bake

pytestmark = [pytest.mark.slow, pytest.mark.long]
PROJECTS = {
    "with data": {"project_name": "Late Trains", "task": "multiclass", "data": "flights", "ci": "github", "infra": "compose"},
    "without": {"project_name": "Price Watch", "task": "regression", "data": "none", "ci": "gitlab", "infra": "none"},
}  # fmt: skip
PATIENCE = 120  # seconds that `make test` of a new project may take, once set up


def make(project: Path, goal: str) -> subprocess.CompletedProcess[str]:
    """`make GOAL` as in a new shell: without this repository's environment and code."""
    env = {
        name: value
        for name, value in environment(project).items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    env["PATH"] = os.environ["PATH"]
    return subprocess.run(
        ["make", goal], cwd=project, env=env, capture_output=True, text=True, timeout=1800
    )


@pytest.mark.parametrize("kind", PROJECTS)
def test_a_new_project_runs_and_passes_its_own_tests(
    kind: str, template: Path, tmp_path: Path
) -> None:
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
    checked = make(project, "check")  # which sets up what tests need
    assert checked.returncode == 0, checked.stdout + checked.stderr
    begun = time.monotonic()
    tested = make(project, "test")
    seconds = time.monotonic() - begun
    print(f"{kind}: `make test` took {seconds:.0f} s: {tested.stdout.splitlines()[-1:]}")
    assert tested.returncode == 0, tested.stdout[-10_000:] + tested.stderr[-5_000:]
    assert " passed" in tested.stdout
    assert seconds <= PATIENCE
    left = {path.removeprefix("?? ") for path in git(project, "status", "--porcelain").splitlines()}
    assert left <= {"dvc.lock"}
