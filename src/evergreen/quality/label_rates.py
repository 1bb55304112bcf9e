"""Label rates: labels of some rows, or of all, that are given otherwise than they ever were.

Flights to one airport are late in 29% of the rows, and from one month on in all of them. Of a
number no such part is looked at: its tenths are late more often in winter for what else winter
brings. Nothing here reads history: rows are those that sketches keep.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from evergreen.features.split import LABEL
from evergreen.finding import percent
from evergreen.statistics.columns import CELLS, Column, Levels, Numbers
from evergreen.statistics.design_effect import day_design_effect
from evergreen.statistics.pooling import pool
from evergreen.statistics.psi import FEWEST_BATCHES
from evergreen.statistics.sketch import Sketch

Array = np.ndarray[Any, np.dtype[Any]]
# Rows of a level, and besides it, in the new batch, and in an earlier one that knows it
FEWEST, KNOWN = 20, 10
JUMP = 0.25  # of the rows of a level, beyond all that was seen: no season does that
QUARTERS = 4  # into which a label that is a number is cut


@dataclass(frozen=True)
class Rows:
    """Rows of a batch, each in one part of every column (a level, a range of numbers).

    `parts`, shape (rows, columns): those that each row is in, numbered over all columns. `label`,
    shape (rows,): its class. `days`, shape (rows,): equal for rows that belong together. `counts`,
    shape (parts, classes).
    """

    parts: Array = field(repr=False)
    label: Array = field(repr=False)
    days: Array = field(repr=False)
    counts: Array = field(repr=False)

    @cached_property
    def rows(self) -> Array:
        """How many rows each part has, shape (parts, 1)."""
        return np.asarray(self.counts.sum(axis=1, keepdims=True))

    def known(self, fewest: int) -> Array:
        """Return which parts have `fewest` rows, and leave as many to the others: (parts, 1)."""
        return np.asarray((self.rows >= fewest) & (len(self.label) - self.rows >= fewest))

    @cached_property
    def others(self) -> Array:
        """The rates of the rows that are not in a part, shape (parts, classes)."""
        total = np.bincount(self.label, minlength=self.counts.shape[1])
        return np.asarray((total - self.counts) / np.maximum(len(self.label) - self.rows, 1))

    @cached_property
    def gaps(self) -> Array:
        """The rates of each part less those of the others, shape (parts, classes)."""
        return np.asarray(self.counts / np.maximum(self.rows, 1) - self.others)


def find_label_rates(batch: Sketch, earlier: Sequence[Sketch], confidence: float) -> str:
    """Return in a sentence which labels are given otherwise than in all `earlier` batches, or "".

    Of a level of a category: how far the rate of a class is above that of all other rows is surely
    beyond the most that it was, by the whole range of what it was and by `JUMP` at least. The
    interval is that of Clopper and Pearson, for as many rows as those of a day, which are alike,
    are worth; corrected for the number of levels (Bonferroni). Of all rows: labels surely go
    against what they went with in each earlier batch (`_find_inverted`).
    """
    names, classes, rows = _divide(batch, earlier)
    if not names or len(classes) < 2:
        return ""
    new, *before = rows
    ordered = isinstance(batch.columns[LABEL], Numbers)
    inverted = _find_inverted(new, before, [] if ordered else classes, confidence)
    return inverted or _find_jump(new, before, names, classes, confidence)


def _divide(batch: Sketch, earlier: Sequence[Sketch]) -> tuple[list[str], list[str], list[Rows]]:
    """Return the parts and the classes, in words, and the rows of each batch, the new one first.

    Parts of numbers have an empty name.
    """
    sketches, past = [batch, *earlier], pool(earlier).columns
    shared = [
        name
        for name in batch.columns
        if name in past and type(past[name]) is type(batch.columns[name])
    ]
    cut = {
        name: _cut([sketch.sample[name] for sketch in sketches], past[name], name)
        for name in shared
    }
    if LABEL not in cut or len(cut) == 1:
        return [], [], []
    classes, labels = cut.pop(LABEL)
    starts = np.cumsum([0, *(len(words) for words, _ in cut.values())])
    found = []
    for at, sketch in enumerate(sketches):
        some = labels[at] < len(classes) - 1  # the last is that of rows without a label
        columns = [
            codes[at][some] + start
            for (_, codes), start in zip(cut.values(), starts[:-1], strict=True)
        ]
        parts, label = np.column_stack(columns), labels[at][some]
        pairs = (parts * len(classes) + label[:, None]).ravel()
        counts = np.bincount(pairs, minlength=starts[-1] * len(classes)).reshape(-1, len(classes))
        found.append(Rows(parts, label, sketch.blocks[some], counts[:, :-1]))
    levels = {name: isinstance(past[name], Levels) for name in cut}
    names = [
        f"{name} {word}" if levels[name] else ""
        for name, (words, _) in cut.items()
        for word in words
    ]
    return names, classes[:-1], found


def _cut(samples: Sequence[pl.Series], past: Column, name: str) -> tuple[list[str], list[Array]]:
    """Return the names of the parts of a column, and the part of each row.

    The last part is that of all others, or of missing values.
    """
    if isinstance(past, Levels):
        levels = sorted(level for level, rows in past.counts.items() if rows >= KNOWN)
        places = [
            sample.cast(pl.Enum(levels), strict=False).to_physical().fill_null(len(levels))
            for sample in samples
        ]
        return [*map(repr, levels), "rare or missing"], [
            codes.to_numpy().astype(np.intp) for codes in places
        ]
    edges = past.cuts(QUARTERS if name == LABEL else CELLS)
    bounds = [f"{edge:.4g}" for edge in edges]
    between = [f"over {low} to {high}" for low, high in pairwise(bounds)]
    words = [f"up to {bounds[0]}", *between, f"over {bounds[-1]}"] if bounds else ["there"]
    values = [sample.to_numpy() for sample in samples]
    return [*words, "missing"], [
        np.where(np.isfinite(column), np.searchsorted(edges, column), len(words)).astype(np.intp)
        for column in values
    ]


def _find_jump(
    new: Rows,
    before: Sequence[Rows],
    names: Sequence[str],
    classes: Sequence[str],
    confidence: float,
) -> str:
    """Return in words which part is surely farthest beyond what it was; empty where none is.

    How: in each part (the flights to one airport, say) the rate of a class is compared with that of
    all other rows. The lower bound of the interval of this gap must be beyond all earlier gaps, by
    their whole range and by a quarter of the rows at least.
    """
    from scipy.stats import beta

    gaps = np.ma.stack(
        [
            np.ma.array(
                earlier.gaps, mask=np.broadcast_to(~earlier.known(KNOWN), earlier.gaps.shape)
            )
            for earlier in before
        ]
    )
    level = np.array([bool(name) for name in names])[:, None]
    known = level & new.known(FEWEST) & (gaps.count(axis=0) >= FEWEST_BATCHES)
    low, high = gaps.min(axis=0).filled(0.0), gaps.max(axis=0).filled(0.0)
    limit = high + np.maximum(JUMP, high - low)
    farthest, found = 0.0, ""
    for part, kind in np.argwhere(known & (new.gaps > limit)):
        inside = (new.parts == part).any(axis=1)
        rows = inside.sum() / day_design_effect(
            (new.label[inside] == kind).astype(np.uint8), new.days[inside]
        )
        share = new.counts[part, kind] / inside.sum()
        least = beta.ppf((1 - confidence) / 2 / known.sum(), share * rows, (1 - share) * rows + 1)
        beyond = float(least) - new.others[part, kind] - limit[part, kind]
        if beyond > farthest:
            past = [
                earlier.counts[part, kind] / earlier.rows[part, 0]
                for earlier in before
                if earlier.known(KNOWN)[part, 0]
            ]
            farthest, found = (
                beyond,
                (
                    f"{LABEL} is {classes[kind]} in {percent(share)} of the rows with "
                    f"{names[part]}, and was in {percent(min(past))} to {percent(max(past))} of "
                    f"them in {len(past)} earlier batches"
                ),
            )
    return found


def _find_inverted(
    new: Rows, before: Sequence[Rows], classes: Sequence[str], confidence: float
) -> str:
    """Return in words that labels are surely inverted: against what they went with before.

    Empty where that is not sure. A class (or a number, as its quarter, where there are no
    `classes`) goes with a row by as much as it usually is higher in the parts that the row is in.
    Against it, and half as much as usual (of K classes that change places, a K-1st of that), is
    inverted.
    """
    for kind, what in enumerate([f"{LABEL} {name}" for name in classes] or [LABEL]):
        weights = (
            np.eye(len(classes))[kind] if classes else np.arange(new.counts.shape[1], dtype=float)
        )
        now, _, high = _agreement(new, before, weights, confidence)
        if not high < 0:
            continue
        past = [
            _agreement(rows, [*before[:at], *before[at + 1 :]], weights, confidence)
            for at, rows in enumerate(before)
        ]
        middles = [r for r, _, _ in past]
        if min(low for _, low, _ in past) > 0 and -now >= float(np.median(middles)) / 2 / max(
            1, len(classes) - 1
        ):
            return (
                f"{what} goes against the features (correlation {now:.2f}), and went with "
                f"them in each of {len(past)} earlier batches ({min(middles):.2f} to "
                f"{max(middles):.2f}): were labels inverted?"
            )
    return ""


def _agreement(
    rows: Rows, others: Sequence[Rows], weights: Array, confidence: float
) -> tuple[float, float, float]:
    """Return the correlation of the label with its prediction from other batches, and its interval.

    The prediction of a row: by how much the label is usually higher in the parts that the row is
    in, summed. Days count as independent. `weights`: what each class counts, shape (classes,). The
    variance is that of the correlation's linear part, rows of a day summed (Cochran, Sampling
    techniques, 1977, section 6.3).
    """
    from scipy.stats import norm

    counts = np.sum([other.counts for other in others], axis=0)
    whole = counts.sum(axis=1)
    usual = np.where(
        whole,
        counts @ weights / np.maximum(whole, 1) - counts.sum(axis=0) @ weights / counts.sum(),
        0.0,
    )
    pair = np.column_stack([weights[rows.label], usual[rows.parts].sum(axis=1)])
    if not (spread := pair.std(axis=0)).all():
        return 0.0, 0.0, 0.0
    u, v = ((pair - pair.mean(axis=0)) / spread).T
    r = float((u * v).mean())
    _, day = np.unique(rows.days, return_inverse=True)
    sums = np.bincount(day, u * v - r * (np.square(u) + np.square(v)) / 2)
    deviation = math.sqrt(np.square(sums).sum() * len(sums) / max(1, len(sums) - 1)) / len(u)
    wide = float(norm.ppf((1 + confidence) / 2)) * deviation
    return r, r - wide, r + wide
