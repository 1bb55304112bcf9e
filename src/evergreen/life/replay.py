"""Replay: history once more, batch by batch, under several ways to decide when to retrain: what each gained and cost.

The functions are those of the real loop, in a workspace of their own (`stores/replay`), without DVC and MLflow. A batch
first measures the champion of each policy, which has not learnt from it; then the policy decides, knowing no later
batch. The challenger of a batch is the same whatever the policy: it is trained once, and its seconds are counted for
every policy that asked for it. The real loop also brings an earlier champion back where that does better
(`retrain.rollback`); a replay does not.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from evergreen.data import batches
from evergreen.data.hold import SKETCH
from evergreen.data.manifest import Manifest
from evergreen.data.naming import natural
from evergreen.data.prepare import Prepared, prepare
from evergreen.data.sketch import Sketch
from evergreen.data.sources import open_source
from evergreen.data.split import LABEL, Split, read_part
from evergreen.data.validate import BadBatchError, validate
from evergreen.errors import InputError
from evergreen.life import monitor
from evergreen.life.compare import Resampling, resample_rows
from evergreen.life.courses import (
    HELD,
    NOTHING,
    POLICIES,
    PROMOTED,
    REFUSED,
    STOPPED,
    TRAINED,
    Course,
    Options,
    Policy,
    Replay,
    Step,
)
from evergreen.life.decide import PROMOTE, RETRAIN, Decision, decide
from evergreen.life.judge import Candidate, days_of, judge
from evergreen.life.leaks import check_leaks
from evergreen.life.retrain import Life, decide_retraining
from evergreen.model.baselines import predict_baselines
from evergreen.model.device import count_cores, pick_device
from evergreen.model.evaluate import check_holdout
from evergreen.model.learner import find_learner
from evergreen.model.metrics import Estimate, interval, pick_metric, weighted
from evergreen.model.package import Learnt, Model, read_package, write_package
from evergreen.model.sweep import choose, share_cores
from evergreen.model.tables import load_tables
from evergreen.params import Params
from evergreen.project import Project

T = TypeVar("T")
Array = np.ndarray[Any, np.dtype[Any]]
FEWEST = 4  # batches: three make the first champion, the next measures it


@dataclass(frozen=True)
class Champion:
    """A model that is live under some policy; `batch` judged it. `facts`: what was seen of each batch under it."""

    batch: str
    candidate: Candidate
    reference: monitor.Reference
    facts: list[dict[str, Any]] = field(default_factory=list, repr=False)


@dataclass(frozen=True)
class Challenger:
    """A model trained on what was known at some batch, and what the gate must know beside the champion."""

    candidate: Candidate
    rows: pl.DataFrame = field(repr=False)
    baselines: dict[str, Array] = field(repr=False)
    afresh: Array = field(repr=False)
    notes: tuple[str, ...]

    def face(self, champion: Champion | None, params: Params) -> Decision:
        """Return what the gate says."""
        beside = champion.candidate if champion else None
        judged = judge(self.rows, self.candidate, beside, self.baselines, self.afresh, params, self.notes)
        return decide(judged.evidence, params.gate)


@dataclass
class Track:
    """A policy on its way. `trained`: the newest time that each of its challengers was judged by, the first's too."""

    policy: Policy
    champion: Champion
    trained: list[datetime]
    steps: list[Step] = field(default_factory=list)
    draws: list[Array] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def waited(self) -> int:
        """How many batches came since the last retraining, this one included."""
        since = (at for at, one in enumerate(reversed(self.steps), 1) if one.action in TRAINED)
        return next(since, len(self.steps) + 1)


