"""Retrain: is it time for a new champion? A pure function of what monitoring saw.

Labels decide, where there are any. Drift of inputs alone is a warning: it need not cost anything.
All times are those of the data, so a year that is replayed decides as the year itself did; neither
the order of the windows nor how often one is given plays a part. As in the gate a rule is met where
all is well, and every rule is shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from evergreen.decision import NOTHING, RETRAIN, WATCH, Action, Decision, Rule
from evergreen.errors import InputError
from evergreen.evaluation.metrics import LOWER_IS_BETTER, Estimate
from evergreen.params import Retrain

FRESH, GROWTH, AGE = "fresh", "growth", "age"  # names of rules
DAY = timedelta(days=1)
YEAR = 365 * DAY


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
class Life:
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


def decide_retraining(windows: Sequence[Window], life: Life, params: Retrain) -> Decision:
    """Return whether to `retrain`, to `watch` (a warning, or a retraining that is not to be now), or `nothing`.

    Of several windows of one batch the one with the newest end counts, then the one with most
    labels. Batches that end no later than `learnt_until`, which came late, are no evidence. Raises
    InputError where times with and without a zone are mixed.
    """
    _check_times([*(one.end for one in windows), life.learnt_until, *life.retrainings])
    case = _Case(_in_order(windows, life), life, params)
    first = _new(case, windows)
    if not case.windows:
        return _decision(NOTHING, [first], [first.says], case)
    fit, triggers, warnings, brakes = (
        _fit(case),
        [*_triggers(case)],
        [*_warnings(case)],
        [*_brakes(case)],
    )
    rules = [first, fit, *triggers, *warnings, *brakes]
    due = [rule for rule in triggers if not rule.met]
    held = [rule for rule in brakes if not rule.met]
    if not fit.met:
        return _decision(NOTHING, rules, [fit.says], case)
    if due:
        return _decision(
            WATCH if held else RETRAIN, rules, [rule.says for rule in (*due, *held)], case
        )
    if warned := [rule.says for rule in (*triggers, *warnings) if not rule.met]:
        return _decision(WATCH, rules, warned, case)
    return _decision(
        NOTHING, rules, [f"nothing speaks against the champion, version {life.version}"], case
    )


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
class _Case:
    """The windows that count, in order of time, beside what is known of the champion."""

    windows: tuple[Window, ...]
    life: Life
    params: Retrain

    @property
    def now(self) -> datetime:
        return self.windows[-1].end

    @property
    def last(self) -> datetime | None:
        """The data's time of the last retraining."""
        return max(self.life.retrainings, default=None)

    def newest(self, of: Callable[[Window], bool] = lambda _: True) -> list[Window]:
        """Return the newest batches `of` a kind; without those that are unfit, which prove nothing."""
        found = [one for one in self.windows if of(one)][-self.params.windows :]
        return [one for one in found if not one.unfit]

    def loss(self, seen: Estimate | None) -> Loss | None:
        return (
            find_loss(self.life.metric, self.life.expected, seen)
            if seen and _is_known(seen)
            else None
        )

    @property
    def bound(self) -> float:
        """The smallest loss that matters, in the metric itself."""
        unit = self.life.expected.value if self.life.metric in LOWER_IS_BETTER else 1.0
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


def _new(case: _Case, given: Sequence[Window]) -> Rule:
    late = len({one.batch for one in given} - {one.batch for one in case.windows})
    ignored = f"; {late} batch(es) end no later than that and are no evidence" if late else ""
    until = f"what the champion, version {case.life.version}, has learnt from (until {case.life.learnt_until})"
    if not case.windows:
        return Rule("new batch", met=False, says=f"no batch is newer than {until}{ignored}")
    return Rule(
        "new batch", met=True, says=f"{case.windows[-1].batch} is newer than {until}{ignored}"
    )


def _fit(case: _Case) -> Rule:
    newest = case.windows[-1]
    if newest.unfit:
        return Rule(
            "fit",
            met=False,
            says=f"{newest.batch} is not fit to train on: {'; '.join(newest.unfit)}",
        )
    return Rule("fit", met=True, says=f"nothing speaks against training on {newest.batch}")


