"""Schedules: the learning rate of each round, a pure function of its number.

No clock and no state: whoever trains again, or refits for a fixed number of rounds, gets the same
rates. Every schedule begins at `train.learning_rate` and comes down to its share `schedule_end` in
`schedule_rounds` rounds, where it stays: a rate that went on falling would let each round gain a
little for ever, and early stopping wait for ever.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evergreen.params import Train

HALF = 0.5  # what a drop of the step schedule leaves


def rate_at(params: Train, number: int) -> float:
    """Return the learning rate of a round; the first has the number 0."""
    if params.schedule == "constant":
        return params.learning_rate
    done, end = number / params.schedule_rounds, params.schedule_end
    share = end if done >= 1 else max(end, SHARES[params.schedule](done, end))
    return params.learning_rate * share


def is_over(params: Train, number: int) -> bool:
    """Return True if the rate does not fall any more after the round of this number."""
    return params.schedule == "constant" or number + 1 >= params.schedule_rounds


def _time(done: float, end: float) -> float:
    """Return 1 / (1 + k t): time-based decay, with k such that `end` is left at the end.

    Robbins and Monro, A stochastic approximation method, 1951, ask for rates whose sum is infinite
    and that of whose squares is not, as of 1 / t; in this form Bottou, Stochastic gradient descent
    tricks, 2012, section 5.2.
    """
    return 1 / (1 + (1 / end - 1) * done)


def _exponential(done: float, end: float) -> float:
    """Return exp(-k t), with k such that `end` is left at the end.

    Each round keeps the same share of the rate before. For instance Goodfellow, Bengio and
    Courville, Deep learning, 2016, section 8.3.1, name it beside the others.
    """
    return math.exp(math.log(end) * done)


def _step(done: float, end: float) -> float:
    """Return the share after drops by half: 0.5 ** floor(t / n), drop-based decay.

    n is the number of rounds after which half is left on the curve of the exponential schedule, so
    that both come to `end` at the same time.
    """
    drops = math.log(end) / math.log(HALF)
    return float(HALF ** math.floor(done * drops))


def _cosine(done: float, end: float) -> float:
    """Return end + (1 - end) (1 + cos(pi t / T)) / 2: half a wave.

    Loshchilov and Hutter, SGDR: stochastic gradient descent with warm restarts, 2017, equation 5,
    without restarts.
    """
    return end + (1 - end) * (1 + math.cos(math.pi * done)) / 2


SHARES: dict[str, Callable[[float, float], float]] = {
    "time": _time,
    "exponential": _exponential,
    "step": _step,
    "cosine": _cosine,
}
