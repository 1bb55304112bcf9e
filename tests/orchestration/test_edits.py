"""Edits: what is no longer as it was taken is tried once, and found again when it is edited."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from evergreen.orchestration import edits as module
from evergreen.orchestration.edits import Edits, restart

RIGHT, WRONG = ("-c", ""), ("-c", "no_such_name")


@pytest.fixture
def edited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file of the project that was edited since this process began."""
    path = tmp_path / "helper.py"
    path.write_text("new = 1")
    monkeypatch.setattr(module.code, "changed", lambda: [path])
    return path


def test_a_process_starts_again_as_it_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[object] = []
    monkeypatch.setattr(os, "execv", lambda *words: called.append(words))
    restart()
    assert called == [(sys.executable, [sys.executable, *sys.orig_argv[1:]])]


def test_nothing_is_found_where_nothing_was_edited(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module.code, "changed", list)
    assert Edits(tmp_path, RIGHT).find() == {}


def test_what_works_is_used_and_what_does_not_is_told_once(edited: Path, tmp_path: Path) -> None:
    edits = Edits(tmp_path, RIGHT)
    assert edits.refuses(edits.find()) == ""
    edits = Edits(tmp_path, WRONG)
    why = edits.refuses(edits.find())
    assert "NameError: name 'no_such_name' is not defined; until" in why
    assert str(edited) in why
    assert (edits.find(), edits.why) == ({}, why)
    os.utime(edited, (1, 1))
    assert ([*edits.find()], edits.why) == ([str(edited)], "")


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [("a", "a", []), ("a", "b", ["params.yaml"]), ("a", None, []), (None, "b", [])],
)
def test_other_things_count_once_they_are_there_and_others(
    before: object, now: object, found: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module.code, "changed", list)
    marks = iter((before, now))
    edits = Edits(tmp_path, RIGHT, lambda: {"params.yaml": next(marks)})
    assert [*edits.find()] == found
