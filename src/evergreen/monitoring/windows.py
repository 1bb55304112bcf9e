"""Windows: what monitoring observed of each batch, and what the champion lost on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from evergreen.evaluation.intervals import Estimate
from evergreen.metrics.metric import Metric
from evergreen.params import Retrain


@dataclass(frozen=True)
class Window:
    """What monitoring observed of one batch under the present champion.

    `end`: time of its newest row. `labelled`: how many of its rows have labels. `drifted`: features
    that did; `together`: all of them as a whole. `real`: the metric that decides, by labels;
    `estimated`: without, adjusted. `unfit`: why not to train on the batch. `staleness`: by how much
    a model that has learnt from all before the batch does better on it than the champion; None
    where that was not measured.
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
        """True if features drifted, or the predictions that the champion makes of them."""
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
    """How much worse a metric is than expected, with its interval; NaN where it is not known."""

    value: float
    low: float
    high: float


def find_loss(metric: Metric, expected: Estimate, observed: Estimate) -> Loss:
    """Return how much worse `metric` is than expected, in the metric itself.

    Both values are uncertain, and independently so: the half widths of their intervals are added
    as squares, as variances are, each towards the other value (Zou and Donner, Construction of
    confidence limits about effect measures, 2008). So a loss counts only beyond the noise of both.
    """
    down = metric.lower_is_better
    worse, better = (observed, expected) if down else (expected, observed)
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
    metric: Metric

    @property
    def now(self) -> datetime:
        """The data's time of the newest batch."""
        return self.windows[-1].end

    @property
    def last(self) -> datetime | None:
        """The data's time of the last retraining."""
        return max(self.champion.retrainings, default=None)

    def newest(self, of: Callable[[Window], bool] = lambda _: True) -> list[Window]:
        """Return the newest batches `of` a kind, without those unfit to train on."""
        found = [window for window in self.windows if of(window)][-self.params.windows :]
        return [window for window in found if not window.unfit]

    def loss(self, observed: Estimate | None) -> Loss | None:
        """Return how much worse than expected `observed` is; None where that is not known."""
        return (
            find_loss(self.metric, self.champion.expected, observed)
            if observed and is_known(observed)
            else None
        )

    @property
    def bound(self) -> float:
        """The smallest loss that matters, in the metric itself."""
        return self.params.min_loss * self.metric.unit(self.champion.expected.value)

    def lost(self, observed: Estimate | None) -> bool:
        """Return True if `observed` is worse than expected by enough to matter, beyond noise."""
        loss = self.loss(observed)
        return loss is not None and loss.value >= self.bound and loss.low > 0

    def counted(self, some: Sequence[Window], among: Sequence[Window], kind: str = "") -> str:
        """Return in words how many windows these are, among how many."""
        names = ", ".join(window.batch for window in some)
        asked = f"of the newest {len(among)} batch(es){kind}; {self.params.needed} are needed"
        return f"in {len(some)} {asked}" + (f" ({names})" if names else "")

    def describe(self, window: Window, observed: Estimate) -> str:
        """Return in words how much worse than expected `observed` is."""
        loss = self.loss(observed)
        assert loss
        how = f"worse by {loss.value:+.4f} ({loss.low:+.4f} to {loss.high:+.4f})"
        return f"{window.batch}: {observed.value:.4f}, {how}"


def is_known(estimate: Estimate | None) -> bool:
    """Return True if there is an estimate with a finite value and interval."""
    return estimate is not None and all(
        map(math.isfinite, (estimate.value, estimate.low, estimate.high))
    )


def in_order(windows: Sequence[Window], champion: ChampionState) -> tuple[Window, ...]:
    """Return one window of each batch that is evidence, in order of time."""
    ranked = sorted(
        windows, key=lambda window: (window.end, window.labelled, window.rows, repr(window))
    )
    newest = {window.batch: window for window in ranked}
    return tuple(
        sorted(
            (window for window in newest.values() if window.end > champion.learnt_until),
            key=ranked.index,
        )
    )
