"""Flow: steps of one's own, which are not repeated, are told; the library's order is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT

from evergreen.reproduce.flow import FLOW, differences

TEXT = (ROOT / FLOW).read_text()


def said_of(text: str, folder: Path) -> str:
    (folder / "flows").mkdir()
    (folder / FLOW).write_text(text)
    return " ".join(differences(folder))


def test_the_order_of_a_new_project_is_the_librarys() -> None:
    assert differences(ROOT) == []


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("steps.train(run)", "steps.train(run)\n            publish(run)", "repeated: publish"),
        ("steps.train(run)", "own.trim(run.job, 3)\n            steps.train(run)", "own.trim"),
        ("steps.train(run)", "steps.train(run)\n            own(job=run)", "repeated: own"),
        ("steps.refit(run)", "pass", "another order of steps"),
        ("with steps", "wit steps", "cannot be read (SyntaxError)"),
        ("with steps.open_training", "with own.begin", "another order of steps"),
    ],
)
def test_what_is_not_repeated_is_told(was: str, now: str, said: str, tmp_path: Path) -> None:
    text = TEXT.replace(was, now)
    assert text != TEXT
    assert said in said_of(text, tmp_path)


def test_another_name_for_the_librarys_steps_is_the_same(tmp_path: Path) -> None:
    text = TEXT.replace("import steps\n", "import steps as own\n").replace("steps.", "own.")
    assert (text != TEXT, said_of(text, tmp_path)) == (True, "")


def test_a_flow_that_is_gone_is_told(tmp_path: Path) -> None:
    assert "cannot be read (FileNotFoundError)" in " ".join(differences(tmp_path))
