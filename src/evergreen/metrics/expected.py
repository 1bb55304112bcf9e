"""Expected: what a metric is expected to be, from calibrated probabilities, before labels come.

`performance.py` asks for it. A metric that is a mean over rows follows from what each row costs
under each label; the two that depend on ranks are here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
TINY = 1e-9


@dataclass(frozen=True)
class Expected:
    """A metric whose labels are not known: its terms per row, each the mean over labels.

    `columns`: (rows, sums).
    `noise`: covariance of the sums that comes from the labels, (sums, sums). `slopes`: what a
    change of each curve of the calibration adds to a row's, (rows, curves, sums). `of`: as in
    `Form`.
    """

    columns: Array
    noise: Array
    slopes: Array
    of: Callable[[Array], Array]


def expect_mean(
    losses: Callable[[Array, Array], Array], p: Array, said: Array, of: Callable[[Array], Array]
) -> Expected:
    """Return the mean of `losses` where the calibration says `said`, (rows, curves).

    `losses`: of labels and predictions, per row.
    """
    if p.ndim == 1:
        ones = np.ones(len(p))
        yes, no = (np.column_stack([losses(label, p), ones]) for label in (ones, np.zeros(len(p))))
        return of_labels(yes, no, said[:, 0], of)
    own = p / p.sum(axis=1, keepdims=True, dtype=np.float64)
    total = said.sum(axis=1, keepdims=True)
    # No class was seen to happen
    said, total = np.where(total > 0, said, own), np.where(total > 0, total, 1.0)
    each = [losses(np.full(len(p), code, dtype=np.float64), p) for code in range(p.shape[1])]
    return _of_classes(np.column_stack(each), said, total, of)


def _of_classes(losses: Array, said: Array, total: Array, of: Callable[[Array], Array]) -> Expected:
    """Return the mean of each class's `losses` where its probability is `said` / `total`."""
    c = said / total
    mean = (c * losses).sum(axis=1)
    noise, slopes = np.zeros((2, 2)), np.zeros((*losses.shape, 2))
    noise[0, 0] = float(((c * losses**2).sum(axis=1) - mean**2).sum())
    slopes[:, :, 0] = (losses - mean[:, None]) / total
    return Expected(np.column_stack([mean, np.ones(len(mean))]), noise, slopes, of)


def of_labels(yes: Array, no: Array, c: Array, of: Callable[[Array], Array]) -> Expected:
    """Return what sums to `yes` over positive rows and to `no` over the others.

    Both (rows, sums); `c`: each row's probability of being positive.
    """
    apart = yes - no
    return Expected(
        no + c[:, None] * apart, (apart * (c * (1 - c))[:, None]).T @ apart, apart[:, None], of
    )


def expect_roc_auc(p: Array, said: Array) -> Expected:
    """Expect the AUC: the share of pairs in which the positive row is ahead of the negative.

    A tie counts half. With independent labels rows i and j are such a pair with probability c_i (1
    - c_j), i being another row than j. Weights of rows count to first order, as in `metrics.py`.
    """
    p, c = p.astype(np.float64), said[:, 0]
    order = np.argsort(p, kind="stable")
    first, last = (np.searchsorted(p[order], p[order], side=side) for side in ("left", "right"))
    ranked, lost, ahead = c[order], np.empty(len(p)), np.empty(len(p))
    below, above = (np.r_[0.0, np.cumsum(chance)] for chance in (1 - ranked, ranked))
    lost[order] = (below[first] + below[last]) / 2  # negatives behind each row, itself by half
    ahead[order] = above[-1] - (above[first] + above[last]) / 2
    yes, no, itself = float(c.sum()), float((1 - c).sum()), float((c * (1 - c)).sum())
    if not min(yes, no) > 0:
        auc = means = float("nan")
    else:
        auc, means = (
            (float(c @ lost) - itself / 2) / (yes * no - itself),
            float(c @ lost) / (yes * no),
        )
    none, ones = np.zeros(len(p)), np.ones(len(p))

    def of(sums: Array) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(
                np.clip(auc + sums[:, 0] / sums[:, 1] + sums[:, 2] / sums[:, 3] - 2 * means, 0, 1)
            )

    won = np.column_stack([lost / max(no, TINY), ones, none, none])
    return of_labels(won, np.column_stack([none, none, ahead / max(yes, TINY), ones]), c, of)


def expect_average_precision(p: Array, said: Array) -> Expected:
    """Expect average precision: the mean, over positive rows, of the precision at their score.

    A positive row is surely one of its own hits. Weights of rows count to first order, as in
    `metrics.py`.
    """
    p, c = p.astype(np.float64), said[:, 0]
    order = np.argsort(-p, kind="stable")
    ranked, chance = -p[order], c[order]
    called = np.searchsorted(ranked, ranked, side="right")  # rows at or above each row's score
    precision, total = (np.cumsum(chance)[called - 1] - chance + 1) / called, float(chance.sum())
    value = float(chance @ precision / total) if total else float("nan")
    first = np.searchsorted(ranked, ranked, side="left")
    gain, cost = (
        np.cumsum((chance * share)[::-1])[::-1][first] for share in (1 / called, precision / called)
    )
    # What a row leaves that is its own hit
    rest = float(np.mean(chance * (precision - value + gain) - cost))
    yes, no, ones = np.empty(len(p)), np.empty(len(p)), np.ones(len(p))
    yes[order], no[order] = precision - value + gain - cost - rest, -cost - rest
    scale = len(p) / max(total, TINY)
    return of_labels(
        np.column_stack([yes * scale, ones]), np.column_stack([no * scale, ones]), c,
        lambda s: np.clip(value + s[:, 0] / s[:, 1], 0, 1),
    )  # fmt: skip
