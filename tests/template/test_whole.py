"""Two projects that share no answer: each sets up, trains a model, passes its tests. Minutes."""

from __future__ import annotations

import os
import subprocess
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from conftest import begin, environment, git
from template.making import bake

pytestmark = [pytest.mark.slow, pytest.mark.long]
PROJECTS = {
    "with data": {"project_name": "Late Trains", "task": "multiclass", "data": "flights",
                  "ci": "github", "infra": "compose"},
    "without": {"project_name": "Price Watch", "task": "regression", "data": "none", "ci": "gitlab",
                "infra": "none"},
}  # fmt: skip
PATIENCE = 120  # seconds that `make test` of a new project may take, once set up


def call(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as in a new shell: without this repository's environment and code."""
    env = {
        name: value
        for name, value in environment(project).items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    env["PATH"] = os.environ["PATH"]
    return subprocess.run(words, cwd=project, env=env, capture_output=True, text=True, timeout=1800)


def make(project: Path, goal: str) -> subprocess.CompletedProcess[str]:
    return call(project, "make", goal)


def table(rows: int = 600) -> str:
    """Return a table as somebody has it: prices that follow from size and place, day by day."""
    lines = ["sold,size,place,price"]
    for at in range(rows):
        day = date(2024, 1, 1) + timedelta(days=at // 4)
        size, place = 40 + at * 37 % 90, "abc"[at * 7 % 3]
        price = 1000 * size + 9000 * ord(place) + at * 7919 % 6000
        lines.append(f"{day},{size},{place},{price}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("kind", PROJECTS)
def test_a_new_project_runs_and_passes_its_own_tests(
    kind: str, template: Path, tmp_path: Path
) -> None:
    answers = PROJECTS[kind]
    project = bake(template, tmp_path / "made", **answers)
    begin(project)
    ran = make(project, "run")
    if answers["data"] == "none":
        assert ran.returncode != 0
        assert "adopt" in ran.stderr, ran.stdout + ran.stderr
        (tmp_path / "prices.csv").write_text(table())
        evergreen = str(project / ".venv" / "bin" / "evergreen")
        adopted = call(
            project, evergreen, "adopt", str(tmp_path / "prices.csv"), "--target", "price"
        )
        assert adopted.returncode == 0, adopted.stdout + adopted.stderr
        git(project, "commit", "-qam", "prices")
        ran = make(project, "run")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "version 1 is " in ran.stdout
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
