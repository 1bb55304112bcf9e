"""`evergreen ingest`, `validate` and the stages of `dvc repro`: what they take, and say."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import error_of, invoke, output_of

from evergreen.project import Project


@pytest.mark.slow
def test_ingest_takes_replaces_and_drops_batches(make_project: Callable[..., Project]) -> None:
    project = make_project(("2013-01", "2013-02", "2013-03"), rows=50, source={"until": "2013-02"})
    assert output_of(project.root, "ingest") == "2 new: 2013-01, 2013-02; 2 batches in data/raw\n"
    assert output_of(project.root, "ingest") == "0 new: none; 2 batches in data/raw\n"
    assert output_of(project.root, "ingest", "--next") == "1 new: 2013-03; 3 batches in data/raw\n"
    assert output_of(project.root, "stage", "ingest") == "ingest: 0 new batches\n"
    dropped = output_of(project.root, "ingest", "2013-01", "--drop")
    assert "dropped 2013-01; `evergreen run` takes them again" in dropped
    assert output_of(project.root, "ingest", "2013-01") == "1 new: 2013-01; 3 batches in data/raw\n"


@pytest.mark.slow
def test_ingest_names_the_files_that_are_passed_over(make_project: Callable[..., Project]) -> None:
    project = make_project(("2013-01",), rows=50)
    (project.root.parent / "inbox" / "2013-02.xlsx").write_bytes(b"PK")
    os.mkfifo(project.root.parent / "inbox" / "2013-03.csv")
    ignored = "2013-02.xlsx (a spreadsheet: export it as CSV), 2013-03.csv (a named pipe)"
    printed = output_of(project.root, "ingest")
    assert printed == (
        f"1 new: 2013-01; 1 batch in data/raw\npassed over in the source: {ignored}\n"
    )


@pytest.mark.slow
def test_a_stage_that_dvc_asked_for_fails_where_code_was_edited_meanwhile(
    make_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(("2013-01",), rows=50)
    monkeypatch.setattr("evergreen.code.changed", lambda: [Path("dataset.py")])
    assert "was edited while ingest ran: run it again" in error_of(
        invoke(project.root, "stage", "ingest")
    )
