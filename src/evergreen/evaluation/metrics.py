"""The metrics of each task, all in one `TABLE`, and their bootstrap intervals.

scikit-learn owns each value. The bootstrap needs thousands of values of the same metric on other
row weights, for which calling scikit-learn each time takes minutes; here all are one product of
matrices, and tests hold the two equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from evergreen.errors import InputError
from evergreen.evaluation.expected import (
    Expected,
    expect_average_precision,
    expect_mean,
    expect_roc_auc,
)
from evergreen.training.device import count_cores

Array = np.ndarray[Any, np.dtype[Any]]
AT_ONCE = 8_000_000  # weights held at a time


@dataclass(frozen=True)
class Form:
    """A metric of fixed labels and predictions as a function of row weights: of some weighted sums over the rows.

    `rows`: what is summed, shape (rows, sums). `of`: sums, shape (resamples, sums), to values,
    shape (resamples,).
    """

    rows: Array
    of: Callable[[Array], Array]

    def __call__(self, weights: Array) -> float:
        """Return the metric for one set of weights, shape (rows,); NaN where it is not defined."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(self.of((weights @ self.rows)[None])[0])


@dataclass(frozen=True)
class Estimate:
    """A metric's value on the holdout, with its bootstrap percentile interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Metric:
    """All that is to be known of a metric, of labels `y` and predictions `p` shaped as in `measure`.

    A mean over rows needs its `losses` only: what each row adds to it, shape (rows,); `of` makes
    the metric of the sums of losses and of rows. Any other gives its `form`, and `expect` where it
    can be estimated before labels come (`p` and what the calibration says of it, shape (rows,
    curves)). `value`: by scikit-learn, which then owns it. No value lies below `low` or above
    `high`.
    """

    losses: Callable[[Array, Array], Array] | None = None
    lower_is_better: bool = False
    low: float = -np.inf
    high: float = np.inf
    of: Callable[[Array], Array] = lambda sums: np.asarray(sums[:, 0] / sums[:, 1])
    value: Callable[[Array, Array], float] | None = None
    form: Callable[[Array, Array], Form] | None = None
    expect: Callable[[Array, Array], Expected] | None = None

    def __post_init__(self) -> None:
        if (self.losses is None) == (self.form is None):
            raise ValueError("a metric has either losses, where it is a mean over rows, or a form")

    def measure(self, y: Array, p: Array) -> float:
        """Return the metric; NaN where it is not defined."""
        return float(self.value(y, p)) if self.value else self.weighted(y, p)(np.ones(len(y)))

    def weighted(self, y: Array, p: Array) -> Form:
        """Return the metric as a function of row weights."""
        if self.form:
            return self.form(y, p)
        assert self.losses
        return Form(np.column_stack([self.losses(y, p), np.ones(len(y))]), self.of)

    def expected(self, p: Array, said: Array) -> Expected | None:
        """Return what it may be expected to be without labels; None where it does not say."""
        if self.losses:
            return expect_mean(self.losses, p, said, self.of)
        return self.expect(p, said) if self.expect else None

    def clip(self, edges: Sequence[float]) -> list[float]:
        """Return `edges` within the bounds, beyond which a widened interval might reach."""
        return [float(one) for one in np.clip(edges, self.low, self.high)]


def pick_metric(name: str | None, task: str) -> str:
    """Return the metric that decides: the one called `name` (gate.metric), or the task's first.

    Raises InputError where the task has no such metric.
    """
    if name is not None and name not in METRICS[task]:
        raise InputError(
            f"gate.metric: there is no {name!r} for task {task}; there are {', '.join(METRICS[task])}"
        )
    return name or METRICS[task][0]


def measure(task: str, y: Array, p: Array) -> dict[str, float]:
    """Return each metric of `task`.

    `y`: labels or codes of classes, shape (rows,). `p`: shape (rows,), or (rows, classes) for
    multiclass. AUC is NaN where `y` holds one class only.
    """
    return {name: metric.measure(y, p) for name, metric in TABLE[task].items()}


def calibration_error(task: str, y: Array, p: Array, bins: int = 10) -> float:
    """Return how far predictions are from what happened, on average: 0 is perfect.

    Binary: expected calibration error over `bins` of equal row counts (Naeini et al., Obtaining
    well calibrated probabilities using Bayesian binning, 2015, with quantile bins). Multiclass: the
    same for the probability of the predicted class. Regression: the mean error in standard
    deviations of the label.
    """
    if task == "regression":
        spread = float(y.std())
        return float(abs(np.mean(p - y)) / spread) if spread else 0.0
    happened = (y == 1) if task == "binary" else p.argmax(axis=1) == y
    said = p if task == "binary" else p.max(axis=1) / p.sum(axis=1)
    bins = max(1, min(bins, len(y) // 50))  # fewer rows in a bin differ by chance alone
    edges = np.quantile(said, np.arange(1, bins) / bins)
    at = np.searchsorted(edges, said, side="right")  # equal predictions share a bin
    return float(
        np.abs(np.bincount(at, said - happened.astype(np.float64), minlength=bins)).sum() / len(y)
    )


def bootstrap(
    task: str,
    y: Array,
    predictions: Mapping[str, Array],
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, dict[str, Estimate]]:
    """Return, for each model's predictions, each metric of `task` with its percentile interval.

    All models meet the same resamples of the rows. A resample in which a metric is not defined (one
    class only) is left out of its interval. Source: Efron and Tibshirani, An Introduction to the
    Bootstrap, 1993, chapter 13.
    """
    forms = {
        (model, name): weighted(name, y, p)
        for model, p in predictions.items()
        for name in METRICS[task]
    }
    draws = dict(
        zip(
            forms,
            resample(list(forms.values()), len(y), resamples=resamples, seed=seed),
            strict=True,
        )
    )
    found: dict[str, dict[str, Estimate]] = {}
    for model, p in predictions.items():
        for name, value in measure(task, y, p).items():
            low, high = (
                interval(draws[model, name], confidence) if np.isfinite(value) else (np.nan, np.nan)
            )
            found.setdefault(model, {})[name] = Estimate(value, low, high)
    return found


def interval(draws: Array, confidence: float) -> tuple[float, float]:
    """Return the percentile interval of those of `draws` that are defined; NaN where none is."""
    defined = draws[np.isfinite(draws)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def resample(forms: Sequence[Form], rows: int, *, resamples: int, seed: int) -> Array:
    """Return the value of each form on each resample of the rows, shape (forms, resamples); NaN where not defined.

    In each resample a row counts Poisson(1) times, independently of the others, which for more than
    some hundred rows is the bootstrap, without drawing rows in a given number (Chamandy et al.,
    Estimating uncertainty for massive data streams, 2012). Every form meets the same resamples.
    Memory: the forms' columns, and `AT_ONCE` weights.
    """
    columns = np.hstack([form.rows for form in forms])
    edges = np.cumsum([0, *(form.rows.shape[1] for form in forms)])
    found = np.empty((len(forms), resamples))
    for start in range(0, resamples, step := max(1, AT_ONCE // rows)):
        chunk = range(start, min(start + step, resamples))
        sums = _draw_weights(chunk, rows, seed) @ columns
        with np.errstate(invalid="ignore", divide="ignore"):
            # A resample without one of the classes
            for number, form in enumerate(forms):
                found[number, chunk.start : chunk.stop] = form.of(
                    sums[:, edges[number] : edges[number + 1]]
                )
    return found


def _draw_weights(numbers: range, rows: int, seed: int) -> Array:
    """Return how often each row counts in the resamples called `numbers`, shape (len(numbers), rows)."""
    weights, table = np.empty((len(numbers), rows)), _poisson_table()

    def fill(at: int) -> None:
        draw = np.random.Generator(np.random.SFC64([seed, numbers[at]]))
        np.take(
            table, draw.integers(0, len(table), rows, dtype=np.uint16), out=weights[at], mode="clip"
        )

    with ThreadPoolExecutor(count_cores()) as pool:
        list(pool.map(fill, range(len(numbers))))
    return weights


@cache
def _poisson_table() -> Array:
    """Return Poisson(1) counts such that a uniform draw from the table is a draw of the count."""
    from scipy.stats import poisson

    size = 2**16
    edges = np.rint(poisson.cdf(np.arange(9), 1) * size)  # 9 and more have a chance below 2^-16
    return np.searchsorted(edges, np.arange(size), side="right").astype(np.float64)


def weighted(name: str, y: Array, p: Array) -> Form:
    """Return the metric `name` of labels `y` and predictions `p` as a function of row weights.

    Exact, but for the two that depend on ranks: these are exact to first order around equal weights
    (for the AUC that is the method of DeLong et al., Comparing the areas under correlated ROC
    curves, 1988).
    """
    return next(table[name] for table in TABLE.values() if name in table).weighted(y, p)


def _log_losses(y: Array, p: Array) -> Array:
    edge = float(np.finfo(p.dtype).eps)  # scikit-learn clips likewise
    p = p.astype(np.float64)
    chosen = (
        np.where(y == 1, p, 1 - p)
        if p.ndim == 1
        else p[np.arange(len(y)), y.astype(int)] / p.sum(axis=1)
    )
    return np.asarray(-np.log(np.clip(chosen, edge, 1 - edge)))


def _squares(y: Array, p: Array) -> Array:
    return (y.astype(np.float64) - p) ** 2


def _distances(y: Array, p: Array) -> Array:
    return np.abs(y.astype(np.float64) - p)


def _hits(y: Array, p: Array) -> Array:
    return np.asarray(p.argmax(axis=1) == y, dtype=np.float64)


def _roc_auc(y: Array, p: Array) -> Form:
    """AUC is the mean over positives of the share of negatives that they beat, and the other way round.

    A tie is half a win. Both means are weighted; which rows each row beats is not.
    """
    positive = y == 1
    above, below = np.sort(p[positive]), np.sort(p[~positive])
    won = np.empty(len(y))
    won[positive] = _share_beaten(below, p[positive])
    won[~positive] = 1 - _share_beaten(above, p[~positive])
    auc = float(won[positive].mean()) if positive.any() else float("nan")
    rows = np.column_stack([won * positive, positive, won * ~positive, ~positive]).astype(
        np.float64
    )
    return Form(rows, lambda s: np.clip(s[:, 0] / s[:, 1] + s[:, 2] / s[:, 3] - auc, 0, 1))


def _share_beaten(ranked: Array, p: Array) -> Array:
    if not len(ranked):
        return np.full(len(p), np.nan)
    places = np.searchsorted(ranked, p, side="left") + np.searchsorted(ranked, p, side="right")
    return np.asarray(places / (2 * len(ranked)))


def _average_precision(y: Array, p: Array) -> Form:
    """AP is the mean over positives of the precision at their score, as scikit-learn defines it.

    A row's weight counts in its own term, and in the precision at every score that is not above its
    own.
    """
    order = np.argsort(-p, kind="stable")
    ranked, positive = -p[order], (y[order] == 1).astype(np.float64)
    last = np.searchsorted(ranked, ranked, side="right")  # rows at or above each row's score
    called, hits = last.astype(np.float64), np.cumsum(positive)[last - 1]
    precision, total = hits / called, positive.sum()
    value = float(positive @ precision / total) if total else float("nan")
    first = np.searchsorted(ranked, ranked, side="left")
    felt = [
        np.r_[np.cumsum((positive * one)[::-1])[::-1], 0.0][first]
        for one in (1 / called, precision / called)
    ]
    slope = np.empty(len(y))
    slope[order] = (positive * (precision - value + felt[0]) - felt[1]) / max(total, 1.0)
    rows = np.column_stack([slope, y == 1, y != 1]).astype(np.float64)

    def of(sums: Array) -> Array:
        both = (sums[:, 1] > 0) & (sums[:, 2] > 0)
        return np.where(
            both, np.clip(value + sums[:, 0] / (sums[:, 1] + sums[:, 2]) * len(y), 0, 1), np.nan
        )

    return Form(rows, of)


def _balanced_accuracy(y: Array, p: Array) -> Form:
    member = (y[:, None] == np.unique(y)[None, :]).astype(np.float64)
    classes = member.shape[1]

    def of(sums: Array) -> Array:
        recall = sums[:, :classes] / sums[:, classes:]  # NaN for a class without rows
        present = sums[:, classes:] > 0
        return np.asarray(np.where(present, recall, 0).sum(axis=1) / present.sum(axis=1))

    return Form(np.hstack([_hits(y, p)[:, None] * member, member]), of)


def _r2(y: Array, p: Array) -> Form:
    centred, squares = y.astype(np.float64) - float(y.mean()), _squares(y, p)

    def of(sums: Array) -> Array:
        error, mean, square = (sums[:, at] / sums[:, 3] for at in range(3))
        spread = square - mean**2
        # Below is what rounding leaves
        return np.where(spread > 1e-12 * square, 1 - error / spread, np.nan)

    return Form(np.column_stack([squares, centred, centred**2, np.ones(len(y))]), of)


# --- the table
# --------------------------------------------------------------------------------------------------


def _by_sklearn(name: str, **options: Any) -> Callable[[Array, Array], float]:
    """Return scikit-learn's function of that name, imported where it is called."""

    def value(y: Array, p: Array) -> float:
        import sklearn.metrics as skm

        return float(getattr(skm, name)(y, p, **options))

    return value


