"""A diagnosis as a person asks for it: a page, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

from evergreen.project import Project

pytestmark = pytest.mark.slow
Run = Callable[..., CompletedProcess[str]]


def test_a_project_is_diagnosed_and_left_as_it_is(champion_project: Project, cli: Run) -> None:
    before = {path: path.read_bytes() for path in (champion_project.root / "data").rglob("*.json")}
    done = cli(champion_project, "diagnose", "--rows", "1000")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Is the champion stale?" in done.stdout
    page = (champion_project.reports / "diagnosis.html").read_text()
    assert "Where the time of the last run went" in page
    assert "2013-07, which only the gate looks at" in page
    assert {path: path.read_bytes() for path in before} == before
