"""Windows: what monitoring saw of each batch beside what is known of the champion, and what it lost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from evergreen.evaluation.metrics import LOWER_IS_BETTER, Estimate
from evergreen.params import Retrain


@dataclass(frozen=True)
class Window:
    """What monitoring saw of one batch under the present champion.

    `end`: time of its newest row. `labelled`: how many of its rows have labels. `drifted`: features
    that did;
    `together`: all of them as a whole. `real`: the metric that decides, by labels; `estimated`:
    without, adjusted.
    `unfit`: why not to train on the batch. `staleness`: by how much a model that has learnt from
    all before the batch does better on it than the champion; None where that was not measured.
    """

    batch: str
    end: datetime
    rows: int
    labelled: int
    drifted: tuple[str, ...] = ()
    together: bool = False
    label_drifted: bool = False
    prediction_drifted: bool = False
    real: Estimate | None = None
    estimated: Estimate | None = None
    unfit: tuple[str, ...] = ()
    staleness: Estimate | None = None

    @property
    def inputs_drifted(self) -> bool:
        """Whether features did, or what the champion makes of them."""
        return bool(self.drifted) or self.together or self.prediction_drifted


@dataclass(frozen=True)
class ChampionState:
    """What is known of the champion. `learnt_until`: time of the newest row it has learnt from.

    `expected`: `metric`, the one that decides, on its holdout. `retrainings`: for each, promoted or
    not, the newest time in its newest batch. `new_rows`: labelled rows that the champion has not
    learnt from; `learnt_rows`: those it has.
    """

    version: str
    learnt_until: datetime
    expected: Estimate
    metric: str
    retrainings: tuple[datetime, ...]
    new_rows: int
    learnt_rows: int


@dataclass(frozen=True)
class Loss:
    """How much worse a metric is than expected, more being worse, with its interval; NaN where it is not known."""

    value: float
    low: float
    high: float


def find_loss(metric: str, expected: Estimate, seen: Estimate) -> Loss:
    """Return how much worse `metric` is than expected, in the metric itself.

    The interval adds the noise of both by squares, each side's towards the other: for independent
    estimates with symmetric intervals that is the sum of variances (Zou and Donner, Construction of
    confidence limits about effect measures, 2008).
    """
    lower = metric in LOWER_IS_BETTER
    worse, better = (seen, expected) if lower else (expected, seen)
    value = worse.value - better.value
    return Loss(
        value,
        value - math.hypot(worse.value - worse.low, better.high - better.value),
        value + math.hypot(worse.high - worse.value, better.value - better.low),
    )


@dataclass(frozen=True)
class Case:
    """The windows that count, in order of time, beside what is known of the champion."""

    windows: tuple[Window, ...]
    champion: ChampionState
    params: Retrain

    @property
    def now(self) -> datetime:
        return self.windows[-1].end

    @property
    def last(self) -> datetime | None:
        """The data's time of the last retraining."""
        return max(self.champion.retrainings, default=None)

    def newest(self, of: Callable[[Window], bool] = lambda _: True) -> list[Window]:
        """Return the newest batches `of` a kind; without those that are unfit, which prove nothing."""
        found = [one for one in self.windows if of(one)][-self.params.windows :]
        return [one for one in found if not one.unfit]

    def loss(self, seen: Estimate | None) -> Loss | None:
        return (
            find_loss(self.champion.metric, self.champion.expected, seen)
            if seen and is_known(seen)
            else None
        )

    @property
    def bound(self) -> float:
        """The smallest loss that matters, in the metric itself."""
        unit = self.champion.expected.value if self.champion.metric in LOWER_IS_BETTER else 1.0
        return self.params.min_loss * unit

    def lost(self, seen: Estimate | None) -> bool:
        loss = self.loss(seen)
        return loss is not None and loss.value >= self.bound and loss.low > 0

    def counted(self, some: Sequence[Window], among: Sequence[Window], kind: str = "") -> str:
        names = ", ".join(one.batch for one in some)
        asked = f"of the newest {len(among)} batch(es){kind}; needed are {self.params.needed}"
        return f"in {len(some)} {asked}" + (f" ({names})" if names else "")

    def tell(self, window: Window, seen: Estimate) -> str:
        loss = self.loss(seen)
        assert loss
        return f"{window.batch}: {seen.value:.4f}, worse by {loss.value:+.4f} ({loss.low:+.4f} to {loss.high:+.4f})"


def is_known(one: Estimate | None) -> bool:
    return one is not None and all(map(math.isfinite, (one.value, one.low, one.high)))


def in_order(windows: Sequence[Window], champion: ChampionState) -> tuple[Window, ...]:
    """Return one window of each batch that is evidence, in order of time, whatever the order given."""
    ranked = sorted(windows, key=lambda one: (one.end, one.labelled, one.rows, repr(one)))
    newest = {one.batch: one for one in ranked}
    return tuple(
        sorted(
            (one for one in newest.values() if one.end > champion.learnt_until), key=ranked.index
        )
    )
