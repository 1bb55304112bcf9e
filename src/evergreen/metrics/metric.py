"""Metric: all that is to be known of one, and the metrics that a project has to choose from.

A project adds its own in `extensions.py`; whatever measures is handed `Metrics`, as it is handed
parameters.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, get_args

import numpy as np

from evergreen.errors import InputError
from evergreen.metrics.expected import Expected, expect_mean

Array = np.ndarray[Any, np.dtype[Any]]
Task = Literal["binary", "multiclass", "regression"]
TASKS: tuple[Task, ...] = get_args(Task)
# What a run records beside its metrics
TAKEN = ("rounds", "seconds", "train_loss", "validation_loss", "best_validation_loss")


@dataclass(frozen=True)
class Form:
    """A metric of fixed labels and predictions as a function of the rows' weights.

    It depends on weighted sums over the rows. `rows`: what is summed, shape (rows, sums). `of`:
    sums, shape (resamples, sums), to values, shape (resamples,).
    """

    rows: Array
    of: Callable[[Array], Array]

    def __call__(self, weights: Array) -> float:
        """Return the metric for one set of weights, shape (rows,); NaN where it is not defined."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(self.of((weights @ self.rows)[None])[0])


def mean_of(sums: Array) -> Array:
    """Return what was summed over rows, divided by their number."""
    return np.asarray(sums[:, 0] / sums[:, 1])


@dataclass(frozen=True)
class Metric:
    """All that is to be known of the metric called `name`, of labels `y` and predictions `p`.

    `tasks`: those it is for. `y`: labels or codes of classes, shape (rows,). `p`: shape (rows,), or
    (rows, classes) for multiclass.
    A mean over rows needs its `losses` only: what each row adds to it, shape (rows,); `of` makes
    another number of the sums of losses and of rows, shape (resamples, 2). Any other gives its
    `form`, and `expect` where it can be estimated before labels come (`p` and what the calibration
    says of it, shape (rows, curves)). `value`: by scikit-learn, say, which then owns it. No value
    lies below `low` or above `high`.

    Raises InputError where it cannot be one.
    """

    name: str
    _: KW_ONLY
    tasks: tuple[Task, ...]
    losses: Callable[[Array, Array], Array] | None = None
    lower_is_better: bool = False
    low: float = -np.inf
    high: float = np.inf
    of: Callable[[Array], Array] | None = None
    value: Callable[[Array, Array], float] | None = None
    form: Callable[[Array, Array], Form] | None = None
    expect: Callable[[Array, Array], Expected] | None = None

    def __post_init__(self) -> None:
        """Check what was given."""
        said = f"the metric {self.name!r}"
        if not isinstance(self.name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise InputError(f"{said}: its name must be letters, digits and _, such as 'cost'")
        if self.name in TAKEN:
            raise InputError(f"{said}: a run records something else by that name: rename it")
        if isinstance(self.tasks, str) or not self.tasks:
            raise InputError(f"{said}: tasks must be a tuple, such as ('binary',): mind the comma")
        if unknown := [task for task in self.tasks if task not in TASKS]:
            raise InputError(f"{said}: {_unknown('task', str(unknown[0]), TASKS)}")
        if (self.losses is None) == (self.form is None):
            raise InputError(f"{said}: give either losses, where it is a mean over rows, or a form")
        parts = ("losses", "of", "value", "form", "expect")
        if odd := [part for part in parts if not callable(getattr(self, part) or len)]:
            raise InputError(f"{said}: {odd[0]} must be a function")
        if self.losses is not None and self.expect is not None:
            raise InputError(f"{said}: leave out expect: what is expected follows from losses")
        if not self.low < self.high:
            raise InputError(f"{said}: low ({self.low}) must be less than high ({self.high})")

    def measure(self, y: Array, p: Array) -> float:
        """Return the metric; NaN where it is not defined."""
        return float(self.value(y, p)) if self.value else self.weighted(y, p)(np.ones(len(y)))

    def weighted(self, y: Array, p: Array) -> Form:
        """Return the metric of labels `y` and predictions `p` as a function of row weights.

        Of the library's all are exact, but for the two that depend on ranks: these are exact to
        first order around equal weights (for the AUC that is the method of DeLong et al., Comparing
        the areas under correlated ROC curves, 1988).
        """
        if self.form:
            return self.form(y, p)
        assert self.losses
        rows = np.column_stack([self.losses(y, p), np.ones(len(y))])
        return Form(rows, self.of or mean_of)

    def expected(self, p: Array, said: Array) -> Expected | None:
        """Return what it may be expected to be without labels; None where it does not say."""
        if self.losses:
            return expect_mean(self.losses, p, said, self.of or mean_of)
        return self.expect(p, said) if self.expect else None

    def clip(self, edges: Sequence[float]) -> list[float]:
        """Return `edges` within the bounds, beyond which a widened interval might reach."""
        return [float(edge) for edge in np.clip(edges, self.low, self.high)]

    @property
    def sign(self) -> float:
        """What a difference is multiplied by so that more of it is better."""
        return -1.0 if self.lower_is_better else 1.0

    @property
    def is_relative(self) -> bool:
        """Whether margins count in a share of its value: of errors, and of what can be above 1."""
        return self.lower_is_better or self.high > 1

    def unit(self, value: float) -> float:
        """Return what margins beside `value` count in: the metric itself, or a share of it."""
        return abs(value) if self.is_relative else 1.0


@dataclass(frozen=True)
class Metrics:
    """The metrics that there are; a task's first decides where `gate.metric` names none."""

    known: tuple[Metric, ...]

    def __getitem__(self, name: str) -> Metric:
        """Return the metric called `name`. Raises InputError where there is none."""
        for metric in self.known:
            if metric.name == name:
                return metric
        names = [metric.name for metric in self.known]
        raise InputError(
            f"{_unknown('metric', name, names)}; one of your own stands in extensions.py"
        )

    def of(self, task: str) -> dict[str, Metric]:
        """Return the metrics of `task` by name, in order."""
        return {metric.name: metric for metric in self.known if task in metric.tasks}

    def add(self, more: Sequence[Metric]) -> Metrics:
        """Return these and `more`. Raises InputError where two have the same name."""
        taken = [metric.name for metric in self.known]
        for metric in more:
            if metric.name in taken:
                raise InputError(f"there is a metric {metric.name!r} already: rename yours")
            taken.append(metric.name)
        return Metrics((*self.known, *more))

    def pick(self, name: str | None, task: str) -> str:
        """Return the metric that decides: the one called `name` (gate.metric), or the task's first.

        Raises InputError where the task has no such metric.
        """
        names = [*self.of(task)]
        if name is None or name in names:
            return name or names[0]
        raise InputError(
            f"gate.metric: {_unknown('metric', name, names, f' for task {task}')}; if it was one "
            "of your own, restore it in extensions.py"
        )

    def loss(self, task: str) -> str:
        """Return the first metric of `task` in which less is better.

        Log loss, or the root of the mean squared error.
        """
        return next(name for name, metric in self.of(task).items() if metric.lower_is_better)

    def measure(self, task: str, y: Array, p: Array) -> dict[str, float]:
        """Return each metric of `task`, shapes as in `Metric`; AUC is NaN with one class only."""
        return {name: metric.measure(y, p) for name, metric in self.of(task).items()}


def _unknown(what: str, name: str, known: Sequence[str], where: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"there is no {what} {name!r}{where}: {hint}there are {', '.join(known)}"
