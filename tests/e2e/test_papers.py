"""Answers decide: without them a model is refused, and once they are there it goes live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from evergreen.papers.datasheet import FILE, QUESTIONS
from evergreen.project import Project

pytestmark = [pytest.mark.slow, pytest.mark.long]


def test_a_model_waits_for_answers_and_then_goes_live(
    make_project: Callable[..., Project], cli: Callable[..., Any]
) -> None:
    project = make_project(gate={"datasheet": "required"})
    first = cli(project, "run")
    assert first.returncode == 0, first.stderr
    assert "datasheet.yaml leaves 20 questions unanswered" in first.stdout
    assert "version 1 is challenger" in first.stdout
    assert "| datasheet | BROKEN |" in (project.reports / "model_card.md").read_text()
    (project.root / FILE).write_text("purpose: [what\n")
    wrong = cli(project, "run")
    assert wrong.returncode == 1
    assert "datasheet.yaml is not valid YAML" in wrong.stderr
    (project.root / FILE).write_text("".join(f"{name}: so\n" for name in QUESTIONS))
    second = cli(project, "run")
    assert second.returncode == 0, second.stderr
    assert "3 seeds, 3 of them reused" in second.stdout
    assert "version 1 is champion" in second.stdout
    assert "| datasheet | met |" in (project.reports / "model_card.md").read_text()
