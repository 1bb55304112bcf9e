"""Folds: a way of training is judged by cross-validation where rows are few.

Without a time a row is in a fold for ever, by the hash of its key, and a fold's model has learnt
from the others. In time, the newer half of the rows is cut into stretches, and the model of each
has learnt from all rows before it.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from statistics import median_low
from typing import Any

import numpy as np

from evergreen.features.keys import Hashes
from evergreen.params import Train
from evergreen.training.learner import Trained, find_learner
from evergreen.training.tables import Fold, Tables

Array = np.ndarray[Any, np.dtype[Any]]
FOLDS = 5
STOPPING = 0.2  # of the rows before a stretch, the newest, stop its model early


def fold_by_key(keys: Hashes, *, stopping: bool) -> tuple[Fold, ...]:
    """Return the folds of rows, by the hashes of their keys, shape (rows,).

    With `stopping` the rows of the next fold stop a model early.
    """
    own = (keys >> np.uint64(32)).astype(np.float64) / 2**32 * FOLDS // 1
    found = []
    for fold in range(FOLDS):
        judged, stop = own == fold, (own == (fold + 1) % FOLDS) & stopping
        found.append(Fold(*map(np.flatnonzero, (~judged & ~stop, stop, judged))))
    return tuple(fold for fold in found if len(fold.holdout) and len(fold.train))


def fold_by_time(train: Array, judged: Array, *, stopping: bool) -> tuple[Fold, ...]:
    """Return the folds of rows by time.

    `train`, `judged`: times of all rows and of those that judge, each of shape (rows,). With
    `stopping` the newest rows before a stretch stop its model early.
    """
    moments = np.sort(judged)
    edges = np.unique([moments[len(moments) * fold // FOLDS] for fold in range(FOLDS)])
    found = []
    for start, end in zip(edges, [*edges[1:], None], strict=True):
        before = train < start
        stop = (
            before
            & (train >= np.sort(train[before])[int(before.sum() * (1 - STOPPING))])
            & stopping
        )
        of_fold = (judged >= start) & (judged < end if end is not None else True)
        found.append(Fold(*map(np.flatnonzero, (before & ~stop, stop, of_fold))))
    return tuple(found)


def fit_side_by_side(
    tables: Tables, params: Train, seeds: Sequence[int], *, device: str, jobs: int, threads: int
) -> list[Trained]:
    """Train some seeds, `jobs` at a time, on one matrix for each part of `tables`."""
    learner = find_learner(params.learner)
    binned = [learner.build_matrix(part, params) for part in tables.parts()]

    def fit(seed: int) -> Trained:
        return join(
            [
                learner.train(matrix, params, seed, device=device, threads=threads)
                for matrix in binned
            ]
        )

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(fit, seeds))


def join(trained: Sequence[Trained]) -> Trained:
    """Return the models of all folds as that of one seed; where there is no fold, the only one.

    The rounds, and the loss by round, are those of the fold with the median number of rounds.
    """
    if len(trained) == 1:
        return trained[0]
    rounds = median_low(fold.rounds for fold in trained)
    middle = next(fold for fold in trained if fold.rounds == rounds)
    content = join_bytes([fold.booster for fold in trained])
    return replace(
        middle, booster=content, folds=len(trained), seconds=sum(fold.seconds for fold in trained)
    )


def join_bytes(parts: Sequence[bytes]) -> bytes:
    """Return the models of all folds in one; where there is no fold, the only one as it is."""
    return (
        parts[0]
        if len(parts) == 1
        else json.dumps([b64encode(part).decode() for part in parts]).encode()
    )


def part_bytes(tables: Tables, content: bytes) -> list[bytes]:
    """Return the model of each part of `tables`."""
    return [b64decode(part) for part in json.loads(content)] if tables.folds else [content]


def predict_holdout(tables: Tables, content: bytes, learner: str) -> Array:
    """Return what the models of a seed predict for the holdout, each for its own part.

    Shape (rows,), or (rows, classes) for multiclass.
    """
    load = find_learner(learner).load
    pairs = zip(tables.parts(), part_bytes(tables, content), strict=True)
    return tables.gather([load(model).predict(part.holdout.x) for part, model in pairs])
