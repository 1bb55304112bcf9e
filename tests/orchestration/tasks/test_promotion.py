"""The tasks that decide: a person is waited for only where there is a page to answer on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from prefect.exceptions import FlowPauseTimeout
from prefect.logging import disable_run_logger
from recipes.people import candidate, people
from recipes.plain import params_of

from evergreen.decision import ASK, PROMOTE, Decision
from evergreen.features.split import Part, Split
from evergreen.orchestration.tasks import job, promotion
from evergreen.orchestration.tasks.job import Job
from evergreen.params.people import People
from evergreen.promotion.evidence import Refit
from evergreen.promotion.judge import Judged, judge
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
    decided: list[Any] = []

    def decide(*given: Any) -> Decision:
        decided.append(given)
        return Decision(PROMOTE, ("better",), {"rules": []})

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
    monkeypatch.setattr(promotion, "decide", decide)
    monkeypatch.setattr(promotion.papers, "unanswered", lambda _: ("purpose",))
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
    # By what people have not answered in datasheet.yaml too
    rules = job.params.gate, job.params.extensions, job.params.metrics
    assert decided == [(judged.evidence, *rules, ("purpose",))]


def test_the_form_shows_every_rule_and_begins_with_no() -> None:
    form = promotion.Approval.with_initial_data(description=DECISION.as_markdown())
    assert form.model_fields["promote"].default is False
    assert "| better | met | so |" in DECISION.as_markdown()


# --- what the gate is told of the model that goes live


ROWS, EARLIER = people("binary", 120, 1), people("binary", 120, 2, "2013-03-01")
BY_BATCHES = Split(
    Part(("2013-01", "2013-02"), None, "2013-03-01 00:00:00"),
    Part(("2013-03",), "2013-03-01 00:00:00", "2013-04-01 00:00:00"),
    Part(("2013-04",), "2013-04-01 00:00:00", None),
)
FOLDED = Split(
    BY_BATCHES.train, BY_BATCHES.validation, BY_BATCHES.holdout, Part(("all",), None, None)
)


@pytest.fixture
def judged() -> Judged:
    """What the gate knows of a first challenger, judged on `ROWS`."""
    params = params_of(task="binary", sweep={"seeds": 3})
    return judge(ROWS, candidate("binary", 1.0, "2"), None, {"constant": np.full(120, 0.4)}, params)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[Part]:
    """The parts of the split that were read: `ROWS` of what judges, else `EARLIER`."""
    read: list[Part] = []

    def read_part(project: Any, part: Part, columns: Any = None) -> pl.DataFrame:
        read.append(part)
        return ROWS if part in (BY_BATCHES.holdout, FOLDED.judged) else EARLIER

    monkeypatch.setattr("evergreen.features.split.read_part", read_part)
    monkeypatch.setattr(Split, "of", classmethod(lambda cls, project: BY_BATCHES))
    return read


def test_what_a_new_process_predicts_is_compared_with_what_the_trained_model_does(
    judged: Judged,
    parts: list[Part],
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, asked = candidate("binary", 1.0, "2").model, []

    def predict_reloaded(number: str, given: pl.DataFrame) -> Any:
        asked.append((number, given.columns))
        return model.predict_rows(ROWS) + np.float32(0.25)

    versions = SimpleNamespace(predict_reloaded=predict_reloaded)
    monkeypatch.setattr(Job, "registry", property(lambda _: SimpleNamespace(versions=versions)))
    made = SimpleNamespace(model=lambda: model)
    run: Any = SimpleNamespace(
        job=make_job(tmp_path), model=made, registered=WAITING, judged=judged
    )
    found = promotion.reload.fn(run)
    assert judged.evidence.reload is None
    assert found.evidence.reload == pytest.approx(0.25)
    assert parts == [BY_BATCHES.holdout]
    assert asked == [("2", list(model.encoder.features))]


def compare(job: Job, judged: Judged, made: Any, live: Any) -> Refit:
    """What is found of the refit model `live` beside `made`, which was judged."""
    run: Any = SimpleNamespace(job=job, judged=judged, model=SimpleNamespace(model=lambda: made))
    trained: Any = SimpleNamespace(model=lambda: live, learner="linear", rounds=40)
    found = promotion.compare_refit.fn(run, trained).evidence.refit
    assert found
    return found


@pytest.mark.parametrize("folded", [False, True], ids=["a holdout judged", "each fold judged"])
def test_the_refit_model_stands_beside_the_judged_one_with_what_the_newest_batch_teaches(
    folded: bool,
    judged: Judged,
    parts: list[Part],
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Any] = []
    refit = Refit(5000, "2013-04-30", 40, None, None)

    def beside(*given: Any) -> Refit:
        told.append(given)
        return refit

    made, live = candidate("binary", 1.0, "2").model, candidate("binary", 1.1, "3").model
    taught: Any = object()
    monkeypatch.setattr("evergreen.promotion.refit.compare_refit", beside)
    monkeypatch.setattr(promotion, "_influence", lambda run, learner: (taught, learner))
    registry = SimpleNamespace(champion=lambda: None)
    monkeypatch.setattr(Job, "registry", property(lambda _: registry))
    if folded:
        monkeypatch.setattr(Split, "of", classmethod(lambda cls, project: FOLDED))
    job = make_job(tmp_path)
    assert compare(job, judged, made, live) == Refit(
        5000, "2013-04-30", 40, None, None, influence=None if folded else (taught, "linear")
    )
    ((first, other, said, earlier, rows, rounds, params),) = told
    assert first is live
    assert other is made
    assert (rounds, params) == (40, job.params)
    assert rows is ROWS
    # What the judged one said before the refit, in the order of the rows
    np.testing.assert_array_equal(said, judged.predictions["challenger"])
    if folded:
        assert earlier is None
        assert parts == [FOLDED.judged]
    else:
        assert earlier is EARLIER
        # Of the rows before the holdout the newest batch: both have learnt from it
        assert parts == [Part(("2013-03",), None, BY_BATCHES.holdout.start), BY_BATCHES.holdout]


@pytest.mark.parametrize(("skill", "same"), [(1.1, True), (1.0, False), (None, False)])
def test_a_refit_model_that_is_the_champion_bit_for_bit_is_told(
    skill: float | None,
    same: bool,
    judged: Judged,
    parts: list[Part],
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = {"1": candidate("binary", skill, "1").model} if skill else {}
    registry = SimpleNamespace(
        champion=lambda: next(iter(opened), None), versions=SimpleNamespace(open=opened.__getitem__)
    )
    monkeypatch.setattr(Job, "registry", property(lambda _: registry))
    monkeypatch.setattr(promotion, "_influence", lambda *_: None)
    made, live = candidate("binary", 1.0, "2").model, candidate("binary", 1.1, "3").model
    assert compare(make_job(tmp_path, task="binary"), judged, made, live).same is same


def test_the_newest_batch_is_judged_by_models_that_know_it_beside_those_that_do_not(
    parts: list[Part],
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Any] = []
    given_back: list[str] = []

    def load(called: str, rows: int) -> Callable[..., Any]:
        def tables(project: Any, *, on_disk: bool) -> Any:
            assert on_disk
            return SimpleNamespace(
                called=called, train=range(rows), without_rows=lambda: f"{called}, no rows"
            )

        return tables

    def teach(tables: Any, rounds: int, *how: Any) -> list[bytes]:
        told.append((tables.called, rounds, *how))
        return [tables.called.encode()]

    def find_influence(*given: Any) -> str:
        told.append(given)
        return "what it teaches"

    monkeypatch.setattr("evergreen.training.tables.load_tables", load("without", 100))
    monkeypatch.setattr("evergreen.training.tables.load_around", load("taught", 150))
    monkeypatch.setattr("evergreen.promotion.influence.teach", teach)
    monkeypatch.setattr("evergreen.promotion.influence.find_influence", find_influence)
    slots = SimpleNamespace(on_disk=True)
    run: Any = SimpleNamespace(
        job=make_job(tmp_path),
        plan=SimpleNamespace(device="cpu", slots=slots),
        search=SimpleNamespace(rounds=SimpleNamespace(on=lambda rows: rows // 10)),
        give_back=lambda: given_back.append("rows"),
    )
    assert promotion._influence(run, "xgboost") == "what it teaches"
    how, (before, after, (tables, between, without, taught, *rest)) = run.job.params, told
    assert before == ("without", 10, "xgboost", how, "cpu", slots)
    assert after == ("taught", 15, "xgboost", how, "cpu", slots)
    assert (tables, without, taught) == ("taught, no rows", [b"without"], [b"taught"])
    # The rows between judge, which none of them has learnt from
    assert between is EARLIER
    assert parts == [BY_BATCHES.validation]
    assert rest == ["xgboost", how]
    assert given_back == ["rows", "rows"]
