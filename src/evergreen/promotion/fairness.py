"""Fairness: how differently a model treats the groups declared in `dataset.py` (groups)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
FEWEST_ROWS = 30  # a smaller group's rates are noise


@dataclass(frozen=True)
class Gap:
    """The largest difference between two groups: as observed, and its lower bound beyond noise."""

    value: float
    low: float


@dataclass(frozen=True)
class _Rates:
    """One measure by group, shape (groups,): as observed; drawn to the middle; its variance."""

    observed: Array
    centre: Array
    variance: Array


def find_group_differences(
    task: str,
    y: Array,
    p: Array,
    groups: Mapping[str, Array],
    threshold: float,
    confidence: float = 0.95,
) -> dict[str, Gap]:
    """Return for each kind of group the largest difference between two of at least 30 rows.

    `groups`: the group of each row, shape (rows,), by kind. Binary: the equalized odds difference,
    of predictions from `threshold` on (Hardt et al., Equality of opportunity in supervised
    learning, 2016), each rate over the groups that have one. Multiclass: in accuracy. Regression:
    in mean absolute error, in standard deviations of the label. `low` allows for every pair of
    groups that was looked at (Bonferroni), with the interval of Agresti and Caffo, Simple and
    effective confidence intervals for proportions, 2000.
    """
    found = {}
    for kind, members in groups.items():
        names, counts = np.unique(members, return_counts=True)
        large = np.isin(members, names[counts >= FEWEST_ROWS])
        if len(np.unique(members[large])) < 2:
            continue
        measures = list(_measure(task, y[large], p[large], members[large], threshold))
        if measures:
            found[kind] = _largest(measures, confidence)
    return found


def _measure(task: str, y: Array, p: Array, group: Array, threshold: float) -> Iterator[_Rates]:
    from fairlearn.metrics import selection_rate
    from sklearn.metrics import accuracy_score, mean_absolute_error

    if task == "binary":
        for label in (0, 1):  # of no called yes, of yes found
            rows = y == label
            if len(np.unique(group[rows])) > 1:  # a group without any has no such rate
                yield _share(*_by_group(selection_rate, y[rows], p[rows] >= threshold, group[rows]))
    elif task == "multiclass":
        yield _share(*_by_group(accuracy_score, y, p.argmax(axis=1), group))
    else:
        observed, counts = _by_group(mean_absolute_error, y, p, group)
        unit = float(y.std()) or 1.0
        errors = np.abs(y - p) / unit
        variance = (
            np.array([errors[group == name].var(ddof=1) for name in np.unique(group)]) / counts
        )
        yield _Rates(observed / unit, observed / unit, variance)


def _by_group(metric: Any, y: Array, predicted: Array, group: Array) -> tuple[Array, Array]:
    """Return a metric by group, and how many rows each has, in order of the groups' names."""
    from fairlearn.metrics import MetricFrame, count

    frame = MetricFrame(
        metrics={"value": metric, "rows": count},
        y_true=y,
        y_pred=predicted,
        sensitive_features=group,
    )
    table = frame.by_group.sort_index()
    return table["value"].to_numpy(dtype=float), table["rows"].to_numpy(dtype=float)


def _share(observed: Array, counts: Array) -> _Rates:
    centre = (observed * counts + 1) / (counts + 2)  # one success and one failure more
    return _Rates(observed, centre, centre * (1 - centre) / (counts + 2))


def _largest(measures: list[_Rates], confidence: float) -> Gap:
    from scipy.stats import norm

    pairs = [
        (rates, first, second)
        for rates in measures
        for first, second in combinations(range(len(rates.observed)), 2)
    ]
    far = float(norm.ppf(1 - (1 - confidence) / (2 * len(pairs))))
    lows = [
        float(abs(rates.centre[a] - rates.centre[b]))
        - far * float(rates.variance[a] + rates.variance[b]) ** 0.5
        for rates, a, b in pairs
    ]
    return Gap(max(float(np.ptp(rates.observed)) for rates in measures), max(0.0, *lows))
