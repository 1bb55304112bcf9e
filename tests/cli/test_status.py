"""`evergreen status`: what is there, what is new, and what a run would do."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from commands import output_of

from evergreen.project import Project
from evergreen.stores.events import Events

if TYPE_CHECKING:
    from mlflow.entities import Run


def status(folder: Path) -> list[list[str]]:
    return [re.split(r"  +", line) for line in output_of(folder, "status").splitlines()]


@pytest.mark.slow
def test_status_shows_what_is_there(make_project: Callable[..., Project]) -> None:
    project = make_project(("2013-01", "2013-02", "2013-03"), rows=50, source={"until": "2013-02"})
    before = status(project.root)
    output_of(project.root, "ingest")
    after = status(project.root)
    assert before[0] == after[0] == ["what", "how many", "which"]
    assert ["data/raw", "0 batches", "none"] in before
    assert ["new in the source", "2 batches"] in before
    assert ["data/raw", "2 batches", "2013-01 to 2013-02"] in after
    assert ["new in the source", "0 batches"] in after
    assert ["data/features", "0 batches", "none"] in after
    assert ["stages to run", "validate, prepare"] in [row[:2] for row in after]
    why = "`evergreen run` trains one, or says why it cannot"
    assert ["champion", "none yet", why] in after


@pytest.mark.slow
def test_status_names_the_files_that_are_passed_over(make_project: Callable[..., Project]) -> None:
    project = make_project(("2013-01",), rows=50)
    (project.root.parent / "inbox" / "2013-02.xlsx").write_bytes(b"PK")
    ignored = "2013-02.xlsx (a spreadsheet: export it as CSV)"
    assert ["passed over there", "1 file", ignored] in status(project.root)


@pytest.mark.slow
def test_status_needs_no_lock(two_batches: Project) -> None:
    with two_batches.lock():
        assert ["data/raw", "0 batches", "none"] in status(two_batches.root)


@pytest.mark.slow
def test_a_decision_is_read_once_however_often_they_are_asked_for(
    champion_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are all that was ever decided, and come from a server."""
    asked, search = [], Events._search

    def counted(self: Events, condition: str = "", view: int | None = None) -> list[Run]:
        asked.append(condition)
        return search(self, condition, view)

    monkeypatch.setattr(Events, "_search", counted)
    assert ["champion", "version 1", "evergreen"] in status(champion_project.root)
    assert asked[0] == "attributes.start_time >= 0"
    assert len(asked) > 2
    assert "attributes.start_time >= 0" not in asked[1:]
