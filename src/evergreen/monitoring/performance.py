"""Performance: how good a model is on a batch, by its labels or before they come.

A probability that keeps its promise says how often it is wrong: of rows that are called 0.9, one in
ten. So the metrics of a batch follow from its predictions alone, once these are calibrated on rows
that the model has not learnt from (confidence-based performance estimation, as in NannyML; Białek
et al., Estimating model performance under covariate shift without labels, 2024, arXiv:2401.08348,
measure where it holds). It follows a change of the *inputs*. To a change of what they mean (concept
drift) it is blind: the promise is what is no longer kept. Hence `adjust`: an estimate that labels
have shown to be wrong is trusted less from then on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np

from evergreen.errors import InputError
from evergreen.evaluation.intervals import Estimate, interval
from evergreen.metrics.expected import TINY, Expected
from evergreen.metrics.metric import Form, Metrics
from evergreen.params import Evaluate
from evergreen.promotion.compare import FEWEST_ROWS, is_defined
from evergreen.promotion.noise import Resampling, blocks_of, resample_rows, widen

Array = np.ndarray[Any, np.dtype[Any]]
BINS = 200  # of equal row counts, that hold the rows of a calibration
REFITS = 100  # of the calibration, behind its noise
# Of rows drawn together where there are more rows: as good for an interval, and quick
GROUPS = 5000


@dataclass(frozen=True)
class Curve:
    """Rows of a calibration in bins of like predictions, ascending.

    `said`: mean prediction of each bin; `yes`, `no`: in how many rows it happened, and did not.
    That is all that the fit and the bootstrap of its rows need: a sum of n Poisson(1) weights is
    Poisson(n).
    """

    said: tuple[float, ...]
    yes: tuple[int, ...]
    no: tuple[int, ...]

    def fit(self, draw: np.random.Generator | None = None) -> Array:
        """Return how often the predicted happens, by bin; with `draw` on resampled rows.

        Isotonic regression.
        """
        from sklearn.isotonic import isotonic_regression

        yes, no = (
            np.array(counts) if draw is None else draw.poisson(counts)
            for counts in (self.yes, self.no)
        )
        rows = np.maximum(yes + no, TINY)  # a bin that no row was drawn of plays no part
        return np.asarray(isotonic_regression(yes / rows, sample_weight=rows, y_min=0, y_max=1))

    def apply(self, p: Array) -> Array:
        """Return how often what is predicted as `p`, shape (rows,), happens.

        Interpolated between the bins' means.
        """
        return np.asarray(np.interp(p, self.said, self.fit()))

    def spread(self, p: Array, slopes: Array) -> Array:
        """Return what a change in each bin adds to the sums, shape (bins, sums).

        `slopes`: what a change of the curve at a row adds, shape (rows, sums).
        """
        said = np.array(self.said)
        left = np.clip(np.searchsorted(said, p, side="right") - 1, 0, max(len(said) - 2, 0))
        right = np.minimum(left + 1, len(said) - 1)
        share = np.clip(
            (p - said[left]) / np.where(right > left, said[right] - said[left], 1.0), 0, 1
        )
        return np.column_stack(
            [
                np.bincount(left, (1 - share) * slope, len(said))
                + np.bincount(right, share * slope, len(said))
                for slope in slopes.T
            ]
        )


@dataclass(frozen=True)
class Calibration:
    """What the probabilities of a model are worth: a curve, or one for each class."""

    task: str
    curves: tuple[Curve, ...] = field(repr=False)

    def apply(self, p: Array) -> Array:
        """Return what each curve says of `p`, shape (rows, curves).

        Of several classes they are not yet made to sum to one.
        """
        return np.column_stack(
            [
                curve.apply(predicted)
                for curve, predicted in zip(self.curves, _by_curve(p), strict=True)
            ]
        )

    def refit(self, p: Array, slopes: Array, draw: np.random.Generator) -> Array:
        """Return how far resampled calibrations move sums over the rows, to first order.

        Shape (REFITS, sums). `slopes`: what a change of a curve at a row adds, shape (rows, curves,
        sums). Each curve is drawn by itself.
        """
        moved = np.zeros((REFITS, slopes.shape[2]))
        for at, (curve, predicted) in enumerate(zip(self.curves, _by_curve(p), strict=True)):
            moves = np.array([curve.fit(draw) for _ in range(REFITS)]) - curve.fit()
            moved += moves @ curve.spread(predicted, slopes[:, at])
        return moved

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "task": self.task,
            "curves": [
                {"said": list(curve.said), "yes": list(curve.yes), "no": list(curve.no)}
                for curve in self.curves
            ],
        }

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> Calibration:
        """Return the calibration that `as_plain` made plain."""
        curves = (
            Curve(tuple(curve["said"]), tuple(curve["yes"]), tuple(curve["no"]))
            for curve in plain["curves"]
        )
        return cls(plain["task"], tuple(curves))


@dataclass(frozen=True)
class Trust:
    """How the estimates of past batches did once their labels came; NaN where none did.

    `mean_error`: estimated minus real. `typical_error`: root mean square. `held`: share of the
    batches whose real value lay in the interval of the estimate.
    """

    batches: int
    mean_error: float
    typical_error: float
    held: float


def measure_live(
    task: str,
    y: Array,
    p: Array,
    days: Array | None,
    params: Evaluate,
    seed: int,
    *,
    metrics: Metrics,
) -> dict[str, Estimate]:
    """Return each metric of `task` with its bootstrap interval; {} for too few rows.

    At least 30, and 5 of either class.
    `y`: labels or codes of classes, shape (rows,). `p`: shape (rows,), or (rows, classes). `days`:
    the day of each row,
    shape (rows,): from 5 days on whole days are drawn, for their rows are alike.
    """
    if not is_defined(task, y):
        return {}
    known = metrics.of(task)
    forms = [metric.weighted(y, p) for metric in known.values()]
    blocks, values = blocks_of(days), metrics.measure(task, y, p)
    found = resample_rows(
        forms, len(y), blocks, Resampling(params.resamples, params.confidence, seed)
    )
    draws, nothing = dict(zip(known, found, strict=True)), (float("nan"), float("nan"))
    edges = {
        name: interval(
            widen(draws[name], np.asarray(value), blocks, params.confidence), params.confidence
        )
        for name, value in values.items()
        if np.isfinite(value)
    }
    return {
        name: Estimate(value, *(known[name].clip(edges[name]) if name in edges else nothing))
        for name, value in values.items()
    }


def fit_calibration(task: str, y: Array, p: Array) -> Calibration | None:
    """Return how often each probability comes true, on rows that the model has not learnt from.

    Shapes as in `measure_live`. None for regression, where nothing is estimated, and for too few
    rows. Classes are calibrated each against the rest (Zadrozny and Elkan, Transforming classifier
    scores into accurate multiclass probability estimates, 2002).
    """
    if task == "regression" or not is_defined(task, y):
        return None
    if task == "binary":
        return Calibration(task, (_bin(p, y == 1),))
    return Calibration(
        task, tuple(_bin(predicted, y == at) for at, predicted in enumerate(_by_curve(p)))
    )


def estimate(
    task: str,
    p: Array,
    calibration: Calibration | None,
    days: Array | None,
    params: Evaluate,
    seed: int,
    *,
    metrics: Metrics,
) -> dict[str, Estimate]:
    """Return the metrics that the labels of the rows may be expected to show.

    For predictions `p` as in `measure_live`. Each metric that can be expected. {} for regression,
    without a calibration, or below 30 rows. The interval holds three kinds of noise: which rows
    came (`days` as in `measure_live`), which labels they get, and which rows the calibration was
    fitted on; so it is somewhat wide for the
    real value of just these rows. It assumes that labels are independent given the predictions:
    where the rows of a day are late together it is too narrow, which `adjust` learns from the past.
    For several classes it assumes more, that a class's own probability tells all of it: there a
    strong shift of inputs is estimated worse. Raises InputError where the calibration is of another
    task or other classes.
    """
    if calibration is None or task == "regression" or len(p) < FEWEST_ROWS:
        return {}
    if (calibration.task, len(calibration.curves)) != (task, 1 if p.ndim == 1 else p.shape[1]):
        raise InputError(
            f"the calibration is of {calibration.task} with {len(calibration.curves)} curve(s), "
            f"the predictions are of {task} with shape {p.shape}: fit it anew for this model"
        )
    draw = np.random.default_rng([seed, 2])
    expected = _expect(metrics, task, p, calibration.apply(p))
    blocks = blocks_of(days)
    sums = _draw_rows([*expected.values()], blocks, params, seed)
    moves = calibration.refit(
        p, np.concatenate([metric.slopes for metric in expected.values()], axis=2), draw
    )
    picks, found, start = draw.integers(0, REFITS, params.resamples), {}, 0
    for name, metric in expected.items():
        part, whole = slice(start, start := start + len(metric.noise)), metric.columns.sum(axis=0)
        labels = draw.multivariate_normal(
            np.zeros(len(metric.noise)), metric.noise, params.resamples, method="eigh"
        )
        refits = metric.of(whole + moves[:, part])
        value = float(metric.of(whole[None])[0])
        bias = float(refits.mean()) - value
        drawn = metric.of(sums[:, part] + labels) + refits[picks] - value - 2 * bias
        drawn = widen(drawn, np.asarray(value - bias), blocks, params.confidence)
        edges = (value - bias, *interval(drawn, params.confidence))
        found[name] = Estimate(*metrics[name].clip(edges))
    return found


def measure_trust(past: Sequence[tuple[Estimate, Estimate]]) -> Trust:
    """Return how past estimates did.

    `past`: by batch with labels, its estimate, not adjusted, and the real value.
    """
    pairs = _known(past)
    if not pairs:
        return Trust(0, *[float("nan")] * 3)
    errors = np.array([said.value - real.value for said, real in pairs])
    held = np.mean([said.low <= real.value <= said.high for said, real in pairs])
    return Trust(len(pairs), float(errors.mean()), float(np.sqrt(np.mean(errors**2))), float(held))


def adjust(
    estimate: Estimate, past: Sequence[tuple[Estimate, Estimate]], confidence: float = 0.95
) -> Estimate:
    """Return the estimate with its interval widened by how wrong earlier estimates were.

    `past` as in `measure_trust`. A past error counts wholly where its interval did not hold the
    real value, and as none where it did: that noise is in the interval already. Of n errors the one
    of rank ceil(confidence (n + 1)) widens, and the largest where there are too few for that rank
    (the rule of split conformal prediction: Lei et al., Distribution-free predictive inference for
    regression, 2018). The value stays.
    """
    errors = sorted(
        0.0 if said.low <= real.value <= said.high else abs(said.value - real.value)
        for said, real in _known(past)
    )
    if not errors:
        return estimate
    wide = errors[min(len(errors), math.ceil(confidence * (len(errors) + 1))) - 1]
    return Estimate(estimate.value, estimate.low - wide, estimate.high + wide)


def _expect(metrics: Metrics, task: str, p: Array, said: Array) -> dict[str, Expected]:
    """Return each metric that can be expected of predictions `p`.

    `said`: what the calibration says, shape (rows, curves).
    """
    found = {name: metric.expected(p, said) for name, metric in metrics.of(task).items()}
    return {name: metric for name, metric in found.items() if metric is not None}


def _draw_rows(
    expected: Sequence[Expected], blocks: Array | None, params: Evaluate, seed: int
) -> Array:
    """Return sums over resampled rows, shape (resamples, sums), of all metrics side by side."""
    columns = np.hstack([metric.columns for metric in expected])
    if blocks is None and len(columns) > GROUPS:
        blocks = np.random.default_rng([seed, 3]).integers(0, GROUPS, len(columns))
    forms = [Form(column[:, None], itemgetter((slice(None), 0))) for column in columns.T]
    how = Resampling(params.resamples, params.confidence, seed)
    return np.asarray(resample_rows(forms, len(columns), blocks, how).T)


def _bin(p: Array, happened: Array) -> Curve:
    p = p.astype(np.float64)
    bins = max(1, min(BINS, len(p) // 50))  # in fewer rows a bin is all of one kind by chance
    edges = np.unique(np.quantile(p, np.arange(1, bins) / bins))
    at = np.searchsorted(edges, p, side="right")  # equal predictions share a bin
    rows = np.bincount(at)
    there = rows > 0
    said, yes = (
        np.bincount(at, p)[there] / rows[there],
        np.bincount(at, happened)[there].astype(int),
    )
    return Curve(tuple(said.tolist()), tuple(yes.tolist()), tuple((rows[there] - yes).tolist()))


def _by_curve(p: Array) -> list[Array]:
    return [p] if p.ndim == 1 else list((p / p.sum(axis=1, keepdims=True)).T)


def _known(past: Sequence[tuple[Estimate, Estimate]]) -> list[tuple[Estimate, Estimate]]:
    """Return the pairs in which nothing is NaN."""
    return [
        (said, real)
        for said, real in past
        if np.isfinite([said.value, said.low, said.high, real.value]).all()
    ]
