"""Suspect: features that predict the label nearly by themselves, as leaks do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from evergreen.adopt.columns import MOMENT, Column
from evergreen.adopt.warning import ColumnWarning, listed, shown
from evergreen.metrics.metric import Task
from evergreen.params import Leaks
from evergreen.quality.leaks import GUESSING, STRONG, stands_out

if TYPE_CHECKING:
    import numpy as np

    from evergreen.training.tables import Tables

LOOKED_AT = 50_000  # rows


def warn_of_leaks(
    features: Mapping[str, Column], target: Column, task: Task, positive: object, leaks: Leaks
) -> tuple[ColumnWarning, ...]:
    """Return a warning for each column that predicts the label nearly exactly, or well.

    Alone, or a few together. Only what is nearly exact is out (of a few that are so together, all).
    The bounds are those of the check before training; what is strong is a question to the person,
    and stays.
    """
    rows = target.values.is_not_null()
    if not features or not rows.any():
        return ()
    halves = _halves(features, target.values.filter(rows), rows, task, positive)
    scores = _score(halves)
    bound, measure = leaks.max_single_score or 1.0, "R2" if task == "regression" else "AUC"
    exact = [name for name, score in scores.items() if score > bound]
    warnings = [
        ColumnWarning(
            features[name].name,
            "suspected leak",
            (
                f"predicts the label nearly by itself ({measure} {scores[name]:.3f}), as what is "
                "known only afterwards does"
            ),
            out=True,
        )
        for name in exact
    ]
    warnings += _warn_joint(features, halves[0], exact)
    gone = {warning.column for warning in warnings}
    left = {name: score for name, score in scores.items() if features[name].name not in gone}
    return (*_warn_strong(features, left, task, measure, leaks.stand_out), *warnings)


def _warn_joint(
    features: Mapping[str, Column], tables: Tables, exact: list[str]
) -> list[ColumnWarning]:
    """Return a warning for each of a few columns of which the label is made.

    All of them are out, as it is not known which is late.
    """
    from evergreen.quality.multivariate import find_joint

    found = find_joint(tables, [name for name in features if name not in exact])
    if found is None:
        return []
    warnings = []
    for name in found.names:
        others = listed([shown(features[other].name) for other in found.names if other != name])
        says = (
            f"{f'together with {others} ' if others else ''}predicts the label nearly exactly, as "
            "the parts of a formula do: put back into features what is known in time"
        )
        warnings.append(ColumnWarning(features[name].name, "suspected leak", says, out=True))
    return warnings


def _warn_strong(
    features: Mapping[str, Column],
    scores: Mapping[str, float],
    task: Task,
    measure: str,
    least: float | None,
) -> list[ColumnWarning]:
    """Return a question for each column that tells much by itself, and stays."""
    known, told = {name: score for name, score in scores.items() if score == score}, []
    for name, score in known.items():
        second = max((other for key, other in known.items() if key != name), default=None)
        alone = (
            second is not None
            and least is not None
            and stands_out(score, second, GUESSING[task], least)
        )
        if alone or score >= STRONG:
            beside = f", the next {second:.3f}" if alone else ""
            says = (
                f"predicts the label well by itself ({measure} {score:.3f}{beside}): LOOK AT THIS "
                "FIRST. It stays a feature; if it is known only after the event, "
                f"`--known-later {shown(features[name].name)}` takes it out"
            )
            told.append(ColumnWarning(features[name].name, "strong", says))
    return told


def _halves(
    features: Mapping[str, Column], label: pl.Series, rows: pl.Series, task: Task, positive: object
) -> tuple[Tables, Tables]:
    """Return tables that train on one half of the rows and validate on the other, both ways."""
    import numpy as np

    from evergreen.training.tables import Table, Tables

    y, classes = _as_codes(label, task, positive)
    x = np.column_stack([_as_numbers(column, rows) for column in features.values()])
    text = tuple(name for name, column in features.items() if column.dtype == pl.String())
    order = np.random.default_rng(0).permutation(len(y))[:LOOKED_AT]
    first, second = (Table(np.ascontiguousarray(x[at]), y[at]) for at in np.array_split(order, 2))
    names, nothing = tuple(features), Table(x[:0], y[:0])
    return (
        Tables(task, names, text, classes, first, second, nothing),
        Tables(task, names, text, classes, second, first, nothing),
    )


def _score(halves: tuple[Tables, Tables]) -> dict[str, float]:
    """Return how well each feature predicts the label of one half from the other, both ways."""
    import numpy as np

    from evergreen.quality.univariate import score_features

    both = [score_features(tables) for tables in halves]
    return {
        name: float(np.mean([found[name].validation for found in both]))
        for name in halves[0].features
    }


def _as_codes(
    label: pl.Series, task: Task, positive: object
) -> tuple[np.ndarray[Any, Any], tuple[str, ...]]:
    if task == "binary":
        return (label == positive).cast(pl.Float32).to_numpy(), ("no", "yes")
    if task == "multiclass":
        names = tuple(str(label) for label in label.unique().sort())
        return (label.rank("dense") - 1).cast(pl.Float32).to_numpy(), names
    return label.cast(pl.Float32).to_numpy(), ()


def _as_numbers(column: Column, rows: pl.Series) -> np.ndarray[Any, Any]:
    values = column.values.filter(rows)
    if column.dtype == pl.String():
        values = values.rank("dense").fill_null(0)
    elif column.dtype == MOMENT:
        values = values.dt.epoch("s") / 86_400
    return values.cast(pl.Float32).to_numpy()
