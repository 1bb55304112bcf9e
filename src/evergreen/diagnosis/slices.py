"""Slices: where the model is worst, and where it is surely and mendably wrong.

Searched are the levels of categories and the quantile bins of numbers, each alone and in pairs.
So many are looked at that some are bad by luck: intervals are as wide as so many looks need
(Bonferroni). A slice with a high loss may only be hard; one is wrong where what happens differs
from what is predicted, on average, more than elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from evergreen.diagnosis.fault import SLICE, Fault, Found
from evergreen.diagnosis.lab import Lab, variance_of_mean
from evergreen.diagnosis.rows import value_of
from evergreen.finding import Finding
from evergreen.training.tables import Tables

Array = np.ndarray[Any, np.dtype[Any]]
BINS = 4  # of equal size, of a number
FEWEST = 50  # rows of a slice
WIDEST = 8  # features that are paired, the strongest
MOST_LEVELS = 12  # of a category that is paired
ALPHA = 0.05  # of a false alarm in the whole search
SHOWN = 12


@dataclass(frozen=True)
class Slice:
    """Some judged rows, by one feature or two.

    `loss`: their mean loss, with `half` the width of its corrected interval. `off`: how much more
    happens there than is predicted, less the same elsewhere, and `half_off` likewise. `gain`: what
    mending so much of it as is sure would be worth, as a share of the loss of a constant
    prediction.
    """

    name: str
    rows: int
    loss: float
    half: float
    off: float
    half_off: float
    gain: float


def search(lab: Lab, strongest: list[int]) -> list[Slice]:
    """Return every slice with enough rows, given the columns of the strongest features."""
    tables, p = lab.tables, lab.base.p
    losses, residuals, curvature = (
        lab.base.losses.mean(axis=0),
        _residuals(tables, p),
        _curvature(tables, p),
    )
    found = [
        (name, places)
        for name, places in _candidates(tables, strongest)
        if FEWEST <= len(places) < len(losses)
    ]
    if not found:
        return []
    from scipy.stats import norm

    sides = residuals.shape[1]
    width = float(norm.isf(ALPHA / 2 / (len(found) * sides)))
    stretch = _stretch(residuals, lab.days)
    return [
        _judge(name, places, losses, residuals, curvature, width * stretch, lab.constant)
        for name, places in found
    ]


def _judge(
    name: str,
    places: Array,
    losses: Array,
    residuals: Array,
    curvature: Array,
    width: float,
    unit: float,
) -> Slice:
    inside = losses[places]
    half = width * float(inside.std(ddof=1)) / len(places) ** 0.5
    here = np.zeros(len(losses), bool)
    here[places] = True
    share, sides = len(places) / len(losses), (residuals[here], residuals[~here])
    off = sides[0].mean(axis=0) - sides[1].mean(axis=0)
    error = np.sqrt(sum(side.var(axis=0) / len(side) for side in sides)) + 1e-12
    worst = int(np.argmax(np.abs(off) / error))
    # The loss falls by the square of how far it is from the others
    sure = max(0.0, abs(float(off[worst])) - width * float(error[worst]))
    gain = share * (1 - share) * sure**2 * float(curvature[:, worst].mean()) / unit
    return Slice(
        name,
        len(places),
        float(inside.mean()),
        half,
        float(off[worst]),
        width * float(error[worst]),
        gain,
    )


def _residuals(tables: Tables, p: Array) -> Array:
    """Return what happened less what was predicted, shape (rows, 1 or classes)."""
    if p.ndim == 1:
        return np.asarray((tables.holdout.y.astype(np.float64) - p)[:, None])
    return np.asarray(np.eye(p.shape[1])[tables.holdout.y.astype(int)] - p)


def _curvature(tables: Tables, p: Array) -> Array:
    """Return by what the square of a shift of each prediction lowers the loss."""
    if tables.task == "regression":
        return np.ones((len(p), 1))
    whole = p[:, None] if p.ndim == 1 else p
    return np.asarray(1 / (2 * np.clip(whole * (1 - whole), 0.02, None)))


def _stretch(residuals: Array, days: Array | None) -> float:
    """Return how much wider intervals are because rows of one day err alike."""
    first = residuals[:, 0]
    return float(
        np.sqrt(max(1.0, variance_of_mean(first, days) / max(1e-12, variance_of_mean(first))))
    )


def _candidates(tables: Tables, strongest: list[int]) -> Iterator[tuple[str, Array]]:
    cells = {at: _cells(tables, at) for at in range(len(tables.features))}
    for levels in cells.values():
        yield from ((name, np.flatnonzero(mask)) for name, mask in levels)
    paired = [at for at in strongest if len(cells[at]) <= MOST_LEVELS][:WIDEST]
    for first, second in combinations(paired, 2):
        for level, here in cells[first]:
            for other, there in cells[second]:
                yield f"{level}, {other}", np.flatnonzero(here & there)


def _cells(tables: Tables, at: int) -> list[tuple[str, Array]]:
    """Return the levels of a category or the bins of a number: each with which rows are in it."""
    name, values = tables.features[at], tables.holdout.x[:, at]
    distinct = np.unique(values[~np.isnan(values)])
    if name in tables.categories or len(distinct) <= BINS:
        found = [
            (f"{name} = {value_of(tables, at, float(value))}", values == value)
            for value in distinct
        ]
    else:
        cuts = np.unique(np.nanquantile(values, np.arange(1, BINS) / BINS))
        which = np.searchsorted(cuts, values, side="left")
        edges = ["", *(f"{cut:.4g}" for cut in cuts), ""]
        found = []
        for bin_ in range(len(cuts) + 1):
            low, high = edges[bin_], edges[bin_ + 1]
            words = (
                f"{name} ≤ {high}"
                if not low
                else f"{name} > {low}"
                if not high
                else f"{low} < {name} ≤ {high}"
            )
            found.append((words, (which == bin_) & ~np.isnan(values)))
    if np.isnan(values).any():
        found.append((f"{name} missing", np.isnan(values)))
    return found


def find_slices(lab: Lab, strongest: list[int]) -> Found:
    """Return the slices that are surely predicted wrongly, and the worst by their loss."""
    found = search(lab, strongest)
    if not found:
        return Found()
    wrong = max(found, key=lambda part: (part.gain, -part.rows))
    table = _table(lab, found)
    question = "Is it wrong somewhere?"
    if wrong.gain < lab.least:
        answer = f"Of {len(found):,} slices none is surely wrong by as much as matters."
        return Found(answers=((question, answer),), tables=(table,))
    more = "more" if wrong.off > 0 else "less"
    says = (
        f"where {wrong.name} ({wrong.rows:,} rows), the label is {more} than predicted by "
        f"{abs(wrong.off):.3g} "
        f"± {wrong.half_off:.2g}, beyond what luck gives in {len(found):,} slices"
    )
    remedy = (
        "bring a feature that tells these rows apart, or more rows like them; a label that means "
        "something else there wants a model of its own"
    )
    return Found(faults=(Fault(SLICE, says, remedy, wrong.gain),), tables=(table,))


def _table(lab: Lab, found: list[Slice]) -> Finding:
    ranked = sorted(found, key=lambda part: part.half - part.loss)[:SHOWN]
    overall = lab.base.loss
    return Finding(
        "slices",
        "worst slices",
        ranked[0].loss,
        f"By what the mean loss is at least, of {len(found):,} slices of at least {FEWEST} rows; "
        "over all rows it is "
        f"{overall:.4g}. A slice may be hard and yet be predicted as well as can be: what is "
        "wrong shows in the last columns.",
        "number",
        columns={
            "slice": "text",
            "rows": "count",
            "loss": "number",
            "at least": "number",
            "label less prediction": "number",
            "±": "number",
        },
        rows=tuple((part.name, part.rows, *map(_short, _figures(part))) for part in ranked),
        drawn="loss",
    )


def _figures(part: Slice) -> tuple[float, ...]:
    return part.loss, part.loss - part.half, part.off, part.half_off


def _short(value: float) -> float:
    return float(f"{value:.3g}")
