"""Sections about data, of a project that has run: they say what is in its folders."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evergreen.features.split import Split
from evergreen.ingest.manifest import Manifest
from evergreen.papers.card import Card
from evergreen.project import Project

pytestmark = pytest.mark.slow


def told(card: Card, name: str) -> str:
    section: Any = next(section for section in card.sections if section.name == name)
    tables = [cell for table in section.tables for row in table.rows for cell in row]
    return "\n".join([*section.says, *tables])


def test_the_card_of_a_run_says_what_its_folders_hold(champion_project: Project) -> None:
    card = Card.read(json.loads((champion_project.reports / "model_card.json").read_text()))
    assert (champion_project.reports / "model_card.html").read_text() == card.as_page()
    assert (champion_project.reports / "model_card.md").read_text() == card.as_markdown()
    done, split = Manifest(champion_project.features), Split.of(champion_project)
    rows = sum(done.entries[name]["rows"] for name in split.batches())
    raw = json.loads((champion_project.raw / "manifest.json").read_text())
    data = told(card, "data")
    assert f"{rows:,} rows with labels, of 3 batches; judged by 2013-07." in data
    assert "data/features" in data
    assert "Validation: " in told(card, "checks")
    assert f"over {len(raw)} batches" in told(card, "checks")
    assert "cancelled: never departed" in told(card, "limits")
    assert "wind_gust (" in told(card, "limits")
    assert "carrier\n0.02" in told(card, "drift bounds")
    assert "label\n0.02" in told(card, "drift bounds")
