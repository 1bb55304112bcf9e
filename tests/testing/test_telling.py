"""check_notifier and check_report: called as the library does, and stopped where that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from evergreen.extensions import What
from evergreen.metrics.metric import TASKS
from evergreen.testing import check_notifier, check_report
from evergreen.testing.telling import EVENTS


def test_a_notifier_is_told_of_every_kind_of_event() -> None:
    told: list[Any] = []
    check_notifier(told.append)
    assert [event.what for event in told] == list(get_args(What))
    assert {event.what for event in EVENTS} == {*get_args(What)}
    assert "a model version 2 promoted: better beyond the noise" in map(str, told)


def picky(event: Any) -> None:
    if not event.version:
        raise KeyError("version")


@pytest.mark.parametrize(
    ("notifier", "told"),
    [(picky, r"picky raised KeyError .*held back"), (lambda: None, r"must take 1 argument")],
)
def test_a_notifier_that_fails_is_stopped(notifier: Any, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        check_notifier(notifier)


def page(run: Any, folder: Path) -> Path:
    path = folder / "anything.txt"
    said = run.model.predict_rows(run.rows)
    path.write_text(f"{len(run.judged.y)} {said.shape} {run.decision.action} {run.params.task}")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_report_is_given_a_run(task: Any) -> None:
    check_report(page, task)
    check_report(lambda run, folder: None, task)


def elsewhere(run: Any, folder: Path) -> Path:
    return Path(__file__)


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (lambda run, folder: "page.html", "return the path of what it wrote, or None"),
        (lambda run, folder: folder / "lost.html", "no file in the folder it was given"),
        (elsewhere, "no file in the folder it was given"),
        (lambda run, folder: 1 / 0, "ZeroDivisionError"),
        (lambda run: None, "must take 2 argument"),
    ],
)
def test_a_report_that_fails_is_stopped(report: Any, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        check_report(report)
