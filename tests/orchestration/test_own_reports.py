"""Own reports: written whole or not at all, and none can fail a run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evergreen.errors import LOG
from evergreen.extensions import Extensions
from evergreen.orchestration import own_reports as module
from evergreen.orchestration.own_reports import write_own
from evergreen.project import Project


def page(run: Any, folder: Path) -> Path:
    path = folder / "anything.html"
    path.write_text("a page")
    return path


def nothing(run: Any, folder: Path) -> None:
    return None


def broken(run: Any, folder: Path) -> Path:
    page(run, folder)
    raise ValueError("no such feature")


def test_each_is_written_and_one_that_fails_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    logger = SimpleNamespace(warning=lambda text, *given: said.append(text % given))
    monkeypatch.setattr(module, "get_run_logger", lambda: logger)
    project = Project(tmp_path)
    params = SimpleNamespace(extensions=Extensions(reports=[broken, nothing, page]))
    found = write_own(SimpleNamespace(project=project, params=params))  # type: ignore[arg-type]
    assert found == [project.reports / "page.html"]
    assert [path.name for path in project.reports.iterdir()] == ["page.html"]
    assert found[0].read_text() == "a page"
    told = (
        "the report broken of extensions.py failed (ValueError: no such feature): the run goes on "
        "without it"
    )
    assert said == [told]
    assert "no such feature" in (project.stores / LOG).read_text()
    assert [path.name for path in project.stores.iterdir()] == [LOG]