def _ranks(name: str) -> Callable[[Array, Array], float]:
    of = _by_sklearn(name)
    return lambda y, p: of(y, p) if y.min() < y.max() else float("nan")


def _log_loss(y: Array, p: Array) -> float:
    if p.ndim == 1:
        return _by_sklearn("log_loss", labels=[0, 1])(y, p)
    whole = p / p.sum(axis=1, keepdims=True)  # rounding leaves sums beside one
    return _by_sklearn("log_loss", labels=np.arange(p.shape[1]))(y, whole)


def _accuracy(y: Array, p: Array) -> float:
    return _by_sklearn("accuracy_score")(y, p.argmax(axis=1))


def _recall(y: Array, p: Array) -> float:
    of = _by_sklearn("recall_score", average="macro", labels=np.unique(y), zero_division=0)
    return of(y, p.argmax(axis=1))


_LOG_LOSS = Metric(_log_losses, lower_is_better=True, low=0, value=_log_loss)
TABLE: dict[str, dict[str, Metric]] = {  # by task; the first decides where gate.metric names none
    "binary": {
        "roc_auc": Metric(low=0, high=1, value=_ranks("roc_auc_score"), form=_roc_auc, expect=expect_roc_auc),
        "average_precision": Metric(
            low=0, high=1, value=_ranks("average_precision_score"), form=_average_precision,
            expect=expect_average_precision,
        ),
        "log_loss": _LOG_LOSS,
        "brier": Metric(
            _squares, lower_is_better=True, low=0, high=1, value=_by_sklearn("brier_score_loss", labels=[0, 1])
        ),
    },
    "multiclass": {
        "accuracy": Metric(_hits, low=0, high=1, value=_accuracy),
        "balanced_accuracy": Metric(low=0, high=1, value=_recall, form=_balanced_accuracy),
        "log_loss": _LOG_LOSS,
    },
    "regression": {
        "rmse": Metric(
            _squares, lower_is_better=True, low=0, of=lambda sums: np.sqrt(sums[:, 0] / sums[:, 1]),
            value=_by_sklearn("root_mean_squared_error"),
        ),
        "mae": Metric(_distances, lower_is_better=True, low=0, value=_by_sklearn("mean_absolute_error")),
        "r2": Metric(high=1, value=_by_sklearn("r2_score"), form=_r2),
    },
}  # fmt: skip
METRICS = {task: tuple(table) for task, table in TABLE.items()}
LOWER_IS_BETTER = frozenset(
    name for table in TABLE.values() for name, one in table.items() if one.lower_is_better
)
OF_CURVES = {
    "roc": "roc_auc",
    "precision_recall": "average_precision",
    "errors": "mae",
}  # the metric that a curve shows
