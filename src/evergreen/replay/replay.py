"""Replay: history once more, batch by batch, under several policies of retraining.

The functions are those of the real loop, in a workspace of their own (`stores/replay`), without DVC
and MLflow. A batch first measures the champion of each policy, which has not learnt from it; then
the policy decides without knowledge of later batches. After the last one nothing is trained, since
none could judge it. The challenger of a batch is the same whatever the policy: it is trained once,
and its seconds are counted for every policy that needed it. The real loop also restores the
previous champion where that does better (`retrain.rollback`); a replay does not.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from evergreen.decision import PROMOTE, RETRAIN
from evergreen.errors import InputError
from evergreen.evaluation.held_out import HeldOut
from evergreen.evaluation.intervals import Estimate
from evergreen.features.prepare import Prepared, prepare
from evergreen.features.split import LABEL, Split
from evergreen.ingest import batches
from evergreen.ingest.manifest import Manifest
from evergreen.monitoring import monitor
from evergreen.monitoring.retrain import decide_retraining
from evergreen.monitoring.staleness import find_staleness
from evergreen.monitoring.windows import ChampionState
from evergreen.params import Params
from evergreen.project import Project
from evergreen.promotion.candidate import Candidate, days_of
from evergreen.promotion.noise import Resampling, resample_rows
from evergreen.quality.held_batches import find_held
from evergreen.replay.challenge import Challenger, Champion, challenge, refit
from evergreen.replay.outcome import (
    HELD,
    HINDSIGHT,
    NOTHING,
    POLICIES,
    PROMOTED,
    REFUSED,
    STOPPED,
    UNJUDGED,
    Aged,
    Options,
    Replay,
    Step,
)
from evergreen.replay.scope import FEWEST, find_batches, params_of_then
from evergreen.replay.summary import best_in_hindsight, summarize
from evergreen.replay.track import Once, Track
from evergreen.statistics.sketch import SKETCH, Sketch
from evergreen.training.device import count_cores, pick_device
from evergreen.training.tables import load_before_holdout
from evergreen.validation.contract import Contract
from evergreen.validation.report import BadBatchError
from evergreen.validation.validate import validate


def replay(project: Project, params: Params, options: Options | None = None) -> Replay:
    """Replay the history of the source of `params`. Raises InputError for fewer than 4 batches."""
    with open_replay(project, params, options or Options()) as running:
        for name in running.names:
            running.advance(name)
        return running.result()


@contextmanager
def open_replay(
    project: Project, params: Params, options: Options, patience: float = 0
) -> Iterator[Replayer]:
    """Hold the workspace, empty it, and return what replays batch by batch.

    Raises InputError for fewer than 4 batches, and where another replay is under way.
    """
    replayer = Replayer(project, params, options)
    with replayer.workspace.lock(patience):  # its own: the project's stays free for the real loop
        shutil.rmtree(replayer.workspace.root / "data", ignore_errors=True)
        yield replayer


class Replayer:
    """A history that is being replayed: `advance` with each of `names`, in order, then `result`."""

    def __init__(self, project: Project, params: Params, options: Options) -> None:
        self.workspace, self.dataset = project.workspace, project.dataset
        self.options, self.params = options, params_of_then(params, options)
        self.metric = params.metrics.pick(self.params.gate.metric, params.task)
        self.names = find_batches(project.dataset, self.params, options)
        self.device = pick_device(self.params.train.device)
        self.tracks: list[Track] = []
        self.held: list[str] = []
        self.left_out: dict[str, str] = {}
        self.refused: tuple[str, ...] = ()
        self._prepared: Prepared | None = None
        self._made: dict[int, Champion] = {}  # every champion, under whichever policy
        self._ages: list[Aged] = []

    def advance(self, name: str) -> tuple[Step, ...]:
        """Let the batch `name` arrive; return a step of each policy, once there is a champion."""
        prepared = self._bring(name)
        if prepared is None:
            return ()
        self._prepared = prepared
        if self.tracks:
            if name in prepared.held:
                self.held.append(name)
            now = Once()
            self._ages += [self._meet(champion, name, now) for champion in self._made.values()]
            return tuple(self._live(track, name, prepared, now) for track in self.tracks)
        if name not in prepared.held and len(prepared.split.batches()) >= FEWEST - 1:
            self._begin(name, prepared.split)
        return ()

    def result(self) -> Replay:
        """Return what came of every policy. Raises InputError where no batch met a champion."""
        if not self.tracks or not self.tracks[0].steps:
            why = " ".join(self.refused) or "; ".join(
                f"{name}: {reason}" for name, reason in self.left_out.items()
            )
            raise InputError(f"there is no batch after the first champion: {why or 'add batches'}")
        held_still = self._prepared.held if self._prepared else {}
        uncounted = tuple(name for name in self.held if name in held_still)
        how = (self.metric, self.params.evaluate.confidence)
        outcomes = [
            summarize(
                self.options.title(track.policy),
                track.steps,
                track.draws,
                track.seconds,
                uncounted,
                *how,
            )
            for track in self.tracks
        ]
        if len(self._made) > 1:
            steps, draws = best_in_hindsight(
                self.tracks[0].steps, self._ages, self.params.metrics[self.metric], how[1]
            )
            outcomes.append(summarize(HINDSIGHT, steps, draws, 0.0, uncounted, *how))
        names = tuple(step.batch for step in outcomes[0].steps)
        ages = tuple(aged for aged in self._ages if aged.batch in names)
        found = Replay(
            *how,
            names,
            tuple(self.held),
            uncounted,
            dict(self.left_out),
            tuple(outcomes),
            ages,
            self.params.metrics,
        )
        gains = [found.gain(outcome, outcomes[0]) for outcome in outcomes]
        pairs = zip(outcomes, gains, strict=True)
        return replace(found, outcomes=tuple(replace(each, gain=gain) for each, gain in pairs))

    # --- data
    # ----------------------------------------------------------------------------------------------

    def _bring(self, name: str) -> Prepared | None:
        """Return what is prepared with the batch `name`; None where it is empty or bad."""
        taken = batches.ingest(self.workspace, self.dataset, self.params, (name,))
        if not taken.new:
            self.left_out[name] = "empty"
            return None
        try:
            validate(self.workspace, Contract.of(self.workspace, self.params))
        except BadBatchError as error:
            batches.drop(self.workspace, [name])
            self.left_out[name] = error.report.faults[0]
            return None
        return prepare(self.workspace, self.dataset, self.params, find_held)

    def _features(self) -> Manifest:
        return Manifest(self.workspace.features)

    # --- a step
    # ----------------------------------------------------------------------------------------------

    def _begin(self, name: str, split: Split) -> None:
        """Make the first champion, the same for all policies.

        Where the gate refuses it, the next batch tries again.
        """
        challenger = challenge(self.workspace, self.dataset, self.params, self.device, name)
        chosen, held_out, decision = challenger.face(None, self.params)
        self.refused = () if decision.action == PROMOTE else decision.reasons
        if decision.action == PROMOTE:
            champion, ends = self._crown(challenger, chosen, held_out, split), self._end(split)
            wanted = [policy for policy in POLICIES if policy in {"never", *self.options.policies}]
            self.tracks = [Track(policy, champion, [ends]) for policy in wanted]

    def _live(self, track: Track, name: str, prepared: Prepared, now: Once) -> Step:
        """Measure the champion on the batch, and do what the policy decides."""
        champion, why = track.champion, tuple(prepared.held.get(name, {}).values())
        facts, seconds = now(("observe", id(champion)), partial(self._observe, champion, name, why))
        if track.policy == "drift":
            track.seconds += seconds
        if track.policy == "drift" and not why:
            stale, seconds = now(
                ("fresh", id(champion)), partial(self._find_staleness, champion, name)
            )
            facts["staleness"] = asdict(stale) if stale else None
            track.seconds += seconds
        action, reason = (HELD, "; ".join(why)) if why else self._decide(track, name)
        if action == RETRAIN and name == self.names[-1]:
            action, reason = NOTHING, f"{reason} → {UNJUDGED}"
        elif action == RETRAIN:
            action, result = self._retrain(track, name, prepared.split, now)
            reason = f"{reason} → {result}"
        real = facts["real"].get(self.metric) or dict.fromkeys(
            ("value", "low", "high"), float("nan")
        )
        track.steps.append(
            Step(
                name,
                facts["labelled"],
                **real,
                champion=champion.batch,
                action=action,
                reason=reason,
            )
        )
        track.draws.append(self._meet(champion, name, now).draws)
        return track.steps[-1]

    def _observe(self, champion: Champion, name: str, why: Sequence[str]) -> dict[str, Any]:
        """Return what monitoring observes of the batch under the champion, as plain values."""
        features = self._features()
        rows, kept = pl.read_parquet(features.file(name)), Sketch.read(features.file(name, SKETCH))
        seen = monitor.observe(
            name, rows, kept, None, champion.reference, self.params, champion.facts, why
        )
        champion.facts.append(seen.as_plain())
        return champion.facts[-1]

    def _meet(self, champion: Champion, name: str, now: Once) -> Aged:
        """Return how the champion does on the batch, with draws by its days."""
        return now(("meet", id(champion)), partial(self._measure, champion, name))[0]

    def _measure(self, champion: Champion, name: str) -> Aged:
        rows, model, how = (
            pl.read_parquet(self._features().file(name)),
            champion.candidate.model,
            self.params.evaluate,
        )
        form = self.params.metrics[self.metric].weighted(
            model.encoder.transform_label(rows[LABEL]), model.predict_rows(rows)
        )
        # All models meet the same resampled days of a batch; each batch draws its own
        seed = self.params.sweep.first_seed + self.names.index(name)
        resampling = Resampling(how.resamples, how.confidence, seed)
        draws = resample_rows([form], rows.height, days_of(rows), resampling)[0]
        age = self.names.index(name) - self.names.index(champion.batch)
        return Aged(
            champion.batch, name, age, rows.height, float(form(np.ones(rows.height))), draws
        )

    def _find_staleness(self, champion: Champion, name: str) -> Estimate | None:
        rows, tables = (
            pl.read_parquet(self._features().file(name)),
            load_before_holdout(self.workspace),
        )
        live, how = champion.candidate, self.params
        return find_staleness(
            live, tables, rows, self.metric, how, device=self.device, threads=count_cores()
        )

    def _decide(self, track: Track, name: str) -> tuple[str, str]:
        """Return what the policy decides after the batch `name`, and why."""
        if track.policy == "never":
            return NOTHING, "never retrains"
        if track.policy in ("every", "ungated"):
            return RETRAIN, f"{name} came"
        if track.policy == "schedule":
            due = track.waited >= self.options.every
            return (
                RETRAIN if due else NOTHING,
                f"{track.waited} of {self.options.every} batches since the last time",
            )
        # As of now: a later batch may have released one that was held back
        held = self._prepared.held if self._prepared else {}
        facts = [
            fact | {"unfit": [*held.get(fact["batch"], {}).values()]}
            for fact in track.champion.facts
        ]
        windows = [monitor.window_of(fact, self.metric) for fact in facts if not fact["answered"]]
        decision = decide_retraining(
            windows, self._champion_state(track), self.params.retrain, metrics=self.params.metrics
        )
        return decision.action, " ".join(decision.reasons)

    def _champion_state(self, track: Track) -> ChampionState:
        return monitor.champion_state(
            track.champion.reference, self.metric, track.trained, self._features()
        )

    # --- a retraining
    # ----------------------------------------------------------------------------------------------

    def _retrain(self, track: Track, name: str, split: Split, now: Once) -> tuple[str, str]:
        """Train a challenger and let the gate decide; an error leaves the champion as it is."""
        challenger, seconds = now("challenge", partial(self._challenge, name))
        track.seconds += seconds
        track.trained.append(self._end(split))
        if isinstance(challenger, InputError):
            return STOPPED, str(challenger).splitlines()[0]
        judged = partial(challenger.face, track.champion, self.params)
        (chosen, held_out, decision), seconds = now(("face", id(track.champion)), judged)
        result = (
            " ".join(decision.reasons) if track.policy != "ungated" else "promoted without the gate"
        )
        track.seconds += seconds if track.policy != "ungated" else 0
        if track.policy != "ungated" and decision.action != PROMOTE:
            return REFUSED, result
        crown = partial(self._crown, challenger, chosen, held_out, split)
        track.champion, seconds = now(("crown", chosen.model.learner), crown)
        track.seconds += seconds
        return PROMOTED, result

    def _challenge(self, name: str) -> Challenger | InputError:
        try:
            return challenge(self.workspace, self.dataset, self.params, self.device, name)
        except InputError as error:
            return error

    def _crown(
        self, challenger: Challenger, judged: Candidate, held_out: HeldOut, split: Split
    ) -> Champion:
        """Refit on all rows what was judged, and gather its reference, as monitoring does."""
        name, features, holdout = split.holdout.batches[-1], self._features(), split.judging.batches
        live = judged
        if challenger.rounds:
            where = self.workspace, self.dataset, self.params, self.device
            live = refit(*where, challenger.rounds, judged, held_out)
        known = held_out if challenger.rounds else None
        learnt = live.model.learnt.batches
        reference = monitor.gather(name, live.model, known, features, learnt, holdout, self.params)
        champion = Champion(name, live, reference)
        return self._made.setdefault(id(champion), champion)

    def _end(self, split: Split) -> datetime:
        return datetime.fromisoformat(self._features().entries[split.holdout.batches[-1]]["end"])
