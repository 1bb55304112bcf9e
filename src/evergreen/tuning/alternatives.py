"""Alternatives: each loss, or each schedule, tried beside the one that is set, on the same cuts.

Losses have scales of their own, so none is compared by its own value: all predict the same rows,
and what they predict is compared by the metrics that decide at the gate, the one of the loss that
is set and the one of the other. The rows that the gate judges by are never looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from evergreen.errors import InputError
from evergreen.finding import count
from evergreen.metrics.by_loss import check_taken
from evergreen.metrics.metric import Metric
from evergreen.params.train import FOR_TASK
from evergreen.training.learner import check_takes, losses_taken, watched_by
from evergreen.training.schedules import SHARES
from evergreen.tuning.comparison import Comparison, compare_trials
from evergreen.tuning.trial import Matrices, Trial, run_trial

if TYPE_CHECKING:
    from evergreen.params import Params, Train
    from evergreen.tuning.cuts import Cut


@dataclass(frozen=True)
class Alternative:
    """One of several ways of training, beside the one that is set.

    `values`: each metric that decides for one of them, the mean over cuts. `lead`: over what is
    set, in the metric that decides as things are set; `own`: in the one that would decide, where
    that is another. `refused`: why it could not be tried.
    """

    name: str
    params: Params = field(repr=False)
    stops_by: str
    decides: str
    trial: Trial | None = field(repr=False, default=None)
    values: Mapping[str, float] = field(default_factory=dict)
    lead: Comparison | None = None
    own: Comparison | None = None
    refused: str = ""

    @property
    def rounds(self) -> int:
        """The median of the rounds that early stopping kept."""
        return int(np.median([fit.trained.rounds for fit in self.trial.fits])) if self.trial else 0

    @property
    def is_better(self) -> bool:
        """Whether it is better than what is set beyond the noise, by what decides as things are."""
        return self.lead is not None and self.lead.is_better


@dataclass(frozen=True)
class Alternatives:
    """What became of all of them; `tried[0]` is what is set, `key` the parameter of `train`."""

    key: str
    tried: tuple[Alternative, ...]
    cuts: tuple[str, ...]
    rows: int  # that judge, over all cuts
    seeds: tuple[int, ...]
    confidence: float  # of each interval, widened for their number

    @property
    def now(self) -> Alternative:
        """What is set."""
        return self.tried[0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that decide for one of them, that of what is set first."""
        return tuple(dict.fromkeys(way.decides for way in self.tried if way.trial))

    @property
    def best(self) -> Alternative | None:
        """The one whose lead is the largest of those that are better beyond the noise."""
        better = [way for way in self.tried if way.is_better]
        return max(better, key=lambda way: way.lead.value if way.lead else 0.0, default=None)

    def says(self) -> Iterator[str]:
        """Yield in sentences how they were compared, and what to do."""
        yield (
            f"{count(len(self.seeds), 'seed')} on {count(len(self.cuts), 'cut')} in time "
            f"({', '.join(self.cuts)}; {self.rows:,} rows judge); the newest batch, which the gate "
            "judges by, was not looked at"
        )
        others = sum(way.trial is not None for way in self.tried) - 1
        yield (
            f"{count(others, 'comparison')} with {self.now.name}, as it is set; each interval "
            f"is one of {self.confidence:.1%}, as much wider as their number asks for"
        )
        if len(self.metrics) > 1:
            yield (
                "losses have scales of their own: what they predict for the same rows is compared "
                f"by the metrics that would decide, {', '.join(self.metrics)}"
            )
        yield self._advice()

    def _advice(self) -> str:
        if best := self.best:
            return (
                f"set `{self.key}: {best.name}` under train in params.yaml, and `evergreen run`: "
                "the gate judges it as a change, on the newest batch"
            )
        own = [way.name for way in self.tried if way.own and way.own.is_better]
        if own:
            return (
                f"keep {self.now.name}: by {self.now.decides}, which decides, no other is better; "
                f"{', '.join(own)}: better by its own metric only, to be chosen where that is the "
                "question"
            )
        return f"keep {self.now.name}: no other is better beyond the noise"


