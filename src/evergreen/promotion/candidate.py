"""Candidate: a version of the registry as the gate compares it: what it predicts for which rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from evergreen.errors import InputError
from evergreen.evaluation.held_out import HeldOut
from evergreen.features.definition import LostError
from evergreen.features.keys import hash_rows
from evergreen.features.split import TIME
from evergreen.params import Params
from evergreen.promotion.compare import Side, check_unseen
from evergreen.promotion.noise import Resampling, blocks_of
from evergreen.scoring.package import Model
from evergreen.training.learner import find_learner

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Candidate:
    """A version of the registry: its packaged model, and the boosters of every seed of its sweep.

    `held_out`: brings its predictions for the rows that judged it from before it was refit on them;
    None where it was not refit. `own`: gives rows of features files the features that it was made
    for, where dataset.py has others by now.
    """

    version: str
    model: Model = field(repr=False)
    seeds: tuple[bytes, ...] = field(repr=False)
    held_out: Callable[[], HeldOut] | None = field(repr=False, default=None)
    own: Callable[[pl.DataFrame], pl.DataFrame] = field(repr=False, default=lambda rows: rows)

    def with_own_features(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return `rows` with the features that it was made for.

        Raises LostError where some of the rows cannot have them any more.
        """
        found = self.own(rows)
        if found.height != rows.height:
            raise LostError(
                f"{rows.height - found.height:,} of {rows.height:,} rows lack what version "
                f"{self.version} was made for"
            )
        return found

    def predict_unseen(self, rows: pl.DataFrame) -> Side:
        """Return predictions for `rows` by a model that had not learnt from them.

        For rows that it was refit on these are the predictions from before the refit. Raises
        InputError where there are none, where the rows lack a feature that it needs, or a
        prediction is not a number.
        """
        keys = hash_rows(rows)
        if not self.held_out:
            check_unseen(keys, **{f"model ({self.version})": self.model.learnt.keys})
            return self.predict(rows)
        known = np.isin(keys, self.model.learnt.keys)
        if not known.any():
            return self.predict(rows)
        held_out = self.held_out()
        at = held_out.find(keys[known])
        if known.all():
            seeds = tuple(seed[at] for seed in held_out.seeds)
            return Side(held_out.packaged[at], seeds, averaged=len(self.model.seeds) > 1)
        side = self.predict(rows)
        pairs = (
            (side.prediction, held_out.packaged),
            *zip(side.seeds, held_out.seeds, strict=True),
        )
        for predicted, before in pairs:
            predicted[known] = before[at]
        return side

    def can_judge(self, rows: pl.DataFrame) -> Array:
        """Return which `rows` can judge it, as a mask of shape (rows,).

        Those are the rows that it has not learnt from, and those that judged it before its refit.
        """
        keys = hash_rows(rows)
        unseen = ~np.isin(keys, self.model.learnt.keys)
        return unseen | np.isin(keys, self.held_out().keys) if self.held_out else unseen

    def predict(self, rows: pl.DataFrame) -> Side:
        """Return what it predicts for `rows`, whether it has learnt from them or not.

        Raises InputError where they lack a feature that it needs, or a prediction is not a number.
        """
        x = self.model.encoder.transform(rows)
        load = find_learner(self.model.learner).load
        seeds = tuple(load(seed).predict(x) for seed in self.seeds)
        side = Side(self.model.predict_rows(rows), seeds, averaged=len(self.model.seeds) > 1)
        for prediction in (side.prediction, *side.seeds):
            if unknown := int(np.isnan(prediction).reshape(len(prediction), -1).any(axis=1).sum()):
                raise InputError(
                    f"version {self.version} predicts no number for {unknown:,} of "
                    f"{len(prediction):,} rows"
                )
        return side


def resampling_of(params: Params) -> Resampling:
    """Return how intervals are found."""
    return Resampling(
        params.evaluate.resamples, params.evaluate.confidence, params.sweep.first_seed
    )


def days_of(rows: pl.DataFrame) -> Array | None:
    """Return the day of each row, shape (rows,); None where there are too few days.

    Weather, strikes and sales make the rows of one day alike, so that they count as one block.
    """
    return blocks_of(rows[TIME].dt.date().to_physical().to_numpy())
