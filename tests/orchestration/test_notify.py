"""Notify: each notifier is told, without secrets, and none can fail a run."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from evergreen.errors import LOG, InputError
from evergreen.extensions import Event, Extensions
from evergreen.orchestration import notify as module
from evergreen.orchestration.notify import describe, notify
from evergreen.params import Params, parse

SECRET = "could not read postgresql://me:hunter2@host/db"


def params_with(*notifiers: Any) -> Params:
    return parse({"tracking": {"model": "cars"}}, "params").choosing_from(
        Extensions(notifiers=notifiers)
    )


def test_each_is_told_without_secrets(tmp_path: Path) -> None:
    told: list[Event] = []
    said: list[str] = []

    def other(event: Event) -> None:
        told.append(event)

    notify(
        params_with(told.append, other),
        tmp_path,
        "failed",
        warn=said.append,
        version="2",
        says=(SECRET,),
    )
    assert len(told) == 2
    assert (told[0].what, told[0].model, told[0].version) == ("failed", "cars", "2")
    assert "hunter2" not in str(told)
    assert said == []


def raising(event: Event) -> None:
    raise RuntimeError(SECRET)


def leaving(event: Event) -> None:
    sys.exit(3)


def sleeping(event: Event) -> None:
    time.sleep(5)


@pytest.mark.parametrize(
    ("notifier", "told"),
    [
        (raising, "RuntimeError: could not read"),
        (leaving, "SystemExit: 3"),
        (sleeping, "more than 0.05 seconds"),
    ],
)
def test_one_that_fails_is_said_and_the_next_is_told(
    notifier: Any, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    heard: list[Event] = []
    said: list[str] = []
    notify(params_with(notifier, heard.append), tmp_path, "promoted", warn=said.append)
    assert [event.what for event in heard] == ["promoted"]
    assert len(said) == 1
    assert f"the notifier {notifier.__name__} of extensions.py failed" in said[0]
    assert told in said[0]
    assert "hunter2" not in said[0] + (tmp_path / LOG).read_text()


def test_an_error_is_a_line() -> None:
    assert describe(InputError("give a name")) == "give a name"
    assert describe(ValueError("two\nlines")) == "ValueError: two lines"
