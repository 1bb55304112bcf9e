"""Tables of commands: columns line up; a title stands once; held batches and warnings are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from evergreen.cli.table import held_rows, show_table, titled, warn
from evergreen.project import Project


def test_a_table_lines_up(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(["what", "how many"], [["a", "12"], ["longer than it", ""], ["é", "1"]])
    assert capsys.readouterr().out.splitlines() == [
        "what            how many",
        "a               12",
        "longer than it",
        "é               1",
    ]


def test_a_title_stands_once() -> None:
    assert titled("why", ("better", "and newer")) == [["why", "better"], ["", "and newer"]]
    assert titled("why", ()) == []


def test_batches_that_are_held_back_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert held_rows(Project(tmp_path)) == []
    found = ["2013-02 (50 rows): odd", "2013-03 (60 rows): odd"]
    monkeypatch.setattr("evergreen.quality.held_batches.describe_held", lambda _: found)
    assert held_rows(Project(tmp_path)) == [["held back", found[0]], ["", found[1]]]


def test_a_warning_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    warn("the alias was moved")
    assert capsys.readouterr() == ("", "warning: the alias was moved\n")