def each_loss(params: Params) -> dict[str, Params]:
    """Return the parameters with each loss of the task that the learner takes, by its name."""
    train = params.train
    taken = losses_taken(train.learner, params.task)
    losses = [loss for loss in FOR_TASK[params.task] if loss in taken]
    if len(losses) < 2:
        raise InputError(
            f"the learner {train.learner} takes one loss for {params.task}, {losses[0]}: there is "
            "nothing to compare it with"
        )
    now = train.loss_for(params.task)
    return {
        loss: params if loss == now else _with_train(params, train.with_loss(loss))
        for loss in sorted(losses, key=lambda loss: loss != now)
    }


def each_schedule(params: Params, rate: float | None = None) -> dict[str, Params]:
    """Return the parameters with each schedule, by its name.

    `rate`: the learning rate that those which fall begin with; None means train.learning_rate.
    """
    now, found = params.train.schedule, {}
    for name in sorted(("constant", *SHARES), key=lambda name: name != now):
        train = params.train.with_schedule(name)  # type: ignore[arg-type]  # those there are
        if rate is not None and name not in ("constant", now):
            train = train.model_copy(update={"learning_rate": rate})
        found[name] = params if name == now else _with_train(params, train)
    return found


def _with_train(params: Params, train: Train) -> Params:
    return params.model_copy(update={"train": train})


def try_each(
    key: str, ways: Mapping[str, Params], cuts: Sequence[Cut], seeds: Sequence[int]
) -> Alternatives:
    """Try each of some ways of training on the same cuts with the same seeds.

    `ways`: by name, the one that is set first. `key`: the parameter of `train` that differs.
    """
    matrices = Matrices()
    trials = {name: _try(params, cuts, seeds, matrices) for name, params in ways.items()}
    now = next(iter(ways))
    if isinstance(refused := trials[now], str):
        raise InputError(refused)
    params = ways[now]
    deciding = {name: _decides(way) for name, way in ways.items()}
    count_of = max(1, sum(not isinstance(trial, str) for trial in trials.values()) - 1)
    confidence = 1 - (1 - params.evaluate.confidence) / count_of
    used = {
        deciding[name]: ways[name] for name, trial in trials.items() if isinstance(trial, Trial)
    }
    tried = []
    for name, trial in trials.items():
        about = (name, ways[name], _stops_by(ways[name]), deciding[name].name)
        if isinstance(trial, str):
            tried.append(Alternative(*about, refused=trial))
            continue
        first, second = trials[now], trial
        assert isinstance(first, Trial)
        lead = own = None
        if name != now:
            lead = compare_trials(cuts, first, second, params, confidence=confidence)
            if deciding[name].name != deciding[now].name:
                own = compare_trials(cuts, first, second, ways[name], confidence=confidence)
        values = {metric.name: _mean(cuts, trial, metric) for metric in used}
        tried.append(Alternative(*about, trial, values, lead, own))
    rows = sum(len(cut.tables.holdout) for cut in cuts)
    names = tuple(cut.name for cut in cuts)
    return Alternatives(key, tuple(tried), names, rows, tuple(seeds), confidence)


def _try(
    params: Params, cuts: Sequence[Cut], seeds: Sequence[int], matrices: Matrices
) -> Trial | str:
    """Return a trial, or why there is none."""
    loss = params.train.loss_for(params.task)
    try:
        check_takes(params)
        for cut in cuts:
            for table in (cut.tables.train, cut.tables.validation, cut.tables.holdout):
                check_taken(loss, table.y, partial(_place_of, cut))
        return run_trial(cuts, params, seeds, matrices=matrices)
    except InputError as error:
        return str(error)


def _place_of(cut: Cut, at: int) -> str:
    return f"row {at + 1:,} of the cut {cut.name}"


def _decides(params: Params) -> Metric:
    return params.metrics[params.metrics.pick(params.gate.metric, params.task)]


def _stops_by(params: Params) -> str:
    return watched_by(params.train.learner, params.task, params.train)


def _mean(cuts: Sequence[Cut], trial: Trial, metric: Metric) -> float:
    """Return a metric of what the mean of all seeds predicts, the mean over cuts."""
    return float(
        np.mean(
            [
                metric.measure(
                    cut.tables.holdout.y,
                    np.mean([fit.predictions for fit in trial.of(cut)], axis=0),
                )
                for cut in cuts
            ]
        )
    )
