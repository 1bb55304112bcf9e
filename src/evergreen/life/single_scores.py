"""Single scores: how well each feature tells the label by itself, on rows it was not fitted on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from evergreen.model.tables import Tables

Array = np.ndarray[Any, np.dtype[Any]]
Judge = Callable[[Array, Array], "Score"]  # of the cells of the training rows and of the validation rows

MEASURES = {"binary": "ROC AUC", "multiclass": "mean one-vs-rest AUC", "regression": "R2"}
BINS = 64  # of a number
FEWEST = 10  # rows of a class, or labels of a regression, below which a score is luck


@dataclass(frozen=True)
class Score:
    """How well a feature tells the label by itself; NaN where there are too few rows to say.

    `validation`: fitted on all training rows, scored on the validation rows. `training`: fitted on every other training
    row, scored on those between. The second finds what only the past knows: columns that are filled in afterwards, or
    numbers given in order of the label.
    """

    validation: float
    training: float

    @property
    def highest(self) -> float:
        """The higher of the two; NaN where neither is known."""
        return float(np.fmax(self.validation, self.training))


def score_features(tables: Tables) -> dict[str, Score]:
    """Return what each feature tells of the label by itself: AUC for classes, R2 for numbers.

    A feature's value is replaced by the mean label of the training rows in the same cell: a level of a category, or a
    bin of a number (up to 64 of equal size; a value that would fill a bin gets one of its own; missing is one too). The
    order of values plays no part, so what predicts inversely, or by being missing, scores as high.

    Binary: ROC AUC. Multiclass: mean of each class's AUC against the rest, over classes with enough rows; so a feature
    that gives away one class of many and nothing else stays below a bound. Regression: R2 of the label or of its rank
    among training labels, whichever is higher; bins are coarse where a label has a long tail, ranks are not. Source of
    the encoding: Micci-Barreca, A preprocessing scheme for high-cardinality categorical attributes, 2001.
    """
    judge = _judge_numbers(tables) if tables.task == "regression" else _judge_classes(tables)
    return {name: judge(*_cells(tables, at)) for at, name in enumerate(tables.features)}


def _cells(tables: Tables, at: int) -> tuple[Array, Array]:
    """Return the cell of each training row and of each validation row in the feature at `at`."""
    train, validation = (np.ascontiguousarray(one.x[:, at]) for one in (tables.train, tables.validation))
    if tables.features[at] in tables.categories:
        return train.astype(np.intp), validation.astype(np.intp)
    cuts = _cuts(train)
    return _bin(train, cuts), _bin(validation, cuts)


def _bin(values: Array, cuts: Array) -> Array:
    return np.where(np.isnan(values), len(cuts) + 1, np.searchsorted(cuts, values, side="right"))


def _cuts(values: Array) -> Array:
    """Return where to cut a number: at its quantiles, and on both sides of a value that fills a bin by itself."""
    known = np.sort(values[~np.isnan(values)])
    quantiles = known[np.arange(1, BINS) * len(known) // BINS] if len(known) else known
    filling = quantiles[1:][quantiles[1:] == quantiles[:-1]]
    with np.errstate(over="ignore"):  # the largest number there is has infinity after it
        after = np.nextafter(filling, np.inf, dtype=known.dtype)
    return np.unique(np.concatenate([quantiles, after]))


def _judge_classes(tables: Tables) -> Judge:
    classes = len(tables.classes)
    y, later = (one.y.astype(np.intp) for one in (tables.train, tables.validation))

    def judge(train: Array, validation: Array) -> Score:
        size = _size(train, validation)
        even, odd, newer = (  # rows by cell and class; all that an AUC of cells needs
            np.bincount(cell * classes + label, minlength=size * classes).reshape(size, classes)
            for cell, label in ((train[::2], y[::2]), (train[1::2], y[1::2]), (validation, later))
        )
        return Score(_auc(even + odd, newer), _auc(even, odd))

    return judge


def _auc(fitted: Array, met: Array) -> float:
    """Return the mean AUC over classes, from how many rows of each class are in each cell, shape (cells, classes)."""
    from sklearn.metrics import roc_auc_score

    means = _means(fitted.sum(axis=1, keepdims=True), fitted)
    truth, found = np.repeat([1, 0], len(met)), []
    for code in (1,) if met.shape[1] == 2 else range(met.shape[1]):
        inside, outside = met[:, code], met.sum(axis=1) - met[:, code]
        if min(inside.sum(), outside.sum()) >= FEWEST:
            score = np.tile(means[:, code], 2)
            found.append(roc_auc_score(truth, score, sample_weight=np.concatenate([inside, outside])))
    return float(np.mean(found)) if found else float("nan")


def _judge_numbers(tables: Tables) -> Judge:
    y, later = (one.y.astype(np.float64) for one in (tables.train, tables.validation))
    ordered = np.sort(y)
    labels = ((y, later), (_ranks(ordered, y), _ranks(ordered, later)))

    def judge(train: Array, validation: Array) -> Score:
        size = _size(train, validation)
        newer = [_r2(size, train, y, validation, later) for y, later in labels]
        between = [_r2(size, train[::2], y[::2], train[1::2], y[1::2]) for y, _ in labels]
        return Score(float(np.fmax.reduce(newer)), float(np.fmax.reduce(between)))

    return judge


def _r2(size: int, fitted: Array, y: Array, met: Array, truth: Array) -> float:
    """Return R2 of labels `truth` in the cells `met`, told by the mean of labels `y` in the cells `fitted`."""
    from sklearn.metrics import r2_score

    if len(truth) < FEWEST or truth.min() == truth.max():
        return float("nan")
    rows, sums = np.bincount(fitted, minlength=size), np.bincount(fitted, weights=y, minlength=size)
    return float(r2_score(truth, _means(rows, sums)[met]))


def _means(rows: Array, sums: Array) -> Array:
    """Return the mean label of each cell; of all rows, where a cell has none."""
    everywhere = sums.sum(axis=0) / max(1, rows.sum())
    return np.where(rows > 0, sums / np.maximum(rows, 1), everywhere)


def _ranks(ordered: Array, values: Array) -> Array:
    """Return the share of `ordered` below each value, ties counting half."""
    below = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
    return np.asarray(below / (2 * max(1, len(ordered))))


def _size(train: Array, validation: Array) -> int:
    return int(max(train.max(initial=0), validation.max(initial=0))) + 1