class Once:
    """What was worked out already, with the seconds it took: whoever asks again is told the same seconds."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[Any, float]] = {}

    def __call__(self, key: Any, make: Callable[[], T]) -> tuple[T, float]:
        """Return what `make` returns, and its seconds."""
        if key not in self._known:
            began = time.perf_counter()
            self._known[key] = make(), time.perf_counter() - began
        value: tuple[T, float] = self._known[key]
        return value


def replay(project: Project, params: Params, options: Options | None = None) -> Replay:
    """Replay the history of the source of `params`. Raises InputError for fewer than 4 batches."""
    with open_replay(project, params, options or Options()) as running:
        for name in running.names:
            running.advance(name)
        return running.result()


@contextmanager
def open_replay(project: Project, params: Params, options: Options, patience: float = 0) -> Iterator[Replayer]:
    """Hold the workspace, empty it, and return what replays batch by batch.

    Raises InputError for fewer than 4 batches, and where another replay is under way.
    """
    replayer = Replayer(project, params, options)
    with replayer.workspace.lock(patience):  # its own: the project's stays free for the real loop
        shutil.rmtree(replayer.workspace.root / "data", ignore_errors=True)
        yield replayer


def find_batches(params: Params, options: Options) -> tuple[str, ...]:
    """Return the batches of the source that a replay goes through. Raises InputError for fewer than 4."""
    names = (one.name for one in open_source(params.source).offers())
    found = tuple(name for name in names if options.until is None or natural(name) <= natural(options.until))
    if len(found) < FEWEST:
        upto = f" up to {options.until!r}" if options.until else ""
        raise InputError(
            f"a replay needs {FEWEST} batches, three that make the first champion and one that measures it; the source "
            f"holds {len(found)}{upto}"
        )
    return found


def challenge(workspace: Project, params: Params, device: str, version: str) -> Challenger:
    """Train a challenger on the split that is prepared, as the training flow does, and read it back from its package.

    Raises InputError where the flow would stop: at a leak, or at a holdout that tells nothing.
    """
    tables = load_tables(workspace)
    check_holdout(tables)
    notes = check_leaks(tables, params.leaks)
    name, slots = params.train.learner, share_cores(params.sweep, count_cores(), device)
    learner = find_learner(name)
    matrix = learner.build_matrix(tables, params.train)
    fit = partial(learner.train, matrix, params.train, device=device, threads=slots.threads)
    with ThreadPoolExecutor(slots.jobs) as pool:
        trained = {one.seed: one for one in pool.map(fit, params.sweep.seed_list())}
    chosen = choose({seed: one.validation_loss for seed, one in trained.items()}, params.sweep.model)
    split = Split.read(workspace.features / "split.json")
    boosters, learnt = {seed: trained[seed].booster for seed in chosen}, Learnt.of(tables, str(split.validation.end))
    assert tables.encoder
    with workspace.temporary() as folder:
        model = read_package(write_package(Path(folder, "package"), tables.encoder, boosters, learnt, name))
    rows = read_part(workspace, split.holdout)
    return Challenger(
        Candidate(version, model, tuple(one.booster for one in trained.values())),
        rows,
        predict_baselines(tables, params.sweep.first_seed),
        Model(tables.encoder, boosters, learnt, name).predict_rows(rows),
        notes,
    )


class Replayer:
    """A history that is being replayed: `advance` with each of `names`, in order, then `result`."""

    def __init__(self, project: Project, params: Params, options: Options) -> None:
        self.workspace = project.workspace
        self.options, self.params = options, _as_then(params, options)
        self.metric = pick_metric(self.params.gate.metric, params.task)
        self.names = find_batches(self.params, options)
        self.device = pick_device(self.params.train.device)
        self.tracks: list[Track] = []
        self.held: list[str] = []
        self.left_out: dict[str, str] = {}
        self.refused: tuple[str, ...] = ()
        self._prepared: Prepared | None = None

    def advance(self, name: str) -> tuple[Step, ...]:
        """Let the batch `name` arrive; return what it meant for each policy, nothing until there is a champion."""
        prepared = self._bring(name)
        if prepared is None:
            return ()
        self._prepared = prepared
        if self.tracks:
            if name in prepared.held:
                self.held.append(name)
            now = Once()
            return tuple(self._live(track, name, prepared, now) for track in self.tracks)
        if name not in prepared.held and len(prepared.split.batches()) >= FEWEST - 1:
            self._begin(name, prepared.split)
        return ()

    def result(self) -> Replay:
        """Return what came of every policy. Raises InputError where no batch met a champion."""
        if not self.tracks or not self.tracks[0].steps:
            why = " ".join(self.refused) or "; ".join(f"{name}: {one}" for name, one in self.left_out.items())
            raise InputError(f"no batch came after a first champion: {why or 'add batches'}")
        held_still = self._prepared.held if self._prepared else {}
        uncounted = tuple(name for name in self.held if name in held_still)
        courses = [self._course(track, uncounted) for track in self.tracks]
        names = tuple(one.batch for one in courses[0].steps)
        how = (self.metric, self.params.evaluate.confidence)
        found = Replay(*how, names, tuple(self.held), uncounted, dict(self.left_out), tuple(courses))
        return replace(found, courses=tuple(replace(one, gain=found.gain(one, courses[0])) for one in courses))

    # --- data ---------------------------------------------------------------------------------------------------------

    def _bring(self, name: str) -> Prepared | None:
        """Return what is known with the batch `name`; None where it is empty or bad, as if a person had left it out."""
        taken = batches.ingest(self.workspace, self.params, (name,))
        if not taken.new:
            self.left_out[name] = "empty"
            return None
        try:
            validate(self.workspace, self.params)
        except BadBatchError as error:
            batches.drop(self.workspace, [name])
            self.left_out[name] = error.report.faults[0]
            return None
        return prepare(self.workspace, self.params)

    def _features(self) -> Manifest:
        return Manifest(self.workspace.features)

    # --- a step -------------------------------------------------------------------------------------------------------

    def _begin(self, name: str, split: Split) -> None:
        """Make the first champion, the same for all policies; where the gate refuses it, the next batch tries again."""
        challenger = challenge(self.workspace, self.params, self.device, name)
        decision = challenger.face(None, self.params)
        self.refused = () if decision.action == PROMOTE else decision.reasons
        if decision.action == PROMOTE:
            champion, ends = self._crown(challenger, split), self._end(split)
            policies = ("never", *(one for one in POLICIES if one in self.options.policies and one != "never"))
            self.tracks = [Track(one, champion, [ends]) for one in policies]  # type: ignore[arg-type]

    def _live(self, track: Track, name: str, prepared: Prepared, now: Once) -> Step:
        """Measure the champion on the batch, ask the policy, do what it says."""
        champion, why = track.champion, tuple(prepared.held.get(name, {}).values())
        (facts, draws), seconds = now(("see", champion.batch), partial(self._see, champion, name, why))
        action, reason = (HELD, "; ".join(why)) if why else self._ask(track, name)
        if track.policy == "drift":
            track.seconds += seconds
        if action == RETRAIN:
            action, told = self._retrain(track, name, prepared.split, now)
            reason = f"{reason} → {told}"
        real = facts["real"].get(self.metric) or dict.fromkeys(("value", "low", "high"), float("nan"))
        track.steps.append(Step(name, facts["labelled"], **real, champion=champion.batch, action=action, reason=reason))
        track.draws.append(draws)
        return track.steps[-1]

    def _see(self, champion: Champion, name: str, why: Sequence[str]) -> tuple[dict[str, Any], Array]:
        """Return what monitoring sees of the batch under the champion, and draws of the metric on its days."""
        features, model, params = self._features(), champion.candidate.model, self.params
        rows, kept = pl.read_parquet(features.file(name)), Sketch.read(features.file(name, SKETCH))
        seen = monitor.see(name, rows, kept, None, champion.reference, params, champion.facts, why)
        champion.facts.append(seen.as_plain())
        form = weighted(self.metric, model.encoder.transform_label(rows[LABEL]), model.predict_rows(rows))
        seed = params.sweep.first_seed + self.names.index(name)  # models meet the same days, batches draw apart
        how = Resampling(params.evaluate.resamples, params.evaluate.confidence, seed)
        return champion.facts[-1], resample_rows([form], rows.height, days_of(rows), how)[0]

    def _ask(self, track: Track, name: str) -> tuple[str, str]:
        """Return what the policy wants after the batch `name`, and why."""
        if track.policy == "never":
            return NOTHING, "never retrains"
        if track.policy in ("every", "ungated"):
            return RETRAIN, f"{name} came"
        if track.policy == "schedule":
            due = track.waited >= self.options.every
            return RETRAIN if due else NOTHING, f"{track.waited} of {self.options.every} batches since the last time"
        held = self._prepared.held if self._prepared else {}  # by now: the batch after one may have released it
        facts = [one | {"unfit": [*held.get(one["batch"], {}).values()]} for one in track.champion.facts]
        windows = [monitor.window_of(one, self.metric) for one in facts if not one["answered"]]
        decision = decide_retraining(windows, self._life(track), self.params.retrain)
        return decision.action, " ".join(decision.reasons)

    def _life(self, track: Track) -> Life:
        return monitor.life_of(track.champion.reference, self.metric, track.trained, self._features())

    # --- a retraining -------------------------------------------------------------------------------------------------

    def _retrain(self, track: Track, name: str, split: Split, now: Once) -> tuple[str, str]:
        """Train a challenger and let the gate decide; a run that an error stops leaves the champion as it is."""
        challenger, seconds = now("challenge", partial(self._try, name))
        track.seconds += seconds
        track.trained.append(self._end(split))
        if isinstance(challenger, InputError):
            return STOPPED, str(challenger).splitlines()[0]
        told = "promoted unseen"
        if track.policy != "ungated":
            judged = partial(challenger.face, track.champion, self.params)
            decision, seconds = now(("face", track.champion.batch), judged)
            track.seconds += seconds
            told = " ".join(decision.reasons)
            if decision.action != PROMOTE:
                return REFUSED, told
        track.champion, seconds = now("crown", partial(self._crown, challenger, split))
        if track.policy == "drift":
            track.seconds += seconds
        return PROMOTED, told

    def _try(self, name: str) -> Challenger | InputError:
        try:
            return challenge(self.workspace, self.params, self.device, name)
        except InputError as error:
            return error

    def _crown(self, challenger: Challenger, split: Split) -> Champion:
        """Gather what the champion is known by, as monitoring does."""
        name, features, model = split.holdout.batches[-1], self._features(), challenger.candidate.model
        reference = monitor.gather(name, model, features, split.train.batches, split.holdout.batches, self.params)
        return Champion(name, challenger.candidate, reference)

    def _end(self, split: Split) -> datetime:
        return datetime.fromisoformat(self._features().entries[split.holdout.batches[-1]]["end"])

    # --- the end ------------------------------------------------------------------------------------------------------

    def _course(self, track: Track, uncounted: Sequence[str]) -> Course:
        known = [np.isfinite(one.value) and one.batch not in uncounted for one in track.steps]
        if not any(known):
            raise InputError(f"no batch after the first champion could measure {self.metric}: add batches")
        steps = [one for one, is_so in zip(track.steps, known, strict=True) if is_so]
        drawn = [one for one, is_so in zip(track.draws, known, strict=True) if is_so]
        weights = np.array([one.rows for one in steps], float)
        draws = np.average(drawn, axis=0, weights=weights)
        value = float(np.average([one.value for one in steps], weights=weights))
        actions = [one.action for one in track.steps]
        return Course(
            policy=self.options.title(track.policy),
            steps=tuple(track.steps),
            retrainings=sum(one in TRAINED for one in actions),
            promotions=actions.count(PROMOTED),
            seconds=track.seconds,
            mean=Estimate(value, *interval(draws, self.params.evaluate.confidence)),
            gain=Estimate(0.0, 0.0, 0.0),
            draws=draws,
        )


def _as_then(params: Params, options: Options) -> Params:
    """Return the parameters of a replay: no batch of its time is too old, and there is nobody to ask for approval."""
    chosen = params.override(sweep={"seeds": options.seeds}, gate={"approval": "auto"})
    source = chosen.source.model_copy(update={"until": options.until})
    rules = chosen.validation.model_copy(update={"max_age_days": None})
    return chosen.model_copy(update={"source": source, "validation": rules})
