"""The tasks that train: sweeps over seeds, to find the rounds, to be judged, to go live."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Semaphore
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed
from prefect.logging import get_run_logger
from prefect.utilities.annotations import quote

from evergreen.errors import InputError, explain
from evergreen.orchestration.tasks.job import NAMES, Job, not_a_mistake, skipped
from evergreen.orchestration.tasks.shown import create_table_artifact
from evergreen.params import Params
from evergreen.stores.dvc import data_versions
from evergreen.training.cluster import Cluster, open_cluster
from evergreen.training.cross_validation import join
from evergreen.training.fingerprints import seed_fingerprint
from evergreen.training.learner import Trained, find_learner
from evergreen.training.memory import hold_less
from evergreen.training.rounds import Cut, Rounds, find_cuts
from evergreen.training.rounds import find_rounds as search_cuts
from evergreen.training.seeds import JUDGED, LIVE, ROUNDS, Slots, Spread

if TYPE_CHECKING:
    from evergreen.orchestration.tasks.run import Training
    from evergreen.training.tables import Tables

TITLES = {ROUNDS: "find rounds", JUDGED: "train", LIVE: "refit"}


@dataclass(frozen=True)
class Seed:
    """What became of one seed; `metrics`: on the holdout, empty where that is not looked at."""

    trained: Trained = field(repr=False)
    metrics: Mapping[str, float]
    reused: bool

    def tell(self) -> str:
        """Return it in a few words."""
        how = "from an earlier run" if self.reused else f"{self.trained.seconds:.1f} s"
        told = "".join(f"{name} {value:.4f} after " for name, value in [*self.metrics.items()][:1])
        return f"{told}{self.trained.rounds} rounds, {how}"


@dataclass(frozen=True)
class Sweep:
    """What is to be trained: a `role`, on which rows, how; `digest` stands for the rows.

    `seeds`: in order. `stopped_by`: which rows stop them early, where they find the rounds.
    """

    role: str
    tables: Tables = field(repr=False)
    params: Params = field(repr=False)
    digest: str
    device: str
    slots: Slots
    seeds: Sequence[int]
    stopped_by: str = ""

    @classmethod
    def of(
        cls,
        job: Job,
        role: str,
        tables: Tables,
        device: str,
        slots: Slots,
        rounds: int | None = None,
    ) -> Sweep:
        """Return the sweep of a role; `rounds`: how often to boost, where that is known."""
        params = job.params if rounds is None else job.params.override(train={"rounds": rounds})
        seeds = params.sweep.seed_list()
        return cls(role, tables, params, tables.digest(), device, slots, seeds)

    @property
    def title(self) -> str:
        """What is done, in words."""
        return TITLES[self.role] + (f" by {self.stopped_by}" if self.stopped_by else "")

    def fingerprint(self, seed: int) -> str:
        """Return what stands for the model of a seed."""
        return seed_fingerprint(self.digest, self.params, self.device, seed)


@dataclass(frozen=True)
class Search:
    """How many rounds early stopping found, and the seeds that it stopped."""

    seeds: tuple[Seed, ...]
    rounds: Rounds


@task(name="matrix", task_run_name="matrix", timeout_seconds=3600, cache_policy=NO_CACHE)
def matrix(job: Job, sweep: Sweep, run_id: str) -> Any:
    """Bin the rows of each part once for all seeds; load seeds that an earlier run trained."""
    parts = {role: len(getattr(sweep.tables, role)) for role in NAMES}
    if sweep.role == JUDGED:
        job.runs.log_data(run_id, data_versions(job.project), parts)
    recalled = {
        seed: found
        for seed in sweep.seeds
        if (found := job.seeds.load(run_id, sweep.fingerprint(seed), sweep.role))
    }
    learner, parts_of, binned = (
        find_learner(sweep.params.train.learner),
        sweep.tables.parts(),
        None,
    )
    if sweep.params.compute.cluster == "none" and len(recalled) < len(sweep.seeds):
        binned = [learner.build_matrix(part, sweep.params.train) for part in parts_of]
    folds = f"{len(parts_of)} folds of " if sweep.tables.folds else ""
    rows = folds + ", ".join(f"{count:,} {NAMES[role]}" for role, count in parts.items() if count)
    get_run_logger().info("%s: %s rows, %d features", sweep.title, rows, len(sweep.tables.features))
    return binned, recalled


@task(name="train", task_run_name="{title} seed {seed}", retries=1,
      retry_condition_fn=not_a_mistake, cache_policy=NO_CACHE)  # fmt: skip
def train(
    job: Job,
    sweep: Sweep,
    run_id: str,
    binned: Any,
    seed: int,
    known: Trained | None,
    limit: Semaphore,
    title: str,
) -> Any:
    """Train one seed and record it at once, so that a killed sweep keeps it."""
    from evergreen.evaluation.evaluate import measure_seed

    def measure(model: Trained) -> dict[str, float]:
        judged = sweep.role == JUDGED
        learner, metrics = sweep.params.train.learner, sweep.params.metrics
        return measure_seed(sweep.tables, model.booster, learner, metrics=metrics) if judged else {}

    if known is not None:
        return skipped("trained by an earlier run", Seed(known, measure(known), reused=True))
    with limit:
        params, how = sweep.params.train, (sweep.device, sweep.slots.threads)
        if isinstance(binned, Cluster):
            trained = binned.train(params, seed, *how)
        else:
            fit = partial(find_learner(params.learner).train, device=how[0], threads=how[1])
            trained = join([fit(part, params, seed) for part in binned])
        metrics = measure(trained)
        if sweep.slots.on_disk:
            hold_less()  # before the next one's turn
    job.seeds.record(run_id, trained, metrics, sweep.fingerprint(seed), sweep.role)
    return Seed(trained, metrics, reused=False)


def run_sweep(job: Job, sweep: Sweep, run_id: str) -> tuple[list[Seed], list[int]]:
    """Train the seeds side by side; return those with a model, and the seeds that failed.

    A seed that fails is reported and the rest goes on; what would fail every seed (a full disk,
    say) stops the sweep.
    """
    with ExitStack() as opened:
        binned, known = matrix(job, quote(sweep), run_id)
        if sweep.params.compute.cluster == "dask" and len(known) < len(sweep.seeds):
            folder = Path(opened.enter_context(job.project.temporary()))
            rows = sweep.params.compute, sweep.slots, sweep.tables, folder
            binned = opened.enter_context(open_cluster(*rows))
        return _train_all(job, sweep, run_id, binned, known)


def _train_all(
    job: Job, sweep: Sweep, run_id: str, binned: Any, known: Mapping[int, Trained]
) -> tuple[list[Seed], list[int]]:
    seeds, title, limit = sweep.seeds, sweep.title, Semaphore(sweep.slots.jobs)
    futures = {
        train.submit(
            job, quote(sweep), run_id, quote(binned), seed, known.get(seed), limit, title
        ): seed
        for seed in seeds
    }
    progress = create_progress_artifact(
        0.0, key=f"{sweep.role}-progress", description=f"{title}: {len(seeds)} seeds"
    )
    trained, failed = {}, {}
    for number, future in enumerate(as_completed(list(futures)), 1):
        result, seed = future.result(raise_on_failure=False), futures[future]
        if isinstance(result, BaseException):
            failed[seed] = result
            job.seeds.record_failure(run_id, seed, str(result), sweep.role)
        else:
            trained[seed] = result
        update_progress_artifact(progress, 100 * number / len(seeds))
        told = "failed" if seed in failed else trained[seed].tell()
        get_run_logger().info("%s, seed %d: %s (%d of %d)", title, seed, told, number, len(seeds))
    for error in failed.values():
        if explain(error) or not trained:
            raise error
    return [trained[seed] for seed in sorted(trained)], sorted(failed)


def find_rounds(run: Training) -> Search | None:
    """Find how often to boost by early stopping of some seeds, each on another cut of the rows.

    None where every seed is stopped early by itself. Raises InputError where one cannot be trained.
    """
    job, plan, done = run.job, run.plan, list[Seed]()
    if job.params.train.refit == "none":
        return None
    elsewhere = bool(job.params.compute.address)

    def fit(cut: Cut, tables: Tables, seeds: Sequence[int]) -> list[int]:
        slots = plan.slots if elsewhere else plan.slots.among(len(seeds))
        sweep = Sweep.of(job, ROUNDS, tables, plan.device, slots)
        sweep = replace(sweep, seeds=seeds, stopped_by=cut.stopped_by)
        trained, failed = run_sweep(job, sweep, run.run_id)
        if failed:  # those left would find other rounds, and the same data another model
            raise InputError(
                f"seed(s) {failed}, which find the number of rounds, failed: run again to retry "
                "them"
            )
        done.extend(trained)
        return [seed.trained.rounds for seed in trained]

    seeds, at_most = job.params.sweep.seed_list(), job.params.train.rounds
    found = search_cuts(_cuts(run), seeds, at_most, fit)
    get_run_logger().info("rounds: %s", found.tell())
    job.runs.tag(run.run_id, {"rounds.found": found.tell()})
    return Search(tuple(done), found)


def _cuts(run: Training) -> list[Cut]:
    """Return the cuts. The newest is there already, and given up before another is read."""
    from evergreen.features.split import Split
    from evergreen.ingest.manifest import Manifest
    from evergreen.quality.held_batches import read_held

    project, on_disk = run.job.project, run.plan.slots.on_disk
    held = read_held(Manifest(project.features))
    newest, *earlier = find_cuts(project, held, on_disk=on_disk)
    if Split.of(project).judged:
        return [newest]

    def after(load: Callable[[], Tables]) -> Tables:
        run.tables = run.tables.judging()
        run.give_back()
        return load()

    older = (replace(cut, load=partial(after, cut.load)) for cut in earlier)
    return [replace(newest, load=lambda: run.tables), *older]


def curves_of(search: Search | None, seeds: Sequence[Seed]) -> list[Trained]:
    """Return the trainings whose loss was looked at after each round."""
    return [seed.trained for seed in (search.seeds if search else seeds)]


def show_sweep(
    seeds: Sequence[Seed], spread: Mapping[str, Spread], chosen: Mapping[int, bytes]
) -> None:
    """Show a line per seed in the UI, and what they say together."""
    table: list[dict[str, Any]] = [
        {
            "seed": seed.trained.seed,
            "rounds": seed.trained.rounds,
            **{name: round(number, 5) for name, number in seed.metrics.items()},
            "seconds": round(seed.trained.seconds, 1),
            "in the model": "yes" if seed.trained.seed in chosen else "",
        }
        for seed in seeds
    ]
    together = "; ".join(
        f"{name} {over.mean:.4f} ± {over.deviation:.4f}" for name, over in spread.items()
    )
    create_table_artifact(
        table, key="sweep", description=f"Over seeds (mean ± standard deviation): {together}"
    )
