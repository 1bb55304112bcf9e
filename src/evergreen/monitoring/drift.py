"""Drift: does a batch differ from the training rows by more than batches usually do?

Each column is tested by itself (`psi.py`), corrected for the number of columns; then all features
together, as a change in how columns depend on one another shows in none of them alone. Drift of
inputs is a warning: only labels can show whether a model is worse.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evergreen.errors import InputError
from evergreen.finding import count
from evergreen.params import Drift
from evergreen.statistics.pooling import pool
from evergreen.statistics.psi import Shift, margin_of, measure, usual
from evergreen.statistics.sketch import Sketch

Array = np.ndarray[Any, np.dtype[Any]]
LABEL, PREDICTION = "label", "prediction"  # columns of a sketch beside the features
FEWEST_ROWS = 200  # on either side; below, two samples cannot be told apart
TREES = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "eta": 0.15,
    "max_depth": 4,
    "max_bin": 32,
    "min_child_weight": 5,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "nthread": 1,  # of few rows: more threads only wait
}
ROUNDS = 30


@dataclass(frozen=True)
class ColumnDrift:
    """The shift of one column, its p-value corrected for the number of columns, and the verdict."""

    shift: Shift
    p: float
    drifted: bool


@dataclass(frozen=True)
class DriftReport:
    """How a batch differs from the reference.

    `together`: the features as a whole drifted; `auc`: NaN where it was not measured.
    `auc_margin`: what the lower bound of `auc` has to exceed for that. `drifted`: features that
    did, or their missing values ("temp (missing)").
    """

    rows: int
    columns: tuple[ColumnDrift, ...]
    auc: float
    auc_low: float
    auc_high: float
    auc_margin: float
    together: bool
    label_drifted: bool
    prediction_drifted: bool
    drifted: tuple[str, ...]
    says: str

    def as_plain(self) -> dict[str, Any]:
        """Return it as JSON can hold it: numbers that are not finite are None."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def find_drift(
    batch: Sketch,
    reference: Sketch,
    past: Sequence[Sketch],
    params: Drift,
    usual_auc: float | None = None,
    seed: int = 0,
) -> DriftReport:
    """Return how far `batch` is from `reference` in every column that both have, and as a whole.

    `past`: batches that count as usual; the margin of a column is how far they were from one
    another and, beyond that, `params.columns` or `params.smallest_shift`. `usual_auc`: the same for
    features as a whole, from `find_usual_auc`. A column has drifted where its p-value, corrected
    for the number of columns (Benjamini and Hochberg, Controlling the false discovery rate, 1995),
    is at most 1 - confidence. Raises InputError for a name in `params.columns` that is none.
    """
    there = sorted({*reference.columns, *batch.columns, LABEL, PREDICTION})
    if unknown := sorted(set(params.columns) - set(there)):
        raise InputError(f"drift.columns: there is no {unknown[0]!r}; there are {', '.join(there)}")
    far = usual(past)
    names = [name for name in batch.columns if name in reference.columns]
    margins: dict[str, float] = {}
    for name in names:
        smallest = params.columns.get(name, params.smallest_shift)
        for key in (name, f"{name} (missing)"):
            margins[key] = margin_of(far.get(key, 0.0), smallest)
    columns = _correct(measure(batch, reference, margins, params.confidence), params.confidence)
    features = [name for name in names if name not in (LABEL, PREDICTION)]
    auc, low, high = tell_apart(batch, reference, features, params.confidence, seed)
    bound = _auc_margin(usual_auc or 0.5, params.smallest_auc)
    together = low > bound
    moved = [column for column in columns if column.drifted]
    drifted = tuple(
        column.shift.key for column in moved if column.shift.column not in (LABEL, PREDICTION)
    )
    return DriftReport(
        batch.rows, columns, auc, low, high, bound, together,
        any(column.shift.column == LABEL for column in moved),
        any(column.shift.column == PREDICTION for column in moved),
        drifted,
        _summarize(moved, len(columns), together, auc),
    )  # fmt: skip


def find_usual_auc(past: Sequence[Sketch], params: Drift, seed: int = 0) -> float:
    """Return the largest AUC of one past batch against the pool of the others.

    It shows how well a classifier can tell batches apart that count as usual: 0.5, which is
    chance, for fewer than two. Trees are trained for each batch: about a third of a second.
    """
    found = [0.5]
    for at, sketch in enumerate(past) if len(past) > 1 else ():
        others = pool([*past[:at], *past[at + 1 :]])
        features = [
            name
            for name in others.columns
            if name not in (LABEL, PREDICTION) and name in sketch.columns
        ]
        auc = tell_apart(sketch, others, features, params.confidence, seed)[0]
        found.append(0.5 if math.isnan(auc) else auc)
    return max(found)


