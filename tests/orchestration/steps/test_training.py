"""The steps of a training: what each adds to the run, and which have nothing to do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evergreen.decision import ASK, PROMOTE, REFUSE, Decision
from evergreen.orchestration import unchanged
from evergreen.orchestration.steps import training as steps
from evergreen.orchestration.tasks import models, promotion, sweeps
from evergreen.orchestration.tasks.job import Job
from evergreen.orchestration.tasks.models import Plan
from evergreen.orchestration.tasks.run import Training
from evergreen.orchestration.tasks.sweeps import Seed
from evergreen.stores.registry import Registered
from evergreen.training.learner import Trained
from evergreen.training.seeds import Slots

MADE = Registered("flights", "2", "challenger")
JUDGED: Any = SimpleNamespace(held_out="held out")


@pytest.fixture
def done() -> list[str]:
    """What was done, in order."""
    return []


@pytest.fixture
def run(
    make_job: Callable[..., Job], tmp_path: Path, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> Training:
    """A run whose store and registry only note what they are asked."""
    runs = SimpleNamespace(open=lambda fingerprint, *_: nullcontext(f"run of {fingerprint}"))
    artifacts = SimpleNamespace(record_held_out=lambda _, rows: done.append(f"keep {rows}"))
    registry = SimpleNamespace(champion_of=lambda fingerprint: None)
    monkeypatch.setattr(Job, "registry", property(lambda _: registry))
    monkeypatch.setattr(Job, "runs", property(lambda _: runs))
    monkeypatch.setattr(Job, "artifacts", property(lambda _: artifacts))
    monkeypatch.setattr(Training, "name", lambda _: done.append("name"))
    run = Training(make_job(tmp_path), "flights{}", "asked for", ExitStack())
    run.plan, run.run_id = plan(), "run"
    return run


def plan(finished: str | None = None) -> Plan:
    return Plan("cpu", Slots(2, 1), "fingerprint", "data", finished, MADE if finished else None)


@pytest.mark.parametrize("finished", [None, "earlier"])
def test_an_identical_run_is_shown_again(
    finished: str | None, run: Training, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "plan", lambda _: plan(finished))
    monkeypatch.setattr(unchanged, "inputs_of", lambda *_: "inputs")
    monkeypatch.setattr(models, "describe", lambda job, plan, reason: (reason, {}, {}))
    monkeypatch.setattr(steps, "skip", lambda step, why: done.append(f"{step}: {why}"))
    monkeypatch.setattr(steps, "show_again", lambda job, run_id: done.append(f"show {run_id}"))
    assert steps.reuse(run) is (finished is not None)
    assert run.inputs == "inputs"
    after = ("train", "evaluate", "register", "decide")
    if finished:
        told = [f"{step}: an identical run is there: earlier" for step in after]
        assert done == ["name", *told, "show earlier"]
        assert run.steps == dict.fromkeys(after, "skipped")
        assert (run.run_id, run.registered) == ("earlier", MADE)
    else:
        assert (done, run.steps, run.run_id) == (["name"], {}, "run of fingerprint")


def test_seeds_are_counted_and_those_of_an_earlier_run_told(
    run: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = [Seed(Trained(at, b"", 5, 0.1, {}), {}, reused=at == 1) for at in range(3)]
    run.tables = SimpleNamespace(digest=lambda: "rows")  # type: ignore[assignment]
    monkeypatch.setattr(sweeps, "find_rounds", lambda *_: None)
    monkeypatch.setattr(sweeps, "run_sweep", lambda *_: (seeds, [7]))
    steps.train(run)
    assert (run.seeds, run.failed, run.search) == (seeds, [7], None)
    assert run.steps == {"train": "3 seeds, 1 of them reused"}


@pytest.mark.parametrize(
    ("folds", "judged", "live", "refits", "made"),
    [
        (False, True, True, True, "live"),
        (False, True, False, True, "judged"),
        (False, False, True, True, "judged"),
        (False, True, True, False, "judged"),
        (True, False, False, True, "live"),
    ],
    ids=["both pass", "the refit does not", "the judged does not", "no refit", "cross-validated"],
)
def test_what_the_gate_lets_pass_is_refit(
    folds: bool,
    judged: bool,
    live: bool,
    refits: bool,
    made: str,
    run: Training,
    done: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model: Any = SimpleNamespace(tables=SimpleNamespace(folds=folds), name="judged")
    run.model, run.judged, run.search = model, JUDGED, SimpleNamespace()  # type: ignore[assignment]
    beside: Any = SimpleNamespace(held_out="beside")
    monkeypatch.setattr(models, "refits", lambda _: refits)
    monkeypatch.setattr(models, "refit", lambda _: SimpleNamespace(name="live"))
    monkeypatch.setattr(promotion, "compare_refit", lambda run, refit: beside)
    monkeypatch.setattr(
        promotion, "passes", lambda job, judging: judged if judging is JUDGED else live
    )
    steps.refit(run)
    assert run.model.name == made  # type: ignore[union-attr]
    begun = refits and (folds or judged)
    assert done == (["keep held out"] if begun else [])
    assert run.judged is (beside if begun else JUDGED)


@pytest.mark.parametrize("promoted", [None, MADE], ids=["new", "killed after its promotion"])
def test_a_run_that_is_champion_is_judged_no_more(
    promoted: Registered | None, run: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = SimpleNamespace(champion_of=lambda fingerprint: promoted)
    monkeypatch.setattr(Job, "registry", property(lambda _: registry))
    decision = Decision(REFUSE, ("no better",), {})
    monkeypatch.setattr(promotion, "compare", lambda _: ("model", JUDGED))
    monkeypatch.setattr(promotion, "reload", lambda _: JUDGED)
    monkeypatch.setattr(promotion, "decide_and_promote", lambda _: (MADE, decision))
    monkeypatch.setattr(models, "register", lambda _: MADE)
    run.search = None
    for step in (steps.compare, steps.refit, steps.register, steps.decide):
        step(run)
    assert run.registered == MADE
    assert run.decision == (None if promoted else decision)
    assert run.steps == {"register": "done", "decide": "is champion" if promoted else REFUSE}


@pytest.mark.parametrize("action", [ASK, PROMOTE, None])
def test_a_person_is_waited_for_where_the_gate_asks(
    action: str | None, run: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    approved = Registered("flights", "2", "champion")
    monkeypatch.setattr(promotion, "wait_for_approval", lambda *_: approved)
    run.failed, run.registered = [], MADE
    run.decision = Decision(action, ("so",), {}) if action else None  # type: ignore[arg-type]
    assert steps.conclude(run).registered == (approved if action == ASK else MADE)