def _triggers(case: _Case) -> Iterator[Rule]:
    """Yield what asks for a retraining where it is not met."""
    yield _fresh(case)
    yield _no_loss(case)
    labelled = case.newest(lambda one: one.labelled > 0)
    moved = [one for one in labelled if one.label_drifted]
    says = f"the label drifted {case.counted(moved, labelled, ' with labels')}"
    yield Rule("no label drift", met=len(moved) < case.params.needed, says=says)
    yield _no_expected_loss(case)
    yield _growth(case)
    limit, days = case.params.max_age_days, (case.now - case.life.learnt_until) / DAY
    if limit is None:
        yield Rule(
            AGE, met=True, says="SWITCHED OFF (retrain.max_age_days): no champion is too old"
        )
    else:
        says = f"the newest row that the champion has learnt from is {days:.0f} days old, at most {limit:g}"
        yield Rule(AGE, met=days <= limit, says=says)


def _fresh(case: _Case) -> Rule:
    """What it costs that the champion has not learnt from newer batches, where labels say it."""
    newest, metric = case.windows[-1], case.life.metric
    stale = newest.staleness
    if not stale or not _is_known(stale):
        return Rule(FRESH, met=True, says=f"what staleness costs is not measured on {newest.batch}")
    met = not (stale.value >= case.bound and stale.low > 0)
    says = f"on {newest.batch} a model that has learnt from all batches before would be better by {stale.value:+.4f} "
    says += f"({stale.low:+.4f} to {stale.high:+.4f}) in {metric}; {case.bound:.4g}, and probably some, asks for a retraining"
    return Rule(FRESH, met=met, says=says)


def _growth(case: _Case) -> Rule:
    """Where history is short, a batch more is worth a training whatever it holds: what a model lacks is rows."""
    limit, life = case.params.max_growth, case.life
    if limit is None:
        return Rule(
            GROWTH,
            met=True,
            says="SWITCHED OFF (retrain.max_growth): no history has grown too much",
        )
    says = (
        f"the champion has learnt from {life.learnt_rows:,} rows, and lacks {life.new_rows:,} labelled ones; "
        f"{limit:.0%} more asks for a retraining"
    )
    return Rule(GROWTH, met=life.new_rows < limit * life.learnt_rows, says=says)


def _no_loss(case: _Case) -> Rule:
    known = case.newest(lambda one: _is_known(one.real))
    lost, life = [one for one in known if case.lost(one.real)], case.life
    told = "".join(f"; {case.tell(one, one.real)}" for one in known if one.real)
    says = (
        f"{life.metric} is worse than the {life.expected.value:.4f} expected, by {case.bound:.4g} and beyond noise, "
        f"{case.counted(lost, known, ' with labels')}{told}"
    )
    if len(lost) < case.params.needed:
        return Rule("no loss", met=True, says=says)
    if not any(one.inputs_drifted or one.label_drifted for one in (*known, *case.newest())):
        says += "; loss without drift: the relation itself has changed (concept drift)"
    return Rule("no loss", met=False, says=says)


def _no_expected_loss(case: _Case) -> Rule:
    """Labels where they are, else estimates; these alone are too weak to act on where nothing drifted."""
    recent, lost, drifted = case.newest(), _expected_losses(case), _drifted(case)
    told = "".join(
        f"; {case.tell(one, one.estimated)}"
        for one in recent
        if _is_estimated(one) and one.estimated
    )
    says = f"{case.life.metric} is lost by labels, or by estimate where none are, {case.counted(lost, recent)}{told}"
    asked = min(len(lost), len(drifted)) >= case.params.needed and any(map(_is_estimated, lost))
    return Rule("no expected loss", met=not asked, says=says)


def _warnings(case: _Case) -> Iterator[Rule]:
    """Yield what is to be watched where it is not met."""
    drifted, needed = _drifted(case), case.params.needed
    says = f"inputs drifted {case.counted(drifted, case.newest())}"
    if many := len(drifted) >= needed:
        lost = [one for one in drifted if one in _expected_losses(case)]
        silent = [
            one for one in drifted if not _is_known(one.real) and not _is_known(one.estimated)
        ]
        says += (
            f"; {len(lost)} of these with a loss" if lost
            else "; neither labels nor an estimate tell what it costs" if silent
            else "; drifted, but no loss is expected" if any(map(_is_estimated, drifted))
            else "; drifted, but no loss was seen"
        )  # fmt: skip
    yield Rule("no drift", met=not many, says=says)
    counts = {
        "loss": sum(case.lost(one.real) for one in case.newest(lambda one: _is_known(one.real))),
        "label drift": sum(one.label_drifted for one in case.newest(lambda one: one.labelled > 0)),
        "expected loss": len(_expected_losses(case)),
        "drift of inputs": len(drifted),
    }
    signs = [
        f"one more batch with {name} is enough"
        for name, count in counts.items()
        if 0 < count == needed - 1
    ]
    if counts["expected loss"] >= needed > len(drifted) and counts["loss"] < needed:
        signs.append("a loss is expected though inputs did not drift: labels will tell")
    if not _is_known(case.life.expected):
        signs.append(
            f"the {case.life.metric} expected is no number, so that no loss can be seen: evaluate it again"
        )
    yield Rule(
        "no sign",
        met=not signs,
        says="; ".join(signs) or "nothing is one batch away from a retraining",
    )


