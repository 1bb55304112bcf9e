"""Multivariate leaks: do a few numbers together give the label away, as a formula does?

A linear model is fitted on numbers, their logarithms and their products: of the label, and of its
logarithm. Sums, differences, products and ratios are exact in one of these. What is nearly exact is
fitted again with fewer columns, as long as it stays so: those that are left are named.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

from evergreen.quality.univariate import ENOUGH
from evergreen.training.tables import Table, Tables

Array = np.ndarray[Any, np.dtype[Any]]

ROWS = 3_000  # that a model is fitted on, and of either part that it is judged by
COLUMNS = 200  # numbers at most that are looked at together
MULTIPLIED = 12  # numbers at most whose products are looked at
COMPLETE = 0.3  # share of rows without a missing value from which the others are left aside
KEPT = 6  # of the heaviest, from which the fewest are sought
FEW = {"regression": 4, "binary": 3, "multiclass": 3}  # more that tell nearly all may be honest
# Of all columns: worth a closer look
PROMISING = {"regression": 0.8, "binary": 0.97, "multiclass": 0.97}
NEARLY_ALL = {"regression": 0.9999, "binary": 0.9998, "multiclass": 0.9998}  # R2 and AUC
ALL = 0.999999  # R2 from which any number of columns is too good
STRAY = 0.05  # share of rows that may be wrong all the same


@dataclass(frozen=True)
class Joint:
    """Columns that together predict the label nearly exactly."""

    names: tuple[str, ...]
    score: float  # AUC or R2


def find_joint(tables: Tables, names: Sequence[str]) -> Joint | None:
    """Return the fewest of the numbers `names` that predict the label nearly exactly, or None.

    Fitted on every other training row, judged on those between and on the validation rows: either
    is enough. A text is not looked at here, nor more than 200 numbers. For classes three columns at
    most are named: many columns tell honest classes apart without an error. Up to one row in twenty
    may be wrong.
    """
    numbers = [name for name in names if name not in tables.categories][:COLUMNS]
    search = _Search(tables, tuple(tables.features.index(name) for name in numbers))
    if not numbers or not search.enough:
        return None
    # Scikit-learn brings it: small fits only wait for one another
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a fit that has not settled is no finding
        return max(
            filter(None, map(search.run, search.forms)),
            key=lambda joint: -len(joint.names),
            default=None,
        )


@dataclass(frozen=True)
class Form:
    """What of the label a linear model tells, and how the label follows from that."""

    of: Callable[[Array], Array]
    back: Callable[[Array], Array]


FORMS = (
    Form(lambda y: y, lambda told: told),
    Form(lambda y: np.log(np.abs(y)), np.exp),
    Form(np.log1p, np.expm1),  # a change as a share
    # A part as a share of the whole
    Form(lambda y: np.log(y / (1 - y)), lambda told: 1 / (1 + np.exp(-told))),
)


@dataclass(frozen=True)
class _Search:
    """The search of `tables` among the features at `which`."""

    tables: Tables
    which: tuple[int, ...]

    @cached_property
    def parts(self) -> tuple[Table, Table, Table]:
        """The rows to fit on, and those of training and of validation to judge by."""
        train = self.tables.train
        even, odd = (Table(train.x[start::2], train.y[start::2]) for start in (0, 1))
        return self._thin(even), self._thin(odd), self._thin(self.tables.validation)

    @property
    def enough(self) -> bool:
        return min(self._count(self.parts[0]), max(map(self._count, self.parts[1:]))) >= ENOUGH

    def _thin(self, part: Table) -> Table:
        """Return at most 3,000 rows at equal distances; of classes as many of each."""
        kinds = [np.arange(len(part))]
        if self.tables.task != "regression":
            kinds = [np.flatnonzero(part.y == code) for code in range(len(self.tables.classes))]
        most = ROWS // len(kinds)
        thinned = [
            at[np.linspace(0, len(at) - 1, most).astype(int)] if len(at) > most else at
            for at in kinds
        ]
        rows = np.sort(np.concatenate(thinned))
        return Table(part.x[rows], part.y[rows])

    def _count(self, part: Table) -> int:
        """Return how many rows there are to judge by: of classes, those of the rarest."""
        if self.tables.task == "regression":
            return len(part)
        return int(np.bincount(part.y.astype(np.intp), minlength=len(self.tables.classes)).min())

    @property
    def forms(self) -> Iterator[Form]:
        """Yield each form that most labels have, with the first for classes."""
        if self.tables.task != "regression":
            yield FORMS[0]
            return
        for form in FORMS:
            if np.isfinite(form.of(self.parts[0].y.astype(float))).mean() > 1 - STRAY:
                yield form

    def run(self, form: Form) -> Joint | None:
        """Return the fewest columns that predict this form of the label nearly exactly.

        How: all columns are fitted; of the heaviest six, the one without which the fit is best is
        left out, again and again, as long as the fit stays nearly exact.
        """
        task, chosen = self.tables.task, self.which
        model = self._fit(form, chosen)
        if model is None or model.score < PROMISING[task]:
            return None
        chosen = tuple(chosen[at] for at in np.argsort(-model.weights, kind="stable")[:KEPT])
        best = self._fit(form, chosen)
        while best is not None and len(chosen) > 1:
            fewer = [tuple(other for other in chosen if other != left) for left in chosen]
            fits = [(fit, some) for some in fewer if (fit := self._fit(form, some)) is not None]
            without, some = max(fits, key=lambda pair: pair[0].score, default=(None, ()))
            if (
                without is None
                or (best.exact and not without.exact)
                or without.score < PROMISING[task]
            ):
                break
            best, chosen = without, some
        if best is None or not best.exact:
            return None
        if len(chosen) > FEW[task] and not (task == "regression" and best.score > ALL):
            return None
        return Joint(tuple(self.tables.features[at] for at in sorted(chosen)), best.score)

    def _fit(self, form: Form, chosen: tuple[int, ...]) -> _Fit | None:
        """Return how well `chosen` features predict the label; None if too few rows have all."""
        fitted, *others = (_complete(part, chosen) for part in self.parts)
        design = _Design.of(fitted.x)
        x, others = (
            design.of_rows(fitted.x),
            [part for part in others if self._count(part) >= ENOUGH],
        )
        if not x.shape[1] or not others or self._count(fitted) < ENOUGH:
            return None
        fit = _fit_numbers if self.tables.task == "regression" else _fit_classes
        weights, predict = fit(x, form.of(fitted.y.astype(float)))
        judged = [
            self._judge(form.back(predict(design.of_rows(part.x))), part, design, weights)
            for part in others
        ]
        score, exact = max(judged)
        heaviest = np.zeros(len(chosen))
        for owners, weight in zip(
            design.owners, np.abs(weights).reshape(-1, x.shape[1]).max(axis=0), strict=True
        ):
            for owner in owners:
                heaviest[owner] = max(heaviest[owner], weight)
        return _Fit(score, exact, heaviest)

    def _judge(
        self, predicted: Array, part: Table, design: _Design, weights: Array
    ) -> tuple[float, bool]:
        """Return how well the labels of `part` are `predicted`, and whether nearly exactly."""
        task = self.tables.task
        if task != "regression":
            score = _auc(predicted, part.y.astype(np.intp), len(self.tables.classes))
            return score, score >= NEARLY_ALL[task]
        y = part.y.astype(float)
        off = np.nan_to_num(
            np.minimum(np.abs(predicted - y), np.abs(predicted - np.abs(y))), nan=np.inf
        )
        kept = off <= np.quantile(off, 1 - STRAY)
        spread = float(np.var(y[kept]))
        score = 1 - float(np.mean(off[kept] ** 2)) / spread if spread > 0 else float("-inf")
        return score, score >= NEARLY_ALL[task] or _within_rounding(off, y, design, weights)


@dataclass(frozen=True)
class _Fit:
    score: float
    exact: bool
    weights: Array  # of each feature: the heaviest of its columns, in deviations


@dataclass(frozen=True)
class _Design:
    """Columns made of features; a missing value of them is the mean.

    `made`: of each column, the kind and the features that it is made of. `means`, `deviations`: of
    each column.
    """

    made: tuple[tuple[str, tuple[int, ...]], ...]
    means: Array
    deviations: Array
    steps: Array  # the smallest there is between two values of each

    @property
    def owners(self) -> list[tuple[int, ...]]:
        return [which for _, which in self.made]

    @classmethod
    def of(cls, x: Array) -> _Design:
        """Return the columns that rows `x`, shape (rows, features), have nearly everywhere."""
        made: list[tuple[str, tuple[int, ...]]]
        made = [(kind, (at,)) for at in range(x.shape[1]) for kind in _kinds(x[:, at])]
        if x.shape[1] <= MULTIPLIED:
            made += [("product", pair) for pair in combinations(range(x.shape[1]), 2)]
        kept, means, deviations, steps = [], [], [], []
        for kind, which in made:
            column = _make(kind, x[:, which].astype(float))
            known = column[np.isfinite(column)]
            missing = np.isnan(x[:, which]).any(axis=1).mean()
            if len(known) < len(column) * (1 - missing - STRAY) or missing > 0.5 or not len(known):
                continue
            if (deviation := float(known.std())) > 0:
                kept.append((kind, which))
                means.append(known.mean())
                deviations.append(deviation)
                steps.append(_step(known) if kind == "plain" else 0.0)
        return cls(tuple(kept), np.array(means), np.array(deviations), np.array(steps))

    def of_rows(self, x: Array) -> Array:
        """Return the columns of rows `x`, in deviations from their mean."""
        if not self.made:
            return np.zeros((len(x), 0))
        columns = np.column_stack(
            [_make(kind, x[:, which].astype(float)) for kind, which in self.made]
        )
        return np.asarray(
            np.nan_to_num((columns - self.means) / self.deviations, nan=0.0, posinf=0.0, neginf=0.0)
        )


def _make(kind: str, x: Array) -> Array:
    if kind == "product":
        return np.asarray(x[:, 0] * x[:, 1])
    value = x[:, 0]
    if kind == "plain":
        return value
    if kind == "size":
        return np.asarray(np.abs(value))
    if kind == "log":
        return np.asarray(np.log(np.abs(value)))
    # Of a share: with it added, or taken off
    return np.asarray(np.log1p(value if kind == "more" else -value))


def _kinds(x: Array) -> Iterator[str]:
    """Yield what is made of a number: size where it has both signs, more where it is a share."""
    yield "plain"
    if np.nanmin(x) < 0 < np.nanmax(x):
        yield "size"
    yield "log"
    if np.nanmax(np.abs(x)) < 1:
        yield from ("more", "less")


def _fit_numbers(x: Array, y: Array) -> tuple[Array, Callable[[Array], Array]]:
    """Return least squares weights, shape (columns,), and a function that predicts.

    Fitted three times, each time without the tenth of rows that fitted worst before.
    """
    from scipy.linalg import lstsq

    with_one = np.column_stack([x, np.ones(len(x))])
    kept, weights = np.isfinite(y), np.zeros(with_one.shape[1])
    for _ in range(3):
        weights = lstsq(with_one[kept], y[kept], lapack_driver="gelsy")[0]
        off = np.nan_to_num(np.abs(with_one @ weights - y), nan=np.inf)
        kept = off <= np.quantile(off[np.isfinite(off)], 0.9)
    return weights[:-1], lambda met: met @ weights[:-1] + weights[-1]


def _fit_classes(x: Array, y: Array) -> tuple[Array, Callable[[Array], Array]]:
    """Return weights of a logistic regression, shape (classes, columns), and a prediction function.

    It predicts the probability of each class.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e3, max_iter=100, solver="newton-cholesky").fit(x, y)
    return model.coef_, model.predict_proba


def _auc(predicted: Array, y: Array, classes: int) -> float:
    from sklearn.metrics import roc_auc_score

    if classes == 2:
        return float(roc_auc_score(y == 1, predicted[:, 1]))
    return float(np.mean([roc_auc_score(y == code, predicted[:, code]) for code in range(classes)]))


def _within_rounding(off: Array, y: Array, design: _Design, weights: Array) -> bool:
    """Return whether nearly all labels are predicted up to the rounding of labels and columns."""
    room = (_step(y) + float(np.abs(weights / design.deviations) @ design.steps)) / 2
    return bool(room <= y.std() / 4 and (off <= 1.25 * room).mean() >= 1 - STRAY / 5)


def _step(values: Array) -> float:
    """Return the smallest distance between two of `values`."""
    distinct = np.unique(values)
    return float(np.diff(distinct).min()) if len(distinct) > 1 else 0.0


def _complete(table: Table, chosen: tuple[int, ...]) -> Table:
    """Return the columns `chosen` of the rows that have all of them; of all rows where few have."""
    x = table.x[:, chosen]
    whole = ~np.isnan(x).any(axis=1)
    return Table(x[whole], table.y[whole]) if whole.mean() >= COMPLETE else Table(x, table.y)
