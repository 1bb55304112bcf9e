"""Univariate leaks: how well each feature predicts the label by itself, on rows not fitted on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evergreen.training.tables import Tables

Array = np.ndarray[Any, np.dtype[Any]]
# Of the cells of the training rows and of the validation rows
Judge = Callable[[Array, Array], "Score"]

MEASURES = {"binary": "ROC AUC", "multiclass": "mean one-vs-rest AUC", "regression": "R2"}
BINS = 64  # of a number
FEWEST = 10  # rows of a class, or labels of a regression, below which a score is luck
ENOUGH = 100  # below, luck still carries a good feature to a perfect score
FINE = 200  # training rows from which neighbouring values are looked at, besides bins
NEWEST = 200_000  # training rows at most whose values are looked at one by one
MOST = 0.99  # share of rows by which a function of a number is judged: it may jump at some
NEARLY = 0.99  # R2 from which it is one; below, bins say how good a feature is


@dataclass(frozen=True)
class Score:
    """How well a feature predicts the label by itself; NaN where there are too few rows.

    `validation`: fitted on all training rows, scored on the validation rows. `training`: fitted on
    every other training row, scored on those between. The second finds what only the past knows:
    columns that are filled in afterwards, or numbers given in order of the label. `rows`: how many
    each was scored on, of a class the rarer; both are needed to believe in a perfect score on few.
    """

    validation: float
    training: float
    rows: tuple[int, int] = field(default=(ENOUGH, ENOUGH), compare=False)

    @property
    def highest(self) -> float:
        """The higher of the two; NaN where neither is known."""
        return float(np.fmax(self.validation, self.training))

    @property
    def sure(self) -> float:
        """The higher of those on enough rows; the mean of both where neither has enough."""
        both = (self.validation, self.training)
        known = [
            score
            for score, rows in zip(both, self.rows, strict=True)
            if rows >= ENOUGH and score == score
        ]
        if known:
            return max(known)
        some = [score for score in both if score == score]
        return float(np.mean(some)) if some else float("nan")


def score_features(tables: Tables) -> dict[str, Score]:
    """Return how well each feature predicts the label by itself: AUC for classes, R2 for numbers.

    A feature's value is replaced by the mean label of the training rows in the same cell: a level
    of a category, or a bin of a number (up to 64 of equal size; a value that would fill a bin gets
    one of its own; missing is one too). The order of values plays no part, so what predicts
    inversely, or by being missing, scores as high. Where rows are many, a number is scored a second
    time, by the labels at the values beside it, and the better counts: a bin blurs where the label
    changes, or where values are the codes of things.

    Binary: ROC AUC. Multiclass: mean of each class's AUC against the rest, over classes with enough
    rows; so a feature that gives away one class of many and nothing else stays below a bound.
    Regression: R2 of the label or of its rank among training labels, whichever is higher; bins are
    coarse where a label has a long tail, ranks are not. Source of the encoding: Micci-Barreca, A
    preprocessing scheme for high-cardinality categorical attributes, 2001.
    """
    judge = _judge_numbers(tables) if tables.task == "regression" else _judge_classes(tables)
    found = {}
    for at, name in enumerate(tables.features):
        train, validation = (
            np.ascontiguousarray(part.x[:, at]) for part in (tables.train, tables.validation)
        )
        if name in tables.categories:
            found[name] = judge(train.astype(np.intp), validation.astype(np.intp))
            continue
        cuts = _cuts(train)
        found[name] = judge(_bin(train, cuts), _bin(validation, cuts))
        if len(train) >= FINE:
            score = _score_function if tables.task == "regression" else _score_values
            found[name] = _better(found[name], score(tables, train, validation))
    return found


def _better(first: Score, second: Score) -> Score:
    return Score(
        float(np.fmax(first.validation, second.validation)),
        float(np.fmax(first.training, second.training)),
        first.rows,
    )


def _bin(values: Array, cuts: Array) -> Array:
    return np.where(np.isnan(values), len(cuts) + 1, np.searchsorted(cuts, values, side="right"))


def _cuts(values: Array) -> Array:
    """Return where to cut a number: at its quantiles, and around a value that fills a bin."""
    known = np.sort(values[~np.isnan(values)])
    quantiles = known[np.arange(1, BINS) * len(known) // BINS] if len(known) else known
    filling = quantiles[1:][quantiles[1:] == quantiles[:-1]]
    with np.errstate(over="ignore"):  # the largest number there is has infinity after it
        after = np.nextafter(filling, np.inf, dtype=known.dtype)
    return np.unique(np.concatenate([quantiles, after]))


def _judge_classes(tables: Tables) -> Judge:
    classes = len(tables.classes)
    y, later = (part.y.astype(np.intp) for part in (tables.train, tables.validation))
    rows = (
        int(np.bincount(later, minlength=classes).min()),
        int(np.bincount(y[1::2], minlength=classes).min()),
    )

    def cells(train: Array, validation: Array) -> Score:
        size = _size(train, validation)
        even, odd, newer = (  # rows by cell and class; all that an AUC of cells needs
            np.bincount(cell * classes + label, minlength=size * classes).reshape(size, classes)
            for cell, label in ((train[::2], y[::2]), (train[1::2], y[1::2]), (validation, later))
        )
        return Score(_auc(even + odd, newer), _auc(even, odd), rows)

    return cells


def _score_values(tables: Tables, train: Array, validation: Array) -> Score:
    """Return the score of predictions by the labels at the values beside each value.

    Of training rows, the later half is predicted by the earlier: of every other row, rows that
    stand twice in the source would be predicted by their twins.
    """
    classes = np.eye(len(tables.classes))
    labels = tables.train.y[-NEWEST:], tables.validation.y
    known, later = (classes[part.astype(np.intp)] for part in labels)
    train = train[-NEWEST:]
    half = len(train) // 2
    between = _auc_of(_predict_beside(train[:half], known[:half], train[half:]), known[half:])
    return Score(_auc_of(_predict_beside(train, known, validation), later), between)


def _score_function(tables: Tables, train: Array, validation: Array) -> Score:
    """Return the R2 of predictions by the labels at the values beside each value, if nearly 1.

    A label that is a function of the number has the labels of its neighbours, but where it jumps:
    so the one row in a hundred that fits worst is left aside. Of training rows as `_score_values`.
    """
    y, later = tables.train.y[-NEWEST:].astype(float), tables.validation.y.astype(float)
    train, half = train[-NEWEST:], len(y) // 2

    def score(fitted: Array, labels: Array, met: Array, truth: Array) -> float:
        off = np.abs(_predict_beside(fitted, labels[:, None], met)[:, 0] - truth)
        kept = off <= np.quantile(off, MOST) if len(off) >= FEWEST else np.zeros(len(off), bool)
        spread = float(np.var(truth[kept])) if kept.any() else 0.0
        r2 = 1 - float(np.mean(off[kept] ** 2)) / spread if spread > 0 else float("nan")
        return r2 if r2 >= NEARLY else float("nan")

    between = score(train[:half], y[:half], train[half:], y[half:])
    return Score(score(train, y, validation, later), between)


def _predict_beside(fitted: Array, labels: Array, met: Array) -> Array:
    """Return the mean of `labels` at the two values beside each of `met`: (rows, columns)."""
    missing = np.isnan(fitted)
    overall = labels.mean(axis=0)
    values, which = np.unique(fitted[~missing], return_inverse=True)
    if not len(values):
        return np.tile(overall, (len(met), 1))
    counts = np.bincount(which, minlength=len(values))
    means = np.column_stack(
        [np.bincount(which, label, len(values)) / counts for label in labels[~missing].T]
    )
    below = (np.searchsorted(values, met, side="right") - 1).clip(0)
    above = np.searchsorted(values, met, side="left").clip(0, len(values) - 1)
    predicted = (means[below] + means[above]) / 2
    predicted[np.isnan(met)] = labels[missing].mean(axis=0) if missing.any() else overall
    return np.asarray(predicted)


def _auc_of(predicted: Array, marks: Array) -> float:
    """Return the mean AUC over classes; `predicted`, `marks` (of the truth): (rows, classes)."""
    from sklearn.metrics import roc_auc_score

    codes = (1,) if marks.shape[1] == 2 else range(marks.shape[1])
    inside = marks.sum(axis=0)
    scored = [code for code in codes if min(inside[code], len(marks) - inside[code]) >= FEWEST]
    found = [roc_auc_score(marks[:, code], predicted[:, code]) for code in scored]
    return float(np.mean(found)) if found else float("nan")


def _auc(fitted: Array, met: Array) -> float:
    """Return the mean AUC over classes, from counts of rows by cell and class.

    `fitted`, `met`: rows that were learnt from and that are scored, shape (cells, classes).
    """
    from sklearn.metrics import roc_auc_score

    means = _means(fitted.sum(axis=1, keepdims=True), fitted)
    truth, found = np.repeat([1, 0], len(met)), []
    for code in (1,) if met.shape[1] == 2 else range(met.shape[1]):
        inside, outside = met[:, code], met.sum(axis=1) - met[:, code]
        if min(inside.sum(), outside.sum()) >= FEWEST:
            score = np.tile(means[:, code], 2)
            found.append(
                roc_auc_score(truth, score, sample_weight=np.concatenate([inside, outside]))
            )
    return float(np.mean(found)) if found else float("nan")


def _judge_numbers(tables: Tables) -> Judge:
    y, later = (part.y.astype(np.float64) for part in (tables.train, tables.validation))
    ordered = np.sort(y)
    labels = ((y, later), (_ranks(ordered, y), _ranks(ordered, later)))
    rows = (len(later), len(y) // 2)

    def cells(train: Array, validation: Array) -> Score:
        size = _size(train, validation)
        newer = [_r2(size, train, y, validation, later) for y, later in labels]
        between = [_r2(size, train[::2], y[::2], train[1::2], y[1::2]) for y, _ in labels]
        return Score(float(np.fmax.reduce(newer)), float(np.fmax.reduce(between)), rows)

    return cells


def _r2(size: int, fitted: Array, y: Array, met: Array, truth: Array) -> float:
    """Return R2 of labels `truth` in cells `met`, predicted by the mean `y` in cells `fitted`."""
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
    below = np.searchsorted(ordered, values, side="left") + np.searchsorted(
        ordered, values, side="right"
    )
    return np.asarray(below / (2 * max(1, len(ordered))))


def _size(train: Array, validation: Array) -> int:
    return int(max(train.max(initial=0), validation.max(initial=0))) + 1
