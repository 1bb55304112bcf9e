"""Suspect: which features tell the label nearly by themselves, as things do that are known only afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from evergreen.adopt.doubt import Doubt
from evergreen.adopt.infer import MOMENT, Column
from evergreen.life.leaks import stands_out
from evergreen.params import Leaks, Task

if TYPE_CHECKING:
    import numpy as np

LOOKED_AT = 50_000  # rows
LUCK = 5_000  # rows below which chance can carry a score beyond the bound
NEAR = 0.06  # of the bound


@dataclass(frozen=True)
class Suspected:
    """`doubts`: about columns that give the label away. `trusted`: features so near that chance could stop a run."""

    doubts: tuple[Doubt, ...]
    trusted: tuple[str, ...]


def suspect(features: Mapping[str, Column], target: Column, task: Task, positive: object, leaks: Leaks) -> Suspected:
    """Return which columns tell the label all by themselves, by the bounds of the check before training."""
    rows = target.values.is_not_null()
    scores = _score(features, target.values.filter(rows), rows, task, positive) if features else {}
    bound, found = leaks.max_single_score or 1.0, []
    left = {name: score for name, score in scores.items() if score == score}
    while left:
        best, *others = sorted(left, key=left.__getitem__, reverse=True)
        why = _too_good(left[best], left[others[0]] if others else None, task, bound, leaks.stand_out)
        if not why:
            break
        del left[best]
        says = f"{why}, as what is known only afterwards does"
        found.append(Doubt(features[best].name, "suspected leak", says, out=True))
    few = rows.sum() < LUCK
    near = [name for name, score in left.items() if few and score > bound - NEAR]
    told = [
        Doubt(
            features[name].name,
            "strong",
            f"tells much by itself ({left[name]:.3f}); on so few rows chance may carry it over {bound}, so it is in "
            "leaks.trusted: take it out there if it may be known only afterwards",
        )
        for name in near
    ]
    return Suspected((*found, *told), tuple(near))


def _too_good(score: float, second: float | None, task: Task, bound: float, stand_out: float | None) -> str:
    """Say why a score is not believed; nothing where it is."""
    measure = "R2" if task == "regression" else "AUC"
    if score > bound:
        return f"tells the label nearly by itself ({measure} {score:.3f})"
    if second is not None and stand_out is not None and stands_out(score, second, task, stand_out):
        return f"tells far more of the label than any other column ({measure} {score:.3f}, the next {second:.3f})"
    return ""


def _score(
    features: Mapping[str, Column], label: pl.Series, rows: pl.Series, task: Task, positive: object
) -> dict[str, float]:
    """Return how well each feature tells the label of one half of the rows after the other half, both ways."""
    import numpy as np

    from evergreen.life.single_scores import score_features
    from evergreen.model.tables import Table, Tables

    y, classes = _as_codes(label, task, positive)
    x = np.column_stack([_as_numbers(one, rows) for one in features.values()])
    text = tuple(name for name, one in features.items() if one.dtype == pl.String())
    order = np.random.default_rng(0).permutation(len(y))[:LOOKED_AT]
    halves = [Table(np.ascontiguousarray(x[at]), y[at]) for at in np.array_split(order, 2)]
    nothing = Table(x[:0], y[:0])
    both = [
        score_features(Tables(task, tuple(features), text, classes, fitted, met, nothing))
        for fitted, met in (halves, halves[::-1])
    ]
    return {name: float(np.mean([one[name].validation for one in both])) for name in features}


def _as_codes(label: pl.Series, task: Task, positive: object) -> tuple[np.ndarray[Any, Any], tuple[str, ...]]:
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