def tell_apart(
    batch: Sketch, reference: Sketch, features: Collection[str], confidence: float, seed: int = 0
) -> tuple[float, float, float]:
    """Return the AUC of a classifier between rows of batch and reference, and its interval.

    XGBoost on the rows that the sketches kept, each half predicted by trees that learnt from the
    other; 0.5 is chance. A day is whole in one half, else the trees would recognise its weather and
    call that drift. NaN where a side kept fewer than 200 rows. Source: Lopez-Paz and Oquab,
    Revisiting classifier two-sample tests, 2017.
    """
    from scipy.stats import norm

    if not features or min(len(side.blocks) for side in (batch, reference)) < FEWEST_ROWS:
        return math.nan, math.nan, math.nan
    x = _encode(batch, reference, features)
    y = np.repeat([1, 0], [len(batch.blocks), len(reference.blocks)])
    block = np.concatenate([batch.blocks, batch.blocks.max() + 1 + reference.blocks])
    half = np.concatenate([_halve(side.blocks, seed) for side in (batch, reference)])
    found = [_score(x, y, block, half == fold, seed) for fold in (0, 1)]
    # Two halves of the same rows are not independent: their mean is no more certain than either
    auc, variance = np.mean(found, axis=0)
    wide = float(norm.ppf((1 + confidence) / 2)) * math.sqrt(variance)
    return float(auc), max(0.0, float(auc) - wide), min(1.0, float(auc) + wide)


def _auc_margin(usual: float, smallest: float) -> float:
    """Return the AUC that counts as drift: the usual one and the smallest shift together.

    Where the usual one is chance, that is 0.5 + `smallest`.
    They add as the distances of two normal groups with these AUCs do, so that the margin stays
    below 1: an AUC grows ever slower. Source: Green and Swets, Signal detection theory and
    psychophysics, 1966, on d'.
    """
    from scipy.stats import norm

    return float(norm.cdf(norm.ppf(min(max(usual, 0.5), 0.999)) + norm.ppf(0.5 + smallest)))


def _halve(blocks: Array, seed: int) -> Array:
    """Return 0 or 1 for each row, the same for all rows of a block."""
    names, which = np.unique(blocks, return_inverse=True)
    return np.asarray((np.random.default_rng(seed).permutation(len(names)) % 2)[which])


def _score(x: Array, y: Array, block: Array, test: Array, seed: int) -> tuple[float, float]:
    """Train on the other rows, and return the AUC on rows `test` and its variance."""
    import xgboost as xgb

    with xgb.config_context(nthread=1):  # the matrix alone would take all
        matrix = xgb.QuantileDMatrix(x[~test], y[~test], max_bin=TREES["max_bin"], nthread=1)
        booster = xgb.train({**TREES, "seed": seed}, matrix, ROUNDS)
    return auc_of(y[test], booster.inplace_predict(x[test]), block[test])


def auc_of(y: Array, score: Array, block: Array) -> tuple[float, float]:
    """Return the AUC of `score` for labels `y` (0 and 1), and its variance by blocks of rows.

    A block holds rows of one label only. Source: DeLong et al., Comparing the areas under two or
    more correlated ROC curves, 1988, for rows that are blocks of their own; Obuchowski,
    Nonparametric analysis of clustered ROC curve data, 1997, for others.
    """
    from scipy.stats import rankdata

    ranks, found, variance = rankdata(score), 0.0, 0.0
    for label in (1, 0):
        own = y == label
        others = len(y) - own.sum()
        # The AUC is the mean, over rows of one label, of the share of the other label's rows that
        # a row is above. How much these shares differ from row to row is the noise of the mean;
        # rows of one day are summed first, as they are alike and count as one observation.
        above = (ranks[own] - rankdata(score[own])) / others
        found = float(above.mean()) if label else found
        apart = np.bincount(np.unique(block[own], return_inverse=True)[1], above - above.mean())
        blocks = len(apart)
        variance += float(np.square(apart).sum()) / own.sum() ** 2 * blocks / max(1, blocks - 1)
    return found, float(variance)


def _encode(batch: Sketch, reference: Sketch, features: Collection[str]) -> Array:
    """Return the rows kept of both sides as float32, shape (rows, features).

    A level is its place among the levels of both; an infinite number is missing.
    """
    import polars as pl

    whole = pl.concat([side.sample.select(features) for side in (batch, reference)])
    places = [
        pl.col(column.name).cast(pl.Enum(column.drop_nulls().unique().sort())).to_physical()
        for column in whole
        if column.dtype == pl.String()
    ]
    codes = whole.with_columns(places).select(pl.all().cast(pl.Float32).fill_null(math.nan))
    x = codes.to_numpy(order="c")
    return np.where(np.isfinite(x), x, np.float32(np.nan))


def _correct(shifts: Sequence[Shift], confidence: float) -> tuple[ColumnDrift, ...]:
    from scipy.stats import false_discovery_control

    # Of many columns a few look drifted by chance. Corrected p-values keep the expected share of
    # false alarms among all alarms at 1 - confidence, however many columns there are.

    corrected = false_discovery_control([shift.p for shift in shifts]) if shifts else ()
    alpha = 1 - confidence + 1e-12
    return tuple(
        ColumnDrift(shift, float(p), bool(p <= alpha))
        for shift, p in zip(shifts, corrected, strict=True)
    )


def _summarize(moved: Sequence[ColumnDrift], columns: int, together: bool, auc: float) -> str:
    as_whole = f"its rows as a whole differ from earlier ones (AUC {auc:.3f})"
    if not moved:
        return f"None of {count(columns, 'column')} drifted" + (
            f", but {as_whole}." if together else "."
        )
    most = max(moved, key=lambda column: column.shift.effect / column.shift.margin)
    also = f"; {as_whole}" if together else ""
    return (
        f"{len(moved)} of {count(columns, 'column')} drifted, most of all {most.shift.says}{also}."
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
