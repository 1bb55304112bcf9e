"""Comparison: is one way of training better than another beyond the noise, on the same cuts?

Both are tried with the same seeds on the same rows. Two kinds of noise are in the difference, as
in that of champion and challenger: the rows that judge are resampled, whole days where rows have
one, both sides meeting the same resamples; and the seeds of both show how far a seed moves the
metric. Seeds are repeated measures of the same rows, so that more of them narrow the second kind
only. Cuts are judged by different rows: the lead is the mean over them, each with noise of its own.
The interval speaks of batches like these. A newer one may differ from all of them: the gate judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from evergreen.errors import InputError
from evergreen.evaluation.intervals import interval
from evergreen.params import Params
from evergreen.promotion.candidate import resampling_of
from evergreen.promotion.compare import Rows, Side, draw_lead, share_above
from evergreen.tuning.cuts import Cut
from evergreen.tuning.trial import Trial

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Comparison:
    """How much better the second way of training is in `metric`, so that more is better.

    `first`, `second`: the metric of each, the mean over cuts. `smallest`: the smallest lead that
    matters. `by_cut`: the lead on each. `chance_better`: the share of the interval's draws above
    zero.
    """

    metric: str
    first: float
    second: float
    value: float
    low: float
    high: float
    chance_better: float
    smallest: float
    by_cut: dict[str, float]

    @property
    def is_better(self) -> bool:
        """Whether the second is better beyond the noise, by as much as matters."""
        return self.low > 0 and self.value >= self.smallest

    @property
    def is_worse(self) -> bool:
        """Whether the second is worse beyond the noise, by as much as matters."""
        return self.high < 0 and -self.value >= self.smallest

    def says(self, first: str, second: str) -> str:
        """Return it as a sentence, given what the two are called."""
        better, worse = (second, first) if self.value >= 0 else (first, second)
        edges = sorted((self.low, self.high)) if self.value >= 0 else (-self.high, -self.low)
        seen = f"by {abs(self.value):.4f} ({edges[0]:.4f} to {edges[1]:.4f}) in {self.metric}"
        if self.is_better or self.is_worse:
            return f"{better} is better than {worse} {seen}"
        if self.low > 0 or self.high < 0:
            least = f"less than matters ({self.smallest:.4f})"
            return f"no difference that matters: {better} is better than {worse} {seen}, {least}"
        return f"no difference beyond the noise: {better} is ahead of {worse} {seen}"


def compare_trials(
    cuts: Sequence[Cut],
    first: Trial,
    second: Trial,
    params: Params,
    *,
    metric: str | None = None,
    confidence: float | None = None,
) -> Comparison:
    """Return how the second trial does beside the first on `cuts`; both have the same seeds there.

    `metric`: None means the one that decides at the gate. `confidence`: of the interval; None means
    evaluate.confidence. What is compared is what goes live: the mean of all seeds, or one seed
    where sweep.model is median. Raises InputError where the two were not tried alike.
    """
    task = cuts[0].tables.task
    chosen = metric or params.metrics.pick(params.gate.metric, task)
    how = resampling_of(params)
    how = replace(how, confidence=confidence or how.confidence)
    leads = []
    for place, cut in enumerate(cuts):
        _check_alike(cut, first, second)
        rows = Rows(task, cut.tables.holdout.y, blocks=cut.days, metrics=params.metrics)
        old, new = _side(first, cut, params), _side(second, cut, params)
        # Cuts are independent of each other, so must be their resamples
        lead = draw_lead(rows, chosen, old, new, replace(how, seed=how.seed + place))
        assert lead  # `find_cuts` gives none that cannot judge
        leads.append(lead)
    before, after = (
        float(np.mean([getattr(lead, side) for lead in leads])) for side in ("before", "after")
    )
    known, draws = params.metrics[chosen], np.mean([lead.means for lead in leads], axis=0)
    low, high = interval(draws, how.confidence)
    return Comparison(
        metric=chosen,
        first=before,
        second=after,
        value=known.sign * (after - before),
        low=low,
        high=high,
        chance_better=share_above(draws),
        smallest=params.gate.min_gain * known.unit(before),
        by_cut={
            cut.name: known.sign * (lead.after - lead.before)
            for cut, lead in zip(cuts, leads, strict=True)
        },
    )


def _side(trial: Trial, cut: Cut, params: Params) -> Side:
    seeds = tuple(fit.predictions for fit in trial.of(cut))
    averaged = params.sweep.model == "mean" and len(seeds) > 1
    return Side(np.mean(seeds, axis=0) if averaged else seeds[0], seeds, averaged=averaged)


def _check_alike(cut: Cut, first: Trial, second: Trial) -> None:
    seeds = [[fit.seed for fit in trial.of(cut)] for trial in (first, second)]
    if not seeds[0] or seeds[0] != seeds[1]:
        raise InputError(
            f"{cut.name}: only trials with the same seeds can be compared, here {seeds[0]} and "
            f"{seeds[1]}: try both with the same"
        )
