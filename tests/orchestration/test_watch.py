"""Watch: a batch is reported once it is whole, not twice, and again if it waits for long."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evergreen.errors import InputError
from evergreen.ingest.batches import Waiting
from evergreen.ingest.sources import Offer
from evergreen.orchestration import watch
from evergreen.orchestration.server import tag_of
from evergreen.orchestration.watch import (
    ARRIVED,
    PATIENCE,
    TOUCHED,
    Guard,
    Watcher,
    resource_of,
    warnings_of,
)
from evergreen.params import Params
from evergreen.project import Project

MAY = ("2013-05", "size 1")
GROWN = ("2013-05", "size 2")
JUNE = ("2013-06", "size 1")

# What each check finds; what each check reports
CASES: dict[str, tuple[list[list[tuple[str, str]]], list[list[str]]]] = {
    "nothing": ([[], []], [[], []]),
    "there twice": ([[MAY], [MAY]], [[], ["2013-05"]]),
    "reported once": ([[MAY]] * 5, [[], ["2013-05"], [], [], []]),
    "still growing": ([[MAY], [GROWN], [GROWN]], [[], [], ["2013-05"]]),
    "gone before it was whole": ([[MAY], [], [MAY], [MAY]], [[], [], [], ["2013-05"]]),
    "a second one": (
        [[MAY], [MAY], [MAY, JUNE], [MAY, JUNE]],
        [[], ["2013-05"], [], ["2013-05", "2013-06"]],
    ),
    "taken, then the next": (
        [[MAY], [MAY], [], [JUNE], [JUNE]],
        [[], ["2013-05"], [], [], ["2013-06"]],
    ),
    "changed after it was reported": (
        [[MAY], [MAY], [GROWN], [GROWN]],
        [[], ["2013-05"], [], ["2013-05"]],
    ),
}


def watcher(
    looks: list[list[tuple[str, str]]], clock: list[float] | None = None
) -> tuple[Watcher, list[Any]]:
    left, emitted = iter(looks), []
    times = iter(clock or [0.0] * 1000)
    found = Watcher(
        lambda: [Offer(*offer) for offer in next(left)],
        lambda *event: emitted.append(event),
        lambda: next(times),
    )
    return found, emitted


@pytest.mark.parametrize("case", CASES)
def test_what_is_reported(case: str) -> None:
    looks, expected = CASES[case]
    watched, emitted = watcher(looks)
    assert [watched.check() for _ in looks] == expected
    assert emitted == [(ARRIVED, {"batches": batches}) for batches in expected if batches]


def test_what_still_waits_is_reported_again_after_a_while() -> None:
    """The event, or the run that it started, may have been lost."""
    clock = [PATIENCE + 1.0] * 2 + [PATIENCE + 2.0, 2 * PATIENCE + 2.0] + [2 * PATIENCE + 3.0] * 2
    watched, _ = watcher([[MAY]] * 4, clock)
    assert [watched.check() for _ in range(4)].count(["2013-05"]) == 2


def test_a_source_that_fails_is_not_taken_for_an_empty_one() -> None:
    watched, emitted = watcher([[MAY], [MAY]])
    broken = Watcher(lambda: 1 / 0, watched._emit)  # type: ignore[arg-type, return-value]
    with pytest.raises(ZeroDivisionError):
        broken.check()
    assert emitted == []


def test_a_file_that_is_passed_over_is_reported_once() -> None:
    passed_over = [("a.xlsx",), ("a.xlsx",), ("a.xlsx", "b.zip"), (), ("a.xlsx",)]
    offers = [(), (), (), (Offer(*MAY),), ()]
    looks = map(Waiting, offers, passed_over)
    reported: list[str] = []
    find = watch.report_once(lambda: next(looks), reported.append)
    assert [find() for _ in range(5)] == [[], [], [], [Offer(*MAY)], []]
    assert reported == [
        f"passed over in the source: {name}" for name in ("a.xlsx", "b.zip", "a.xlsx")
    ]


class PanicError(BaseException):
    """As polars and other libraries of Rust raise it: no Exception."""


FAULTS: dict[str, tuple[BaseException, str]] = {
    "a mistake": (InputError("source.path names no folder"), "source.path names no folder\n"),
    "a file that has vanished": (
        FileNotFoundError(2, "No such file", "inbox/a.csv"),
        "FileNotFoundError",
    ),
    "a link in a circle": (
        OSError(40, "Too many levels of symbolic links", "inbox/a.csv"),
        "OSError",
    ),
    "a fault of the program": (
        ZeroDivisionError("division by zero"),
        "ZeroDivisionError: division by zero\n",
    ),
    "no memory": (MemoryError(), "not enough memory: "),
    "a panic": (PanicError("index out of bounds"), "PanicError: index out of bounds\n"),
    "code that exits": (SystemExit(3), "SystemExit: 3\n"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_no_failure_of_a_check_ends_the_watch(
    case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fault, expected = FAULTS[case]
    looks: list[Any] = [fault, fault, [Offer(*MAY)], [Offer(*MAY)]]

    def find() -> list[Offer]:
        found = looks.pop(0)
        if isinstance(found, BaseException):
            raise found
        return list(found)

    watched, said = Watcher(find, lambda *_: None), ""
    errors = []
    for _ in range(4):
        said = watch.check_once(watched, said)
        errors.append(capsys.readouterr())
    assert expected in errors[0].err
    assert [printed.err for printed in errors[1:]] == [""] * 3  # what was said is not said again
    assert errors[3].out == "reported 2013-05\n"
    assert said == ""


def test_the_watch_ends_when_it_is_stopped() -> None:
    def find() -> list[Offer]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch.check_once(Watcher(find, lambda *_: None))


def test_an_event_names_the_project(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(
        "prefect.events.emit_event", lambda event, **what: sent.append((event, what))
    )
    watch.emit(Project(tmp_path), ARRIVED, {"batches": ["2013-05"]})
    assert sent == [
        (
            ARRIVED,
            {
                "resource": resource_of(Project(tmp_path), {"batches": ["2013-05"]}),
                "payload": {"batches": ["2013-05"]},
            },
        )
    ]


def test_the_same_payload_is_the_same_resource(tmp_path: Any) -> None:
    """A second retraining requested within the minute must not be lost as a repetition."""
    first, same, other = (
        resource_of(Project(tmp_path), {"reason": reason})
        for reason in ("first", "first", "second")
    )
    assert first == same
    assert first["prefect.resource.id"] == other["prefect.resource.id"]
    assert first["prefect.resource.id"] == f"evergreen.project.{tag_of(Project(tmp_path))}"
    assert first["evergreen.about"] != other["evergreen.about"]


# --- edited code


def test_it_restarts_with_edited_code_and_reports_what_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    restarted: list[int] = []
    monkeypatch.setattr(watch, "restart", lambda: restarted.append(1))
    for edited, why in (({}, "unasked"), ({"own.py": 1}, "own.py: no"), ({"own.py": 2}, "")):
        edits: Any = SimpleNamespace(find=lambda e=edited: e, refuses=lambda _, w=why: w)
        watch.restart_if_edited(edits)
    said = capsys.readouterr()
    assert (restarted, said.err) == ([1], "own.py: no\n")
    assert said.out == "restarted with what was edited: own.py\n"


def test_a_batch_that_waits_is_known_from_the_first_check() -> None:
    found: list[Offer] = []
    watcher = Watcher(lambda: found, lambda event, payload: None)
    for there in (False, True, True, False):
        found[:] = [Offer("2013-06", "origin")] if there else []
        watcher.check()
        assert watcher.waits is there


def test_what_is_wrong_with_the_models_is_reported_once_and_again_when_it_comes_back() -> None:
    found: list[list[str]] = [[], ["moved"], ["moved"], ["moved", "damaged"], [], ["moved"]]
    looks, emitted = iter(found), list[Any]()
    guard = Guard(
        lambda: next(looks), lambda event, payload: emitted.append((event, payload["what"]))
    )
    assert [guard.check() for _ in found] == [[], ["moved"], [], ["damaged"], [], ["moved"]]
    assert emitted == [(TOUCHED, "moved"), (TOUCHED, "damaged"), (TOUCHED, "moved")]


def test_a_project_without_models_is_not_looked_at(tmp_path: Path) -> None:
    assert warnings_of(Project(tmp_path), Params()) == []
    assert list(tmp_path.iterdir()) == []
