"""Suspect: which features tell the label nearly by themselves, as things do that are known only afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from evergreen.adopt.infer import MOMENT, Column
from evergreen.adopt.warning import Doubt, listed, shown
from evergreen.metrics.metric import Task
from evergreen.params import Leaks
from evergreen.quality.leaks import STRONG, stands_out

if TYPE_CHECKING:
    import numpy as np

    from evergreen.training.tables import Tables

LOOKED_AT = 50_000  # rows


def suspect(
    features: Mapping[str, Column], target: Column, task: Task, positive: object, leaks: Leaks
) -> tuple[Doubt, ...]:
    """Return the columns that tell the label nearly exactly, alone or a few together, and those that are merely strong.

    Only what is nearly exact is out (of a few that are so together, all). The bounds are those of
    the check before training; what is strong is a question to the person, and stays.
    """
    rows = target.values.is_not_null()
    if not features or not rows.any():
        return ()
    halves = _halves(features, target.values.filter(rows), rows, task, positive)
    scores = _score(halves)
    bound, measure = leaks.max_single_score or 1.0, "R2" if task == "regression" else "AUC"
    exact = [name for name, score in scores.items() if score > bound]
    doubts = [
        Doubt(
            features[name].name,
            "suspected leak",
            f"tells the label nearly by itself ({measure} {scores[name]:.3f}), as what is known only afterwards does",
            out=True,
        )
        for name in exact
    ]
    doubts += _together(features, halves[0], exact)
    gone = {doubt.column for doubt in doubts}
    left = {name: score for name, score in scores.items() if features[name].name not in gone}
    return (*_strong(features, left, task, measure, leaks.stand_out), *doubts)


def _together(features: Mapping[str, Column], tables: Tables, exact: list[str]) -> list[Doubt]:
    """Return a doubt for each of a few columns of which the label is made; they are out, as nobody knows which is late."""
    from evergreen.quality.multivariate import find_joint

    found = find_joint(tables, [name for name in features if name not in exact])
    if found is None:
        return []
    doubts = []
    for name in found.names:
        others = listed([shown(features[other].name) for other in found.names if other != name])
        says = (
            f"{f'together with {others} ' if others else ''}tells the label nearly exactly, as the parts of a formula do: "
            "put back into features what is known in time"
        )
        doubts.append(Doubt(features[name].name, "suspected leak", says, out=True))
    return doubts


def _strong(
    features: Mapping[str, Column],
    scores: Mapping[str, float],
    task: Task,
    measure: str,
    least: float | None,
) -> list[Doubt]:
    """Return a question for each column that tells much by itself, and stays."""
    known, told = {name: score for name, score in scores.items() if score == score}, []
    for name, score in known.items():
        second = max((other for key, other in known.items() if key != name), default=None)
        alone = second is not None and least is not None and stands_out(score, second, task, least)
        if alone or score >= STRONG:
            beside = f", the next {second:.3f}" if alone else ""
            says = (
                f"tells much of the label by itself ({measure} {score:.3f}{beside}): LOOK AT THIS FIRST. It stays a "
                f"feature; if it is known only after the event, `--known-later {shown(features[name].name)}` takes it out"
            )
            told.append(Doubt(features[name].name, "strong", says))
    return told


def _halves(
    features: Mapping[str, Column], label: pl.Series, rows: pl.Series, task: Task, positive: object
) -> tuple[Tables, Tables]:
    """Return the rows as tables, one half of which trains and the other validates; and the other way round."""
    import numpy as np

    from evergreen.training.tables import Table, Tables

    y, classes = _as_codes(label, task, positive)
    x = np.column_stack([_as_numbers(one, rows) for one in features.values()])
    text = tuple(name for name, one in features.items() if one.dtype == pl.String())
    order = np.random.default_rng(0).permutation(len(y))[:LOOKED_AT]
    first, second = (Table(np.ascontiguousarray(x[at]), y[at]) for at in np.array_split(order, 2))
    names, nothing = tuple(features), Table(x[:0], y[:0])
    return (
        Tables(task, names, text, classes, first, second, nothing),
        Tables(task, names, text, classes, second, first, nothing),
    )


def _score(halves: tuple[Tables, Tables]) -> dict[str, float]:
    """Return how well each feature tells the label of one half of the rows after the other half, both ways."""
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
        names = tuple(str(one) for one in label.unique().sort())
        return (label.rank("dense") - 1).cast(pl.Float32).to_numpy(), names
    return label.cast(pl.Float32).to_numpy(), ()


def _as_numbers(one: Column, rows: pl.Series) -> np.ndarray[Any, Any]:
    values = one.values.filter(rows)
    if one.dtype == pl.String():
        values = values.rank("dense").fill_null(0)
    elif one.dtype == MOMENT:
        values = values.dt.epoch("s") / 86_400
    return values.cast(pl.Float32).to_numpy()
