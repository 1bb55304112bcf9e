"""Fairness: how differently a model treats the groups that are declared in `dataset.py` (GROUPS)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
FEWEST_ROWS = 30  # a smaller group's rates are noise


def find_group_differences(
    task: str, y: Array, p: Array, groups: Mapping[str, Array], threshold: float
) -> dict[str, float]:
    """Return, for each kind of group, the largest difference between two groups of at least 30 rows.

    `groups`: the group of each row, shape (rows,), by kind. Binary: the equalized odds difference, of
    predictions above `threshold` (Hardt et al., Equality of opportunity in supervised learning, 2016), each rate over
    the groups that have one. Multiclass: in
    accuracy. Regression: in mean absolute error, in standard deviations of the label.
    """
    from fairlearn.metrics import MetricFrame, selection_rate
    from sklearn.metrics import accuracy_score, mean_absolute_error

    found = {}
    for kind, members in groups.items():
        names, counts = np.unique(members, return_counts=True)
        large = np.isin(members, names[counts >= FEWEST_ROWS])
        if len(np.unique(members[large])) < 2:
            continue
        labels, said, group = y[large], p[large], members[large]
        if task == "binary":
            rates = [labels == label for label in (0, 1)]  # of no called yes, of yes found
            known = [one for one in rates if len(np.unique(group[one])) > 1]  # a group without any has no such rate
            frames = [
                MetricFrame(
                    metrics=selection_rate,
                    y_true=labels[one],
                    y_pred=said[one] >= threshold,
                    sensitive_features=group[one],
                )
                for one in known
            ]
            if frames:
                found[kind] = max(float(frame.difference()) for frame in frames)
            continue
        metric = accuracy_score if task == "multiclass" else mean_absolute_error
        shown = said.argmax(axis=1) if task == "multiclass" else said
        frame = MetricFrame(metrics=metric, y_true=labels, y_pred=shown, sensitive_features=group)
        scale = 1.0 if task == "multiclass" else float(labels.std()) or 1.0
        found[kind] = float(frame.difference()) / scale
    return found
