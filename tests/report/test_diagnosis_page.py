"""The diagnosis page: stands alone, the most important first, and obeys nothing in its data."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from report.diagnosed import diagnosis
from report.pages import ATTACKS, Page, check_harmless

from evergreen.diagnosis.fault import HIGH_RATE, USELESS, Fault
from evergreen.diagnosis.speed import find_speed
from evergreen.project import Project
from evergreen.report.diagnosis_page import diagnosis_page, verdict, write_diagnosis_page

pytestmark = pytest.mark.slow  # a model for each
FAULTS = (
    Fault(HIGH_RATE, "evidence of it", "set train.learning_rate to 0.1"),
    Fault(USELESS, "no cost", "drop it"),
)
SPEED = find_speed(12.0, {"the live model": [3.0]}, None)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("speed", [None, SPEED], ids=["no run", "a run"])
def test_page_is_whole_and_stands_alone(task: str, speed: object) -> None:
    content = diagnosis_page(diagnosis(task), "late", "judged on some rows", speed)
    page = Page(content)
    assert not page.unbalanced
    assert not page.open
    assert not page.unscoped
    assert not page.tags & {"script", "link", "img", "iframe", "base"}
    assert not re.search(r"https?://|\bsrc=|href=|<link|url\(|@import|nan", content)
    assert len(page.found["svg"]) == 2 + 3 + 1 + 4  # curves, knobs, summary, dependence
    assert ("12 s by the clock" in content) == (speed is not None)


def test_the_most_important_comes_first_with_evidence_and_what_to_do() -> None:
    found = replace(diagnosis(), faults=FAULTS)
    page = Page(diagnosis_page(found, "late", "judged on some rows"))
    assert page.found["h1"] == [f"2 findings: {HIGH_RATE}"]
    assert page.found["li"][0] == f"{HIGH_RATE}evidence of it.set train.learning_rate to 0.1."
    assert page.found["h3"][:2] == [HIGH_RATE, USELESS]


def test_nothing_found_is_said() -> None:
    page = Page(diagnosis_page(replace(diagnosis(), faults=()), "late", ""))
    assert page.found["h1"] == ["nothing found"]
    assert "ol" not in page.tags
    assert verdict([USELESS]) == "1 finding: useless features"


@pytest.mark.parametrize("attack", ATTACKS)
def test_names_in_the_data_are_text_only(attack: str) -> None:
    found = diagnosis()
    tables = replace(found.lab.tables, features=(attack, *found.lab.tables.features[1:]))
    shown = replace(
        found, lab=replace(found.lab, tables=tables), faults=(Fault(USELESS, attack, attack),)
    )
    check_harmless(diagnosis_page(shown, attack, attack), attack)


def test_another_learner_has_no_pictures_of_trees(tmp_path: Path) -> None:
    path = write_diagnosis_page(Project(tmp_path), diagnosis(learner="linear"), "late", "")
    page = Page(path.read_text())
    assert path == tmp_path / "reports" / "diagnosis.html"
    assert len(page.found["svg"]) == 2
