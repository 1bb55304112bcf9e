"""Trained models: the trees and the linear model of a run, and which faces the champion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evergreen.evaluation.held_out import HeldOut
from evergreen.features.definition import Definition
from evergreen.features.split import LABEL, Split
from evergreen.ingest.manifest import Manifest
from evergreen.params import Params
from evergreen.project import Project
from evergreen.promotion.candidate import Candidate, days_of, resampling_of
from evergreen.promotion.compare import Rows
from evergreen.promotion.judge import Judged, judge
from evergreen.promotion.simplest import CONSTANT, pick
from evergreen.scoring.package import Learnt, Model, write_package
from evergreen.training.cross_validation import part_bytes, predict_holdout
from evergreen.training.tables import Tables

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class TrainedModel:
    """A model that is in no registry yet.

    `boosters`: of each seed; `chosen`: the seeds that are packaged; `learnt`: from which rows. In a
    cross-validation a booster joins those of all folds; the model of the last fold stands for them.
    `way`: see `fingerprints.way_of`. `refit`: it has learnt from what judged its way of training.
    """

    tables: Tables = field(repr=False)
    boosters: Mapping[int, bytes] = field(repr=False)
    chosen: tuple[int, ...]
    learnt: Learnt = field(repr=False)
    learner: str
    definition: Definition | None = field(repr=False)
    way: str
    rounds: int = 1
    refit: bool = False

    def model(self) -> Model:
        """Return what is packaged, ready to predict."""
        assert self.tables.encoder
        packaged = {seed: part_bytes(self.tables, self.boosters[seed])[-1] for seed in self.chosen}
        how = (self.tables.encoder, packaged, self.learnt, self.learner, self.definition)
        return Model(*how, way=self.way, refit=self.refit, rounds=self.rounds)

    def candidate(self, called: str, held_out: HeldOut | None = None) -> Candidate:
        """Return it as the gate compares it.

        `held_out`: of a refit, the predictions for the rows that judged it.
        """
        known = self._predict_folds() if self.tables.folds else held_out
        return Candidate(
            called, self.model(), tuple(self.boosters.values()), (lambda: known) if known else None
        )

    @contextmanager
    def package(self, project: Project) -> Iterator[Path]:
        """Write the package into a folder that is there for a while."""
        with project.temporary() as folder:
            yield write_package(Path(folder, "package"), self.model())

    def _predict_folds(self) -> HeldOut:
        """Return what the models of the folds predict for the rows that judge."""
        assert self.tables.holdout.keys is not None
        predicted = {
            seed: predict_holdout(self.tables, booster, self.learner)
            for seed, booster in self.boosters.items()
        }
        packaged = np.mean([predicted[seed] for seed in sorted(self.chosen)], axis=0)
        return HeldOut.of(self.tables.holdout.keys, packaged, tuple(predicted.values()))


def learnt_before(project: Project, tables: Tables) -> Learnt:
    """Return what a model that is judged has learnt from.

    In a cross-validation that is what the models of all folds have learnt from together.
    """
    split = Split.of(project)
    if split.judged:
        return learnt_all(project, tables)
    return Learnt.of(tables, str(split.validation.end), split.before_holdout().batches)


def learnt_all(project: Project, tables: Tables) -> Learnt:
    """Return what a model that goes live has learnt from."""
    batches = Split.of(project).all_rows().batches
    entries = Manifest(project.features).entries
    return Learnt.of(tables, max(entries[name]["end"] for name in batches), batches)


def face(
    rows: pl.DataFrame, trees: Candidate, linear: Candidate, baselines: Mapping[str, Array],
    champion: Candidate | None, params: Params, notes: tuple[str, ...],
) -> tuple[Candidate, Judged]:  # fmt: skip
    """Return which of the two faces the champion, and what the gate must know of it.

    `rows`: those that judge, columns of a features file; `baselines`: what a constant and the
    linear model predict for them.
    """
    encoder = trees.model.encoder
    known = Rows(
        encoder.task,
        encoder.transform_label(rows[LABEL]),
        blocks=days_of(rows),
        metrics=params.metrics,
    )
    metric, live = (
        params.metrics.pick(params.gate.metric, encoder.task),
        champion.model.learner if champion else None,
    )
    picked = pick(known, trees.predict_unseen(rows), baselines, metric, resampling_of(params), live)
    chosen = linear if picked.linear else trees
    rivals = {CONSTANT: baselines[CONSTANT]} if picked.linear else baselines
    refresh = champion is not None and champion.model.way == chosen.model.way
    return chosen, judge(
        rows, chosen, champion, rivals, params, notes, refresh=refresh, simplest=picked.says
    )
