"""What every task of a run shares: the job, and how a task says that it had nothing to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from prefect import State, Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import TaskRun
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run
from prefect.states import Completed

from evergreen import params as parameters
from evergreen.dataset import Dataset
from evergreen.errors import BusyError, InputError, explain
from evergreen.extensions import What
from evergreen.finding import count
from evergreen.orchestration import unchanged
from evergreen.orchestration.notify import describe, notify
from evergreen.orchestration.server import close_killed_runs, ended_tag_of, tag_of, waiting_tag_of
from evergreen.orchestration.turn import turn
from evergreen.params import Params
from evergreen.project import Project
from evergreen.stores.artifacts import Artifacts
from evergreen.stores.dvc_bytes import push
from evergreen.stores.git import Commit, first_commit
from evergreen.stores.journal import Journal
from evergreen.stores.outside import warnings, write_down
from evergreen.stores.registry import Registry
from evergreen.stores.runs import Runs
from evergreen.stores.seeds import Seeds
from evergreen.stores.tracking import Tracker
from evergreen.training.learner import is_seedless
from evergreen.training.seeds import JUDGED, LIVE

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from evergreen.promotion.candidate import Candidate
    from evergreen.scoring.package import Model

T = TypeVar("T")
PATIENCE = 6 * 3600  # seconds that a run of a deployment waits for another one to end
SHOWN = ".run"  # below reports/
NAMES = {"train": "training", "validation": "early stopping", "holdout": "holdout"}


@dataclass(frozen=True)
class Job:
    """What every task of one run needs."""

    project: Project
    params: Params
    tracker: Tracker = field(repr=False)

    @classmethod
    def open(cls, **sections: Mapping[str, Any]) -> Job:
        """Return the job of the project around the working directory, some parameters replaced."""
        project = Project.find()
        params = parameters.load(project.params).override(**sections)
        params = params.choosing_from(project.extensions)
        return cls(project, params, Tracker(project, params))

    def note_commit(self) -> None:
        """Note which commit and changes this run is of; where that cannot be told, say so."""
        found, params = first_commit(self.project.root)
        if params != self.params.text:
            found = Commit(
                why="params.yaml was edited while the run started: run again when it is done"
            )
        if found.why:
            get_run_logger().warning("no commit is recorded: %s", found.why)
        self.tracker.commit = found

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold the project, as the run called `name`, and close what killed runs left open.

        A run of a deployment waits for its turn; one that a person started is told at once that
        another is under way, or waits as EVERGREEN_PATIENCE says. Before and after that it is alive
        without the project, and is known as such.
        """
        with ExitStack() as stack:
            with waiting(self.project, name=name):
                held = self.project.lock(PATIENCE) if deployment.id else turn(self.project)
                stack.enter_context(held)
            stack.enter_context(holding(self.project))
            unchanged.forget(self.project)
            try:
                yield
            except Exception as error:
                self.notify("failed", says=(describe(error),))
                raise

    def notify(
        self, what: What, *, version: str = "", batch: str = "", says: Iterable[str] = ()
    ) -> None:
        """Tell the project's notifiers what happened."""
        about = {"version": version, "batch": batch}
        notify(self.params, self.project.stores, what, warn=_warn, says=says, **about)

    @property
    def dataset(self) -> Dataset:
        """What the project's `dataset.py` defines."""
        return self.project.dataset

    @property
    def runs(self) -> Runs:
        """The training runs of the project."""
        return Runs(self.tracker)

    @property
    def seeds(self) -> Seeds:
        """The seeds that training runs recorded."""
        return Seeds(self.tracker)

    @property
    def artifacts(self) -> Artifacts:
        """The files of runs."""
        return Artifacts(self.tracker)

    @cached_property
    def registry(self) -> Registry:
        """The models of the project."""
        return Registry(self.tracker)

    def finish_cut(self) -> None:
        """Finish or drop what a killed process or a failed task left half-way in the registry."""
        for told in self.registry.recover():
            get_run_logger().warning(told)

    def note_outside(self) -> None:
        """Record in MLflow, and log, what was done to the models; call it with the lock held."""
        self.warn(*write_down(self.registry))

    def warn(self, *noted: str) -> None:
        """Say what was done to the models in MLflow, and what is wrong with the champion."""
        for said in dict.fromkeys([*noted, *warnings(self.registry)]):
            get_run_logger().warning(said)

    def candidate(self, number: str) -> Candidate:
        """Return a version of the registry as the gate sees it, with every seed of its sweep."""
        from evergreen.promotion.candidate import Candidate

        run_id, model = self.registry.versions.run_of(number), self.registry.versions.open(number)
        own = tuple(model.boosters.values())
        seeds = (
            own
            if is_seedless(model.learner)
            else self._boosters(run_id, LIVE if model.refit else JUDGED)
        )
        held_out = partial(self.artifacts.read_held_out, run_id) if model.refit else None
        return Candidate(number, model, seeds, held_out, self.rows_of(model))

    def _boosters(self, run_id: str, role: str) -> tuple[bytes, ...]:
        return tuple(seed.booster for seed in self.seeds.of_run(run_id, role))

    def rows_of(self, model: Model) -> Callable[[pl.DataFrame], pl.DataFrame]:
        """Return what adapts rows of features files to the features and label of `model`."""
        from evergreen.features.featurize import features_of

        return lambda rows: features_of(
            self.project, self.dataset, rows, model.definition, self.params.task
        )


