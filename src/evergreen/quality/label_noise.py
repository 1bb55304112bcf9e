"""Label noise: which labels a model contradicts, by predictions for rows it has not learnt from.

A contradicted label is a suspect, not a mistake: where the question itself is uncertain, the model
is often surprised by labels that are right. How many such surprises its own probabilities foretell
is said as well.

The method is confident learning. The rows found are those off the diagonal of the confident joint,
as cleanlab counts it (the tests compare both); cleanlab's `find_label_issues` leaves out those of
them whose label is the likeliest class all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from evergreen.finding import Cell, Finding, Kind, percent

Array = np.ndarray[Any, np.dtype[Any]]
DEVIATIONS = 5  # robust ones; a residual beyond is a suspect
SHOWN = 20  # suspects named one by one


@dataclass(frozen=True)
class Predicted:
    """Labels, and what a model that has not learnt from these rows predicts for them.

    `y`: labels or codes of `classes`, shape (rows,). `p`: predicted numbers, or probabilities,
    shape (rows,) of the second class or (rows, classes). `keys`: what names the rows, shape (rows,
    parts of the key), if known; `describe`: how to name those at some places otherwise. `where`:
    what to call these rows.
    """

    y: Array = field(repr=False)
    p: Array = field(repr=False)
    classes: tuple[str, ...] = ()
    keys: pl.DataFrame | None = field(repr=False, default=None)
    where: str = "the holdout"
    describe: Callable[[list[int]], list[str]] | None = field(repr=False, default=None)


@dataclass(frozen=True)
class Suspects:
    """Rows whose label the model contradicts, the most surprising first.

    `at`: their places, shape (suspects,). `instead`: the codes of the classes that the model
    believes, or the numbers.
    `surprise`: the probabilities of their labels, or their residuals. `foretold`: the share of rows
    that would be suspects if labels were as uncertain as the model says (or residuals normally
    distributed), and all right.
    """

    at: Array = field(repr=False)
    instead: Array = field(repr=False)
    surprise: Array = field(repr=False)
    foretold: float


def find_label_noise(task: str, predicted: Predicted) -> list[Finding]:
    """Return the share of suspect labels, class by class, and the most surprising ones by name."""
    suspects = find_suspect_labels(task, predicted.y, predicted.p)
    count, rows = len(suspects.at), len(predicted.y)
    if task == "regression":
        why = (
            f"their residual is more than {DEVIATIONS} robust standard deviations from the median. "
            f"Of normally distributed residuals, {rows * suspects.foretold:.2g} would be."
        )
    else:
        why = (
            "the model believes another class, as firmly as it does on average where that class is "
            "the label. If all labels were right, and as uncertain as the model says, it would be "
            f"so for {percent(suspects.foretold)}. Where the two are close, rows are hard rather "
            "than wrong; else labels are wrong or the model is too sure."
        )
    share = Finding(
        "labels",
        "share of suspect labels",
        count / rows,
        f"{count:,} of {rows:,} labels of {predicted.where} ({percent(count / rows)}) are "
        f"suspects: {why}",
        bound="max_label_noise",
        columns={
            "label": "text",
            "the model believes": "text",
            "rows": "count",
            "share of the label's rows": "share",
        },
        rows=() if task == "regression" else _by_class(predicted, suspects),
        drawn="share of the label's rows",
    )
    return [share, _most_surprising(task, predicted, suspects)] if count else [share]


def find_suspect_labels(task: str, y: Array, p: Array) -> Suspects:
    """Return the suspects among labels `y` by out-of-sample predictions `p`, as in `Predicted`."""
    if task == "regression":
        return _outliers(y.astype(np.float64) - p, p)
    whole = np.column_stack([1 - p, p]) if p.ndim == 1 else p
    return _contradicted(y.astype(np.int64), whole.astype(np.float64))


def _contradicted(y: Array, p: Array) -> Suspects:
    """Return the suspects among classes, by confident learning.

    How: each class has a threshold, the mean probability of it among rows so labelled. A row counts
    as a class where its probability reaches the threshold; of several such classes, as the
    likeliest. It is a suspect where that is not its label. Source: Northcutt, Jiang and Chuang,
    Confident learning, JAIR 70, 2021, section 3.1.

    Rows labelled 0 have a mean probability of 0.4 of class 1 less, 0.6 of class 0; those labelled 1
    have one of 0.7 of class 1. The third row, labelled 0, reaches 0.7:

    >>> y = np.array([0, 0, 0, 1, 1])
    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.3, 0.7]])
    >>> _contradicted(y, p).at.tolist()
    [2]
    """
    rows, classes = p.shape
    given, own = np.bincount(y, minlength=classes), p[np.arange(rows), y]
    threshold = np.divide(
        np.bincount(y, own, classes), given, out=np.full(classes, np.inf), where=given > 0
    )
    confident = np.where(p >= threshold, p, -np.inf)
    likeliest, sure = confident.argmax(axis=1), np.isfinite(confident.max(axis=1))
    at = np.flatnonzero(sure & (likeliest != y))
    at = at[np.argsort(own[at], kind="stable")]
    foretold = float((1 - confident.max(axis=1)[sure]).sum() / rows)
    return Suspects(at, likeliest[at], own[at], foretold)


def _outliers(residuals: Array, p: Array) -> Suspects:
    """Return the suspects among numbers: residuals far from their median.

    How far is counted in median absolute deviations, scaled to the standard deviation of a normal
    distribution, as an outlier does not stretch them. Where most residuals are equal, in mean
    absolute deviations scaled likewise (Iglewicz and Hoaglin, How to detect and handle outliers,
    1993, section 3.4).
    """
    from scipy.stats import median_abs_deviation, norm

    away = np.abs(residuals - np.median(residuals))
    deviation = float(median_abs_deviation(residuals, scale="normal")) or np.sqrt(
        np.pi / 2
    ) * float(away.mean())
    at = np.flatnonzero(away > DEVIATIONS * deviation)
    at = at[np.argsort(-away[at], kind="stable")]
    return Suspects(at, p[at], residuals[at], float(2 * norm.sf(DEVIATIONS)))


def _by_class(predicted: Predicted, suspects: Suspects) -> tuple[tuple[Cell, ...], ...]:
    y, names = predicted.y.astype(np.int64), predicted.classes
    given = np.bincount(y, minlength=len(names)).tolist()
    pairs, counts = np.unique(
        np.column_stack([y[suspects.at], suspects.instead]), axis=0, return_counts=True
    )
    found = zip(pairs.tolist(), counts.tolist(), strict=True)
    return tuple(
        (names[label], names[other], count, count / given[label]) for (label, other), count in found
    )


def _most_surprising(task: str, predicted: Predicted, suspects: Suspects) -> Finding:
    at, regression = suspects.at[:SHOWN], task == "regression"
    keys = pl.DataFrame({"row": at}) if predicted.keys is None else predicted.keys[at]
    parts = pl.all().cast(pl.String).fill_null("").str.replace(r"\.0+$", "")
    named = keys.select(pl.concat_str(parts, separator=" · ")).to_series().to_list()
    if predicted.describe:
        named = predicted.describe(at.tolist())
    surprise = suspects.surprise[:SHOWN].tolist()

    def cells(values: Array) -> list[Cell]:
        shown = values[:SHOWN]
        return [float(value) if regression else predicted.classes[int(value)] for value in shown]

    kind: Kind = "number" if regression else "text"
    last: Kind = "number" if regression else "share"
    return Finding(
        "labels",
        "most surprising label",
        surprise[0],
        f"The {len(at)} most surprising labels are worth checking, row by row"
        + ("." if regression else ": the model gives them the least probability."),
        kind=last,
        columns={
            "row": "text",
            "label": kind,
            "the model believes": kind,
            "residual" if regression else "probability of the label": last,
        },
        rows=tuple(
            zip(named, cells(predicted.y[at]), cells(suspects.instead), surprise, strict=True)
        ),
    )
