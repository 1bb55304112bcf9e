"""The papers of a run: what people have answered decides only where a parameter asks for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evergreen.orchestration.tasks import papers
from evergreen.orchestration.tasks.job import Job
from evergreen.papers.datasheet import FILE, QUESTIONS
from evergreen.stores.events import ASKED, REFUSED, Event
from evergreen.stores.registry import Registered

REQUIRED = {"gate": {"datasheet": "required"}}
VERSION = Registered("evergreen", "2", "challenger")


def answer(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / FILE).write_text("".join(f"{name}: so\n" for name in names))


@pytest.mark.parametrize(
    ("sections", "answered", "left"),
    [
        ({}, (), 0),
        (REQUIRED, (), 20),
        (REQUIRED, ("purpose", "licence"), 18),
        (REQUIRED, tuple(QUESTIONS), 0),
    ],
)
def test_what_is_unanswered_counts_where_it_is_asked_for(
    sections: Any,
    answered: tuple[str, ...],
    left: int,
    make_job: Callable[..., Job],
    tmp_path: Path,
) -> None:
    answer(tmp_path, *answered)
    found = papers.unanswered(make_job(tmp_path, **sections))
    assert len(found) == left
    assert not {*found} & {*answered}


def event(what: str) -> Event:
    return Event(datetime(2013, 5, 3, 8, 30, tzinfo=UTC), what, "2", None, "2013-05", "why", "id")


CASES = {  # asked for, answered, the last decision, what was unanswered then -> judged again
    "answered since": (REQUIRED, True, REFUSED, ["purpose"], True),
    "refused for something else": (REQUIRED, True, REFUSED, [], False),
    "still unanswered": (REQUIRED, False, REFUSED, ["purpose"], False),
    "left to a person": (REQUIRED, True, ASKED, ["purpose"], False),
    "never decided": (REQUIRED, True, None, ["purpose"], False),
    "not asked for": ({}, True, REFUSED, ["purpose"], False),
}


@pytest.mark.parametrize("case", CASES)
def test_a_version_refused_for_want_of_answers_is_judged_again(
    case: str, make_job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections, answered, what, unanswered, again = CASES[case]
    answer(tmp_path, *(QUESTIONS if answered else ()))
    events = SimpleNamespace(
        last_decision=lambda number: event(what) if what else None,
        evidence=lambda _: {"evidence": {"unanswered": unanswered}},
    )
    monkeypatch.setattr(Job, "registry", property(lambda _: SimpleNamespace(events=events)))
    assert papers.awaits_answers(make_job(tmp_path, **sections), VERSION) == again
