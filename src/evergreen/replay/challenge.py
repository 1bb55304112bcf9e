"""Challenge: train a challenger, and refit it, as the training flow does without DVC and MLflow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from evergreen.dataset import Dataset
from evergreen.decision import Decision
from evergreen.evaluation.baselines import fit_linear, predict_baselines
from evergreen.evaluation.evaluate import check_holdout, losses_of
from evergreen.evaluation.held_out import HeldOut
from evergreen.features.definition import Definition
from evergreen.features.split import Split, read_part
from evergreen.ingest.manifest import Manifest
from evergreen.monitoring import monitor
from evergreen.params import Params
from evergreen.project import Project
from evergreen.promotion.candidate import Candidate
from evergreen.promotion.gate import decide
from evergreen.promotion.simplest import LINEAR
from evergreen.promotion.trained_models import TrainedModel, face, learnt_all, learnt_before
from evergreen.quality.held_batches import read_held
from evergreen.quality.leaks import check_leaks
from evergreen.scoring.package import Learnt
from evergreen.training.cross_validation import fit_side_by_side
from evergreen.training.device import count_cores
from evergreen.training.fingerprints import way_of
from evergreen.training.labels import check_labels
from evergreen.training.learner import Trained, check_takes
from evergreen.training.rounds import Cut, find_cuts, find_rounds
from evergreen.training.seeds import choose, share_cores
from evergreen.training.tables import Tables, load_all, load_judged, load_tables

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Champion:
    """A model that is live under some policy; `batch` judged it.

    `facts`: what was observed of each batch under it, as plain values.
    """

    batch: str
    candidate: Candidate
    reference: monitor.Reference
    facts: list[dict[str, Any]] = field(default_factory=list, repr=False)


@dataclass(frozen=True)
class Challenger:
    """What was trained on all that was known at some batch, for the gate.

    `trees`, `linear`: the simpler one that nothing surely beats faces the champion. `rounds`: how
    often to boost on so many rows; None where the model that is judged is the one that goes live.
    """

    trees: Candidate
    linear: Candidate
    rows: pl.DataFrame = field(repr=False)
    baselines: dict[str, Array] = field(repr=False)
    notes: tuple[str, ...]
    rounds: Callable[[int], int] | None = field(repr=False)

    def face(
        self, champion: Champion | None, params: Params
    ) -> tuple[Candidate, HeldOut, Decision]:
        """Return which model faces the champion, its predictions, and the decision of the gate."""
        beside = champion.candidate if champion else None
        chosen, judged = face(
            self.rows, self.trees, self.linear, self.baselines, beside, params, self.notes
        )
        how = params.gate, params.extensions, params.metrics
        return chosen, judged.held_out, decide(judged.evidence, *how)


def challenge(
    workspace: Project, dataset: Dataset, params: Params, device: str, version: str
) -> Challenger:
    """Train a challenger on the split that is prepared, as the training flow does.

    Raises InputError where the flow would stop: at a leak, a holdout that cannot
    judge a model, or a label that the loss cannot take.
    """
    way = train_judged(workspace, dataset, params, device)
    tables, split = way.tables, Split.of(workspace)
    learnt = learnt_before(workspace, tables)
    trees, linear = (
        trees_of(tables, way.trained, dataset, params, learnt),
        linear_of(tables, dataset, params, learnt),
    )
    baselines = baselines_of(tables, linear, params)
    rows, stays_out = read_part(workspace, split.judging), split.holdout.shares and not split.judged
    return Challenger(
        trees.candidate(version),
        linear.candidate(version),
        rows,
        baselines,
        way.notes,
        None if stays_out else way.rounds,
    )


def baselines_of(tables: Tables, linear: TrainedModel, params: Params) -> dict[str, Array]:
    """Return what each baseline predicts for the rows that judge, the linear model among them."""
    seed = params.sweep.first_seed
    return predict_baselines(tables, seed, linear.boosters[seed], params.train.aimed_quantile())


@dataclass(frozen=True)
class Way:
    """The models that judge a way of training, by seed, and the rows of `tables` that judge them.

    `rounds`: how often to boost on so many rows; None where each seed was stopped by itself.
    """

    tables: Tables = field(repr=False)
    trained: list[Trained] = field(repr=False)
    rounds: Callable[[int], int] | None = field(repr=False)
    notes: tuple[str, ...] = ()


def train_judged(workspace: Project, dataset: Dataset, params: Params, device: str) -> Way:
    """Train what judges the way of training; raises InputError as `challenge` does."""
    check_takes(params)
    tables = load_tables(workspace)
    check_holdout(tables)
    check_labels(workspace, dataset, params, tables)
    notes, rounds = check_leaks(tables, params.leaks), None
    seeds = params.sweep.seed_list()
    if params.train.refit == "all":

        def fit(_: Cut, stopping: Tables, some: Sequence[int]) -> list[int]:
            return [model.rounds for model in fit_seeds(stopping, params, device, some)]

        cuts = find_cuts(workspace, read_held(Manifest(workspace.features)))
        rounds = find_rounds(cuts, seeds, params.train.rounds, fit).on
        tables = load_judged(workspace)
    many = rounds(tables.rows_learnt()) if rounds else None
    return Way(tables, fit_seeds(tables, params, device, seeds, many), rounds, notes)


def fit_seeds(
    tables: Tables, params: Params, device: str, seeds: Sequence[int], rounds: int | None = None
) -> list[Trained]:
    """Train some seeds side by side, fold by fold; `rounds`: how often to boost, if known."""
    how = params.train if rounds is None else params.train.model_copy(update={"rounds": rounds})
    slots = share_cores(params.sweep, count_cores(), device, len(seeds))
    return fit_side_by_side(
        tables, how, seeds, device=device, jobs=slots.jobs, threads=slots.threads
    )


def trees_of(
    tables: Tables,
    trained: Sequence[Trained],
    dataset: Dataset,
    params: Params,
    learnt: Learnt,
    chosen: Sequence[int] = (),
    *,
    refit: bool = False,
) -> TrainedModel:
    """Return the model of some seeds.

    `chosen`: those in the package, where they were chosen before a refit.
    """
    boosters, learner = {seed.seed: seed.booster for seed in trained}, params.train.learner
    chosen = chosen or choose(
        losses_of(tables, boosters, learner, metrics=params.metrics), params.sweep.model
    )
    rounds = int(np.median([seed.rounds for seed in trained]))
    how = (
        learner,
        Definition.of(dataset, params.task),
        way_of(dataset, params, learner),
        rounds,
        refit,
    )
    return TrainedModel(tables, boosters, tuple(chosen), learnt, *how)


def linear_of(
    tables: Tables, dataset: Dataset, params: Params, learnt: Learnt, *, refit: bool = False
) -> TrainedModel:
    """Return the linear model of the training rows."""
    seed = params.sweep.first_seed
    how = (LINEAR, Definition.of(dataset, params.task), way_of(dataset, params, LINEAR))
    return TrainedModel(
        tables, {seed: fit_linear(tables, seed)}, (seed,), learnt, *how, refit=refit
    )


def refit(
    workspace: Project,
    dataset: Dataset,
    params: Params,
    device: str,
    rounds: Callable[[int], int],
    judged: Candidate,
    held_out: HeldOut,
) -> Candidate:
    """Return the model that was judged, trained in the same way on all rows.

    `rounds`: how often to boost on so many rows; `held_out`: what the judged one predicted.
    """
    tables = load_all(workspace)
    learnt = learnt_all(workspace, tables)
    if judged.model.learner == LINEAR:
        live = linear_of(tables, dataset, params, learnt, refit=True)
    else:
        seeds, many = params.sweep.seed_list(), rounds(len(tables.train))
        trained = fit_seeds(tables, params, device, seeds, many)
        live = trees_of(tables, trained, dataset, params, learnt, judged.model.seeds, refit=True)
    return live.candidate(judged.version, held_out)
