"""Rules of retraining: what asks for one, what is a warning, and what forbids one for now."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import timedelta

from evergreen.decision import Rule
from evergreen.monitoring.windows import Case, Window, is_known

FRESH, GROWTH, AGE = "fresh", "growth", "age"  # names of rules
DAY = timedelta(days=1)
YEAR = 365 * DAY


def find_newer(case: Case, given: Sequence[Window]) -> Rule:
    late = len({one.batch for one in given} - {one.batch for one in case.windows})
    ignored = f"; {late} batch(es) end no later than that and are no evidence" if late else ""
    until = f"what the champion, version {case.champion.version}, has learnt from (until {case.champion.learnt_until})"
    if not case.windows:
        return Rule("new batch", met=False, says=f"no batch is newer than {until}{ignored}")
    return Rule(
        "new batch", met=True, says=f"{case.windows[-1].batch} is newer than {until}{ignored}"
    )


def find_fit(case: Case) -> Rule:
    newest = case.windows[-1]
    if newest.unfit:
        return Rule(
            "fit",
            met=False,
            says=f"{newest.batch} is not fit to train on: {'; '.join(newest.unfit)}",
        )
    return Rule("fit", met=True, says=f"nothing speaks against training on {newest.batch}")


def find_triggers(case: Case) -> Iterator[Rule]:
    """Yield what asks for a retraining where it is not met."""
    yield _fresh(case)
    yield _no_loss(case)
    labelled = case.newest(lambda one: one.labelled > 0)
    moved = [one for one in labelled if one.label_drifted]
    says = f"the label drifted {case.counted(moved, labelled, ' with labels')}"
    yield Rule("no label drift", met=len(moved) < case.params.needed, says=says)
    yield _no_expected_loss(case)
    yield _growth(case)
    limit, days = case.params.max_age_days, (case.now - case.champion.learnt_until) / DAY
    if limit is None:
        yield Rule(
            AGE, met=True, says="SWITCHED OFF (retrain.max_age_days): no champion is too old"
        )
    else:
        says = f"the newest row that the champion has learnt from is {days:.0f} days old, at most {limit:g}"
        yield Rule(AGE, met=days <= limit, says=says)


def _fresh(case: Case) -> Rule:
    """What it costs that the champion has not learnt from newer batches, where labels say it."""
    newest, metric = case.windows[-1], case.champion.metric
    stale = newest.staleness
    if not stale or not is_known(stale):
        return Rule(FRESH, met=True, says=f"what staleness costs is not measured on {newest.batch}")
    met = not (stale.value >= case.bound and stale.low > 0)
    says = f"on {newest.batch} a model that has learnt from all batches before would be better by {stale.value:+.4f} "
    says += f"({stale.low:+.4f} to {stale.high:+.4f}) in {metric}; {case.bound:.4g}, and probably some, asks for a retraining"
    return Rule(FRESH, met=met, says=says)


def _growth(case: Case) -> Rule:
    """Where history is short, a batch more is worth a training whatever it holds: what a model lacks is rows."""
    limit, champion = case.params.max_growth, case.champion
    if limit is None:
        return Rule(
            GROWTH,
            met=True,
            says="SWITCHED OFF (retrain.max_growth): no history has grown too much",
        )
    says = (
        f"the champion has learnt from {champion.learnt_rows:,} rows, and lacks {champion.new_rows:,} labelled ones; "
        f"{limit:.0%} more asks for a retraining"
    )
    return Rule(GROWTH, met=champion.new_rows < limit * champion.learnt_rows, says=says)


def _no_loss(case: Case) -> Rule:
    known = case.newest(lambda one: is_known(one.real))
    lost, champion = [one for one in known if case.lost(one.real)], case.champion
    told = "".join(f"; {case.tell(one, one.real)}" for one in known if one.real)
    says = (
        f"{champion.metric} is worse than the {champion.expected.value:.4f} expected, by {case.bound:.4g} and beyond noise, "
        f"{case.counted(lost, known, ' with labels')}{told}"
    )
    if len(lost) < case.params.needed:
        return Rule("no loss", met=True, says=says)
    if not any(one.inputs_drifted or one.label_drifted for one in (*known, *case.newest())):
        says += "; loss without drift: the relation itself has changed (concept drift)"
    return Rule("no loss", met=False, says=says)


def _no_expected_loss(case: Case) -> Rule:
    """Labels where they are, else estimates; these alone are too weak to act on where nothing drifted."""
    recent, lost, drifted = case.newest(), _expected_losses(case), _drifted(case)
    told = "".join(
        f"; {case.tell(one, one.estimated)}"
        for one in recent
        if _is_estimated(one) and one.estimated
    )
    says = f"{case.champion.metric} is lost by labels, or by estimate where none are, {case.counted(lost, recent)}{told}"
    asked = min(len(lost), len(drifted)) >= case.params.needed and any(map(_is_estimated, lost))
    return Rule("no expected loss", met=not asked, says=says)


def find_warnings(case: Case) -> Iterator[Rule]:
    """Yield what is to be watched where it is not met."""
    drifted, needed = _drifted(case), case.params.needed
    says = f"inputs drifted {case.counted(drifted, case.newest())}"
    if many := len(drifted) >= needed:
        lost = [one for one in drifted if one in _expected_losses(case)]
        silent = [one for one in drifted if not is_known(one.real) and not is_known(one.estimated)]
        says += (
            f"; {len(lost)} of these with a loss" if lost
            else "; neither labels nor an estimate tell what it costs" if silent
            else "; drifted, but no loss is expected" if any(map(_is_estimated, drifted))
            else "; drifted, but no loss was seen"
        )  # fmt: skip
    yield Rule("no drift", met=not many, says=says)
    counts = {
        "loss": sum(case.lost(one.real) for one in case.newest(lambda one: is_known(one.real))),
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
    if not is_known(case.champion.expected):
        signs.append(
            f"the {case.champion.metric} expected is no number, so that no loss can be seen: evaluate it again"
        )
    yield Rule(
        "no sign",
        met=not signs,
        says="; ".join(signs) or "nothing is one batch away from a retraining",
    )


def find_brakes(case: Case) -> Iterator[Rule]:
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
    says = f"{case.champion.new_rows:,} labelled rows that the champion has not learnt from, at least {params.min_new_rows:,}"
    yield Rule("new rows", met=case.champion.new_rows >= params.min_new_rows, says=says)
    used = sum(one > now - YEAR for one in case.champion.retrainings)
    says = f"{used} retraining(s) within 365 days, at most {params.budget}"
    if not params.budget:
        says = "SWITCHED OFF (retrain.budget is 0): nothing is ever retrained"
    yield Rule("budget", met=used < params.budget, says=says)


def _drifted(case: Case) -> list[Window]:
    return [one for one in case.newest() if one.inputs_drifted]


def _expected_losses(case: Case) -> list[Window]:
    return [
        one for one in case.newest() if case.lost(one.real if is_known(one.real) else one.estimated)
    ]


def _is_estimated(one: Window) -> bool:
    """Whether only an estimate tells of a loss."""
    return is_known(one.estimated) and not is_known(one.real)
