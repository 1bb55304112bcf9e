"""Late runs: what is noted, and read again; a server that records them is in test_guard.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from evergreen.orchestration.late_runs import FILE, note, read
from evergreen.project import Project


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    return tmp_path / "stores" / "prefect"


def test_each_run_is_noted_with_its_times(tmp_path: Path, home: Path) -> None:
    assert read(home) == []
    for name in ("first", "second"):
        note(Project(tmp_path), "training", name, 1e9, "all skipped", "tag", {"seeds": None})
    first, second = read(home)
    assert (first.name, second.name, first.tags) == ("first", "second", ("tag",))
    assert first.id != second.id
    assert 1e9 == first.began < first.ended <= second.ended


def test_a_note_cut_short_by_a_kill_is_passed_over(tmp_path: Path, home: Path) -> None:
    note(Project(tmp_path), "training", "first", 1e9, "all skipped", "tag", {})
    with (home / FILE).open("a", encoding="utf-8") as file:
        file.write('{"id": "1", "fl')
    assert [run.name for run in read(home)] == ["first"]
    note(Project(tmp_path), "training", "second", 1e9, "all skipped", "tag", {})
    assert [run.name for run in read(home)] == ["first", "second"]
