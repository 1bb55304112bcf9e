"""Watch: a batch is told of once it is whole, not twice, and again after a while if it still waits."""

from __future__ import annotations

from typing import Any

import pytest

from evergreen.data.sources import Offer
from evergreen.errors import InputError
from evergreen.project import Project
from flows import watch
from flows.server import tag_of
from flows.watch import ARRIVED, PATIENCE, Watcher, resource_of

MAY = ("2013-05", "size 1")
GROWN = ("2013-05", "size 2")
JUNE = ("2013-06", "size 1")

CASES: dict[str, tuple[list[list[tuple[str, str]]], list[list[str]]]] = {  # what each look finds; what each look tells
    "nothing": ([[], []], [[], []]),
    "there twice": ([[MAY], [MAY]], [[], ["2013-05"]]),
    "told once": ([[MAY]] * 5, [[], ["2013-05"], [], [], []]),
    "still growing": ([[MAY], [GROWN], [GROWN]], [[], [], ["2013-05"]]),
    "gone before it was whole": ([[MAY], [], [MAY], [MAY]], [[], [], [], ["2013-05"]]),
    "a second one": ([[MAY], [MAY], [MAY, JUNE], [MAY, JUNE]], [[], ["2013-05"], [], ["2013-05", "2013-06"]]),
    "taken, then the next": ([[MAY], [MAY], [], [JUNE], [JUNE]], [[], ["2013-05"], [], [], ["2013-06"]]),
    "changed after it was told": ([[MAY], [MAY], [GROWN], [GROWN]], [[], ["2013-05"], [], ["2013-05"]]),
}


def watcher(looks: list[list[tuple[str, str]]], clock: list[float] | None = None) -> tuple[Watcher, list[Any]]:
    left, told = iter(looks), []
    times = iter(clock or [0.0] * 1000)
    found = Watcher(lambda: [Offer(*one) for one in next(left)], lambda *said: told.append(said), lambda: next(times))
    return found, told


@pytest.mark.parametrize("case", CASES)
def test_what_is_told(case: str) -> None:
    looks, expected = CASES[case]
    one, told = watcher(looks)
    assert [one.look() for _ in looks] == expected
    assert told == [(ARRIVED, {"batches": batches}) for batches in expected if batches]


def test_what_still_waits_is_told_again_after_a_while() -> None:
    """The event, or the run that it started, may have been lost."""
    clock = [PATIENCE + 1.0] * 2 + [PATIENCE + 2.0, 2 * PATIENCE + 2.0] + [2 * PATIENCE + 3.0] * 2
    one, _ = watcher([[MAY]] * 4, clock)
    assert [one.look() for _ in range(4)].count(["2013-05"]) == 2


def test_a_source_that_fails_is_not_taken_for_an_empty_one() -> None:
    one, told = watcher([[MAY], [MAY]])
    broken = Watcher(lambda: 1 / 0, one._tell)  # type: ignore[arg-type, return-value]
    with pytest.raises(ZeroDivisionError):
        broken.look()
    assert told == []


class PanicError(BaseException):
    """As polars and other libraries of Rust raise it: no Exception."""


FAULTS: dict[str, tuple[BaseException, str]] = {
    "a mistake": (InputError("source.path names no folder"), "source.path names no folder\n"),
    "a file that has vanished": (FileNotFoundError(2, "No such file", "inbox/a.csv"), "FileNotFoundError"),
    "a link in a circle": (OSError(40, "Too many levels of symbolic links", "inbox/a.csv"), "OSError"),
    "a fault of the program": (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero\n"),
    "no memory": (MemoryError(), "MemoryError"),
    "a panic": (PanicError("index out of bounds"), "PanicError: index out of bounds\n"),
    "code that exits": (SystemExit(3), "SystemExit: 3\n"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_no_failure_of_a_look_ends_the_watch(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    fault, expected = FAULTS[case]
    looks: list[Any] = [fault, fault, [Offer(*MAY)], [Offer(*MAY)]]

    def look() -> list[Offer]:
        found = looks.pop(0)
        if isinstance(found, BaseException):
            raise found
        return list(found)

    one, said = Watcher(look, lambda *_: None), ""
    errors = []
    for _ in range(4):
        said = watch.look_once(one, said)
        errors.append(capsys.readouterr())
    assert expected in errors[0].err
    assert [printed.err for printed in errors[1:]] == [""] * 3  # what was said is not said again
    assert errors[3].out == "told of 2013-05\n"
    assert said == ""


def test_the_watch_ends_when_it_is_told_to() -> None:
    def look() -> list[Offer]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch.look_once(Watcher(look, lambda *_: None))


def test_an_event_names_the_project(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr("prefect.events.emit_event", lambda event, **what: sent.append((event, what)))
    watch.tell(Project(tmp_path), ARRIVED, {"batches": ["2013-05"]})
    assert sent == [
        (
            ARRIVED,
            {
                "resource": resource_of(Project(tmp_path), {"batches": ["2013-05"]}),
                "payload": {"batches": ["2013-05"]},
            },
        )
    ]


def test_what_says_the_same_is_about_the_same(tmp_path: Any) -> None:
    """A second retraining that is asked for within the minute must not be lost as a repetition of the first."""
    one, same, other = (resource_of(Project(tmp_path), {"reason": reason}) for reason in ("first", "first", "second"))
    assert one == same
    assert one["prefect.resource.id"] == other["prefect.resource.id"]
    assert one["prefect.resource.id"] == f"evergreen.project.{tag_of(Project(tmp_path))}"
    assert one["evergreen.about"] != other["evergreen.about"]
