"""What the steps of a run hand on: each reads what those before it have made, and adds its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect.context import FlowRunContext

from evergreen import code
from evergreen.decision import ASK, Decision
from evergreen.errors import InputError
from evergreen.finding import count
from evergreen.orchestration import console, unchanged
from evergreen.orchestration.queued import answer_queued
from evergreen.orchestration.tasks.job import Job, answer, keep_data, name_run, newest
from evergreen.training.memory import hold_less

if TYPE_CHECKING:
    from evergreen.evaluation.evaluate import Evaluation
    from evergreen.orchestration.tasks.champion import LiveChampion
    from evergreen.orchestration.tasks.models import Plan
    from evergreen.orchestration.tasks.monitoring import Waiting
    from evergreen.orchestration.tasks.sweeps import Search, Seed
    from evergreen.promotion.judge import Judged
    from evergreen.promotion.trained_models import TrainedModel
    from evergreen.quality.bias import BiasReport
    from evergreen.stores.registry import Registered
    from evergreen.training.tables import Tables


@dataclass(frozen=True)
class Outcome:
    """What a training run did, step by step, and the model it ended with."""

    steps: dict[str, str]
    run_id: str
    registered: Registered | None
    failed_seeds: tuple[int, ...] = ()
    decision: Decision | None = None
    left: str | None = None  # the state, where the next run would find nothing to do in it


@dataclass(frozen=True)
class Watch:
    """What a monitoring run saw: the batches, the policy's last decision, what was requested."""

    batches: tuple[str, ...]
    version: str | None
    decision: Decision | None
    rollback: Decision | None
    asked: tuple[str, ...]
    missing: str = ""  # why there is no champion


class Run:
    """A run of a flow. `steps`: what became of each step, in words.

    No dataclass: Prefect would look through all that it holds at each task.
    """

    made_by: dict[str, str] = {}  # noqa: RUF012 - what a step adds -> that step

    def __init__(self, job: Job, title: str) -> None:
        self.job = job
        self.title = title
        self.steps: dict[str, str] = {}

    def name(self) -> None:
        """Call the run in Prefect by its newest batch too."""
        name_run(self.title.format(newest(self.job)))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            step = self.made_by.get(name)
            if step is None:
                raise AttributeError(f"{type(self).__name__} has no {name!r}")
            raise InputError(f"a step of the flow needs what {step}() makes: call that before it")


class Training(Run):
    """A run of the flow `training`, from new batches to a decision."""

    plan: Plan
    run_id: str  # in MLflow
    tables: Tables  # the rows: those of the split, then those that the judged models learn from
    notes: tuple[str, ...]  # of the checks for leaks
    bias: BiasReport
    search: Search | None  # how many rounds to boost; None: each seed is stopped by itself
    seeds: list[Seed]
    failed: list[int]
    linear: bytes
    evaluation: Evaluation
    model: TrainedModel | None  # None: the champion is of this very run
    judged: Judged
    registered: Registered | None

    made_by = {  # noqa: RUF012
        **dict.fromkeys(("plan", "run_id"), "reuse"),
        **dict.fromkeys(("tables", "notes", "bias"), "check_leaks"),
        **dict.fromkeys(("search", "seeds", "failed"), "train"),
        **dict.fromkeys(("linear", "evaluation"), "evaluate"),
        **dict.fromkeys(("model", "judged"), "compare"),
    }

    def __init__(
        self,
        job: Job,
        title: str,
        reason: str,
        recording: ExitStack,
        asked: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(job, title)
        self.asked = asked or {}  # values in place of those of params.yaml
        self.reason = reason
        self.recording = recording  # closed when the last step has ended
        self.registered = None
        self.decision: Decision | None = None
        self.inputs = ""  # their fingerprint, once the data are up to date
        self.left: str | None = None

    def give_back(self) -> None:
        """Give the system back what was freed so far, where rows do not fit into memory."""
        if self.plan.slots.on_disk:
            hold_less()

    def outcome(self) -> Outcome:
        """Return what was done."""
        failed = () if self.plan.finished else tuple(self.failed)
        return Outcome(self.steps, self.run_id, self.registered, failed, self.decision, self.left)


class Monitoring(Run):
    """A run of the flow `monitoring`: what it saw of new batches beside the champion."""

    champion: LiveChampion | None
    made_by = {"champion": "know_champion"}  # noqa: RUF012

    def __init__(self, job: Job, title: str) -> None:
        super().__init__(job, title)
        self.waiting: list[Waiting] = []
        self.decision: Decision | None = None
        self.rollback: Decision | None = None
        self.asked: tuple[str, ...] = ()
        self.missing = ""

    def result(self) -> Watch:
        """Return what was seen."""
        version = self.champion.reference.version if self.champion else None
        names = tuple(batch.name for batch in self.waiting)
        return Watch(names, version, self.decision, self.rollback, self.asked, self.missing)


@contextmanager
def open_training(reason: str, asked: Mapping[str, Any]) -> Iterator[Training]:
    """Hold the project for a training, and record it in MLflow until the last step has ended.

    `asked`: values in place of those of params.yaml, by section; None means 'as there'.
    Raises InputError where another run is under way, or a value is wrong.
    """
    console.install()
    job = Job.open(**asked)
    title = f"{job.params.tracking.model}{{}}, {count(job.params.sweep.seeds, 'seed')}"
    job.note_commit()
    if job.params.compute.memory == "external":
        hold_less()
    with job.hold(title.format("")):
        with ExitStack() as recording:
            run = Training(job, title, reason, recording, asked)
            yield run
        keep_data(job)
        if (
            run.plan.finished or not run.failed
        ):  # else nothing was judged: what was asked for still is
            answer(job, run.run_id)
            answer_queued()
            run.left = _what_is_left(run)


@contextmanager
def open_monitoring() -> Iterator[Monitoring]:
    """Hold the project for a monitoring. Raises InputError where another run is under way."""
    console.install()
    job = Job.open()
    with job.hold("monitoring"):
        yield Monitoring(job, "monitoring{}")
        answer_queued()


def _what_is_left(run: Training) -> str | None:
    """Return the state that the run leaves; None where the next run may find something to do."""
    job, context = run.job, FlowRunContext.get()
    job.note_outside()  # what was done to the models meanwhile
    waits = run.decision is not None and run.decision.action == ASK
    if waits or console.Plain.warnings or code.changed() or not unchanged.is_told(job.project):
        return None
    if context is None or not unchanged.has_only_steps(context.flow.fn):
        return None
    if run.inputs != unchanged.inputs_of(job.project, job.params, run.asked):
        return None
    return unchanged.state_of(job.project, run.inputs)
