"""The tasks that decide: a person is waited for only where there is a page to answer on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.exceptions import FlowPauseTimeout
from prefect.logging import disable_run_logger

from evergreen.decision import ASK, PROMOTE, Decision
from evergreen.orchestration.tasks import job, promotion
from evergreen.orchestration.tasks.job import Job
from evergreen.params.people import People
from evergreen.stores.registry import Registered

WAITING = Registered("evergreen", "2", "challenger")
DECISION = Decision(
    ASK, ("better beyond the noise",), {"rules": [{"name": "better", "met": True, "says": "so"}]}
)


class Registry:
    """What would be promoted."""

    def __init__(self, *approve: str) -> None:
        self.promoted: list[tuple[Any, ...]] = []
        self.denied: list[tuple[str, str]] = []
        self.events = SimpleNamespace(by="")
        people = People(approve=approve)
        self.tracker = SimpleNamespace(params=SimpleNamespace(people=people))

    def record_outside(self, number: str, reason: str, what: str) -> None:
        self.denied.append((number, reason))

    def aliases(self) -> dict[str, str]:
        return {"champion": "1"}

    def promote(self, *what: Any) -> None:
        self.promoted.append(what)

    def registered(self, number: str) -> Registered:
        return Registered("evergreen", number, "champion" if self.promoted else "challenger")


def answer(said: Any) -> Callable[..., Any]:
    def pause(wait_for_input: Any, timeout: int) -> Any:
        if isinstance(said, Exception):
            raise said
        return said

    return pause


CASES = {  # is there a deployment's page, what a person says, who is champion then
    "nobody to ask": (None, SimpleNamespace(promote=True, reason="yes", by=" ada "), "challenger"),
    "yes": ("id", SimpleNamespace(promote=True, reason="looks right", by=" ada "), "champion"),
    "no": ("id", SimpleNamespace(promote=False, reason="not yet"), "challenger"),
    "no answer": ("id", FlowPauseTimeout("late"), "challenger"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_person_is_asked_where_there_is_a_page(
    case: str, make_job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, said, alias = CASES[case]
    registry, tags = Registry(), []
    monkeypatch.setattr(
        job, "tell_prefect", lambda **about: tags.extend(tag.split()[0] for tag in about["tags"])
    )
    monkeypatch.setattr(promotion, "deployment", SimpleNamespace(id=page))
    monkeypatch.setattr(promotion, "pause_flow_run", answer(said))
    monkeypatch.setattr(Job, "registry", property(lambda _: registry))
    with disable_run_logger():
        found = promotion.wait_for_approval(make_job(tmp_path), WAITING, DECISION)
    assert found.alias == alias
    assert tags == (["waiting", "ended"] if page else [])
    if alias == "champion":
        ((number, expected, decision),) = registry.promoted
        assert (number, expected) == ("2", "1")
        assert decision.reasons[0] == "approved by a person: looks right"
    else:
        assert registry.promoted == []


@pytest.mark.parametrize(
    ("by", "champion"), [("ada", True), (" Ada\n", True), ("eve", False), ("", False)]
)
def test_only_who_is_named_approves_by_the_form(
    by: str,
    champion: bool,
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = Registry("ada", "grace")
    said = SimpleNamespace(promote=True, reason="looks right", by=by)
    monkeypatch.setattr(promotion, "deployment", SimpleNamespace(id="id"))
    monkeypatch.setattr(promotion, "pause_flow_run", answer(said))
    monkeypatch.setattr(Job, "registry", property(lambda _: registry))
    with disable_run_logger():
        found = promotion.wait_for_approval(make_job(tmp_path), WAITING, DECISION)
    assert (found.alias == "champion", len(registry.promoted)) == (champion, champion)
    why = f"{by or 'nobody'} may not approve a challenger: people.approve in params.yaml names "
    assert registry.denied == ([] if champion else [("2", f"{why}ada, grace")])


def test_a_promotion_that_was_approved_waits_for_the_run_that_has_begun_meanwhile(
    make_job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person's word is not lost because the next batch is being looked at."""
    registry, job, other, told = Registry(), make_job(tmp_path), ExitStack(), []
    promote = registry.promote

    def end() -> None:
        told.append("the other run ends")
        other.close()

    def begin(*_: Any, **__: Any) -> Any:
        other.enter_context(job.project.lock())
        threading.Timer(1, end).start()
        return SimpleNamespace(promote=True, reason="looks right", by=" ada ")

    monkeypatch.setattr(promotion, "deployment", SimpleNamespace(id="id"))
    monkeypatch.setattr(promotion, "pause_flow_run", begin)
    monkeypatch.setattr(
        registry, "promote", lambda *what: (told.append("promoted"), promote(*what))
    )
    monkeypatch.setattr(Job, "registry", property(lambda _: registry))
    with disable_run_logger():
        assert promotion.wait_for_approval(job, WAITING, DECISION).alias == "champion"
    assert told == ["the other run ends", "promoted"]


@pytest.mark.parametrize(
    "champion", [None, "2"], ids=["for the first time", "again, as it failed after that"]
)
def test_a_decision_that_is_tried_again_promotes_once(
    champion: str | None,
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []

    class Half(Registry):
        def recover(self) -> list[str]:
            done.append("recovered")
            return (
                ["version 2 was being promoted when the process was killed: it is champion"]
                if champion
                else []
            )

        def aliases(self) -> dict[str, str]:
            return {"champion": champion} if champion else {}

        def promote(self, *what: Any) -> None:
            done.append("promoted")

    job = make_job(tmp_path)
    split = SimpleNamespace(judging_rows=lambda: "2013-06")
    monkeypatch.setattr(
        promotion, "decide", lambda *_: Decision(PROMOTE, ("better",), {"rules": []})
    )
    monkeypatch.setattr(promotion, "show_links", lambda *_: None)
    monkeypatch.setattr(promotion.papers, "write_card", lambda *_: [])
    monkeypatch.setattr(promotion, "create_markdown_artifact", lambda *_, **__: None)
    monkeypatch.setattr("evergreen.features.split.Split.read", lambda _: split)
    monkeypatch.setattr(
        "evergreen.report.comparison.draw_comparison", lambda *_, **__: tmp_path / "picture.png"
    )
    monkeypatch.setattr(Job, "registry", property(lambda _: Half()))
    artifacts = SimpleNamespace(attach=lambda *_: None)
    monkeypatch.setattr(Job, "artifacts", property(lambda _: artifacts))
    judged = SimpleNamespace(evidence=SimpleNamespace(champion=None))
    run: Any = SimpleNamespace(job=job, run_id="run", registered=WAITING, judged=judged)
    with disable_run_logger():
        _, decision = promotion.decide_and_promote.fn(run)
    assert decision.action == PROMOTE
    assert done == ["recovered", *([] if champion else ["promoted"])]


def test_the_form_shows_every_rule_and_begins_with_no() -> None:
    form = promotion.Approval.with_initial_data(description=DECISION.as_markdown())
    assert form.model_fields["promote"].default is False
    assert "| better | met | so |" in DECISION.as_markdown()
