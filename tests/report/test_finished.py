"""Finished: a report's file lies where it was asked for, or is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evergreen.errors import InputError
from evergreen.report.finished import written


def page(run: Any, folder: Path) -> Path:
    path = folder / "page.html"
    path.write_text(run)
    return path


def test_a_report_writes_a_file(tmp_path: Path) -> None:
    found = written(page, "a run", tmp_path)  # type: ignore[arg-type]
    assert found == tmp_path / "page.html"
    assert found.read_text() == "a run"


def test_a_report_may_have_nothing_to_say(tmp_path: Path) -> None:
    assert written(lambda run, folder: None, "a run", tmp_path) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ("page.html", "return the path of what it wrote, or None"),
        (Path("lost.html"), "which is no file in the folder it was given"),
        (Path(__file__), "which is no file in the folder it was given"),
    ],
)
def test_another_thing_is_an_error(found: Any, told: str, tmp_path: Path) -> None:
    def report(run: Any, folder: Path) -> Any:
        return found

    with pytest.raises(InputError, match=f"^report returned .*{told}"):
        written(report, "a run", tmp_path)  # type: ignore[arg-type]