def _brakes(case: _Case) -> Iterator[Rule]:
    """Yield what forbids a retraining where it is not met."""
    now, last, params = case.now, case.last, case.params
    batch, says = case.windows[-1].batch, "no retraining had these data or newer ones"
    if last is not None and now <= last:
        back = f"the clock of the data runs backwards: {batch} ends {now}, the last retraining had data until {last}"
        says = f"a retraining with {batch} was made already" if now == last else back
    yield Rule("order", met=last is None or now > last, says=says)
    days = math.inf if last is None else (now - last) / DAY
    if not params.cooldown_days:
        yield Rule(
            "cooldown",
            met=True,
            says="SWITCHED OFF (retrain.cooldown_days is 0): no retraining comes too soon",
        )
    else:
        since = (
            "there was no retraining before"
            if last is None
            else f"{days:.1f} days since the last retraining"
        )
        yield Rule(
            "cooldown",
            met=days >= params.cooldown_days,
            says=f"{since}, at least {params.cooldown_days:g}",
        )
    says = f"{case.life.new_rows:,} labelled rows that the champion has not learnt from, at least {params.min_new_rows:,}"
    yield Rule("new rows", met=case.life.new_rows >= params.min_new_rows, says=says)
    used = sum(one > now - YEAR for one in case.life.retrainings)
    says = f"{used} retraining(s) within 365 days, at most {params.budget}"
    if not params.budget:
        says = "SWITCHED OFF (retrain.budget is 0): nothing is ever retrained"
    yield Rule("budget", met=used < params.budget, says=says)


def _drifted(case: _Case) -> list[Window]:
    return [one for one in case.newest() if one.inputs_drifted]


def _expected_losses(case: _Case) -> list[Window]:
    return [
        one
        for one in case.newest()
        if case.lost(one.real if _is_known(one.real) else one.estimated)
    ]


def _is_known(one: Estimate | None) -> bool:
    return one is not None and all(map(math.isfinite, (one.value, one.low, one.high)))


def _is_estimated(one: Window) -> bool:
    """Whether only an estimate tells of a loss."""
    return _is_known(one.estimated) and not _is_known(one.real)


def _in_order(windows: Sequence[Window], life: Life) -> tuple[Window, ...]:
    """Return one window of each batch that is evidence, in order of time, whatever the order given."""
    ranked = sorted(windows, key=lambda one: (one.end, one.labelled, one.rows, repr(one)))
    newest = {one.batch: one for one in ranked}
    return tuple(
        sorted((one for one in newest.values() if one.end > life.learnt_until), key=ranked.index)
    )


def _check_times(times: Sequence[datetime]) -> None:
    zoned = [one for one in times if one.tzinfo is not None]
    if zoned and len(zoned) < len(times):
        bare = next(one for one in times if one.tzinfo is None)
        raise InputError(
            f"times with a time zone ({zoned[0]}) and without ({bare}) cannot be put in order: "
            "give all batches times of one kind"
        )


def _decision(
    action: Action, rules: Sequence[Rule], reasons: Sequence[str], case: _Case
) -> Decision:
    off = [
        rule.says
        for rule in rules
        if rule.says.startswith("SWITCHED OFF") and rule.says not in reasons
    ]
    plain = {
        "rules": [asdict(rule) for rule in rules],
        "windows": [
            asdict(one) | {"end": one.end.isoformat()}
            for one in case.windows[-case.params.windows :]
        ],
        "life": asdict(case.life)
        | {
            "learnt_until": case.life.learnt_until.isoformat(),
            "retrainings": sorted(one.isoformat() for one in case.life.retrainings),
        },
        "retrain": case.params.model_dump(),
    }
    return Decision(action, (*reasons, *off), plain)
