"""Candidates as if they had learnt from other rows, for the tests of the gate's evidence."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

from evergreen.evaluation.held_out import HeldOut
from evergreen.features.keys import hash_rows
from evergreen.promotion.candidate import Candidate
from evergreen.scoring.package import Learnt

HOLDOUT = "2013-04-01 00:00:00"


def relearnt(candidate: Candidate, keys: Any, newest: str = HOLDOUT) -> Candidate:
    """The same candidate, as if it had learnt from other rows."""
    changed = {"learnt": Learnt(keys, newest), "predict_rows": candidate.model.predict_rows}
    return replace(candidate, model=SimpleNamespace(**vars(candidate.model) | changed))


def refit_of(judged: Candidate, rows: pl.DataFrame, world: Any) -> Candidate:
    """The candidate trained on the holdout as well, and what was said of it before."""
    said = judged.predict_unseen(rows)
    held_out = HeldOut.of(hash_rows(rows), said.prediction, said.seeds)
    learnt = Learnt(np.concatenate([judged.model.learnt.keys, hash_rows(rows)]), "2013-05-01")
    return replace(relearnt(judged, learnt.keys, learnt.newest), held_out=lambda: held_out)