@contextmanager
def holding(project: Project, **about: Any) -> Iterator[None]:
    """Be known as the run that holds the project's lock; close those killed while they held it.

    Call it with the lock held.
    """
    tell_prefect(**about, tags=[tag_of(project)])
    close_killed_runs(tag_of(project), besides=flow_run.id)
    try:
        yield
    finally:
        tell_prefect(tags=[ended_tag_of(project)])


@contextmanager
def waiting(project: Project, **about: Any) -> Iterator[None]:
    """Be known as a run that waits, as long as it does; call it without the lock."""
    tell_prefect(**about, tags=[waiting_tag_of(project)])
    try:
        yield
    finally:
        tell_prefect(tags=[ended_tag_of(project)])


def value(result: T | State[T]) -> T:
    """Return what a task gave, also where it gave a state to be shown with it."""
    return result.result() if isinstance(result, State) else result  # type: ignore[return-value]


def skipped(why: str, result: Any = None) -> State[Any]:
    """Return a state that the UI shows as 'Skipped', with the reason."""
    get_run_logger().info("skipped, %s", why)
    return Completed(name="Skipped", message=why, data=result)


def not_a_mistake(_: Task[..., Any], __: TaskRun, state: State[Any]) -> bool:
    """Retry only what trying again can mend."""
    error = state.result(raise_on_failure=False)
    said = explain(error) if isinstance(error, BaseException) else None
    # Memory may be given back
    return said is None or isinstance(said, BusyError) or isinstance(error, MemoryError)


def name_run(name: str) -> None:
    """Call the flow's run by a name that says what it is about."""
    tell_prefect(name=name)


def _warn(text: str) -> None:
    get_run_logger().warning(text)


def tell_prefect(**about: Any) -> None:
    """Change what Prefect knows about the flow's run."""
    if flow_run.id:
        with get_client(sync_client=True) as client:
            client.update_flow_run(flow_run.id, **about)


def newest(job: Job) -> str:
    """Return the newest batch that has features, in words."""
    from evergreen.ingest.manifest import Manifest

    return f" up to {list(Manifest(job.project.features).in_order())[-1]}"


def note_shown(job: Job, run_id: str) -> None:
    """Remember which run the pages and pictures in reports/ are of."""
    (job.project.reports / SHOWN).write_text(run_id, encoding="utf-8")


def show_again(job: Job, run_id: str) -> None:
    """Restore the pages and pictures of an earlier run in reports/."""
    shown = job.project.reports / SHOWN
    if not shown.exists() or shown.read_text(encoding="utf-8") != run_id:
        job.artifacts.fetch_files(run_id, job.project.reports)
        note_shown(job, run_id)


def answer(job: Job, run_id: str) -> None:
    """Note that the training run is what monitoring has requested, where it has."""
    for entry in Journal(job.tracker).answer(run_id):
        get_run_logger().info("this answers the retraining requested after %s", entry.batch)


def keep_data(job: Job) -> None:
    """Push the data of this run to DVC's remote; where that fails, say so: the model is made."""
    if job.params.tracking.push == "never":
        return
    try:
        new = push(job.project, only_local=job.params.tracking.push == "local")
    except InputError as error:
        get_run_logger().warning("data are not pushed to DVC's remote: %s", error)
    else:
        if new:
            get_run_logger().info("%s pushed to DVC's remote", count(new, "file"))


@task(name="skip", task_run_name="{step}", cache_policy=NO_CACHE)
def skip(step: str, why: str) -> Any:
    """Stand for a step whose result is there already."""
    return skipped(why)
