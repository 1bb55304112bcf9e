"""Telling: can a report or notifier of the user's be called as the library does?"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.extensions import Event, Notifier, Report, name_of
from evergreen.metrics.metric import Task
from evergreen.testing.made import draw_run

if TYPE_CHECKING:
    from evergreen.report.finished import Finished

Array = np.ndarray[Any, np.dtype[Any]]
EVENTS = (
    Event("promoted", "a model", "2", says=("better beyond the noise",)),
    Event("refused", "a model", "3", says=("no better",)),
    Event("waits for approval", "a model", "4"),
    Event("rolled back", "a model", "1", "2024-02"),
    Event("held back", "a model", batch="2024-03", says=("price stuck",)),
    Event("retraining requested", "a model", "1", "2024-04"),
    Event("failed", "a model", says=("no space left",)),
)


def check_notifier(notifier: Notifier) -> None:
    """Raise AssertionError where `notifier` fails on any kind of event; it gets all of them."""
    check_takes(notifier, 1)
    for event in EVENTS:
        try:
            notifier(event)
        except Exception as error:  # whatever it is
            raise AssertionError(
                f"{name_of(notifier)} raised {type(error).__name__} ({error}) for: {event}"
            ) from error


def check_report(report: Report, task: Task = "binary", run: Finished | None = None) -> None:
    """Raise AssertionError where `report` fails, or returns no file of its folder and not None.

    `run`: what it is of; else one of made-up rows for `task`, with a linear model.
    """
    from evergreen.report.finished import written

    check_takes(report, 2)
    with TemporaryDirectory() as folder:
        try:
            written(report, run or draw_run(Path(folder), task), Path(folder))
        except Exception as error:  # whatever it is
            raise AssertionError(
                f"{name_of(report)} failed ({type(error).__name__}: {error}): the run would lack it"
            ) from error


def check_takes(function: Callable[..., object], count: int) -> None:
    """Raise AssertionError where `function` cannot be called with so many arguments."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError as error:
        raise AssertionError(
            f"{name_of(function)} must take {count} argument(s): {error}"
        ) from None
