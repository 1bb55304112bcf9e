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
    """Return whether a batch is newer than what the champion has learnt from."""
    late = len({window.batch for window in given} - {window.batch for window in case.windows})
    ignored = f"; {late} batch(es) end no later than that and are no evidence" if late else ""
    champion = case.champion
    until = (
        f"what the champion, version {champion.version}, has learnt from "
        f"(until {champion.learnt_until})"
    )
    if not case.windows:
        return Rule("new batch", met=False, says=f"no batch is newer than {until}{ignored}")
    return Rule(
        "new batch", met=True, says=f"{case.windows[-1].batch} is newer than {until}{ignored}"
    )


def find_fit(case: Case) -> Rule:
    """Return whether the newest batch is fit to train on."""
    newest = case.windows[-1]
    if newest.unfit:
        return Rule(
            "fit",
            met=False,
            says=f"{newest.batch} is not fit to train on: {'; '.join(newest.unfit)}",
        )
    return Rule("fit", met=True, says=f"no check objects to training on {newest.batch}")


def find_triggers(case: Case) -> Iterator[Rule]:
    """Yield the rules that trigger a retraining where they are not met."""
    yield _fresh(case)
    yield _no_loss(case)
    labelled = case.newest(lambda window: window.labelled > 0)
    moved = [window for window in labelled if window.label_drifted]
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
        says = (
            f"the newest row that the champion has learnt from is {days:.0f} days old; at most "
            f"{limit:g} are allowed"
        )
        yield Rule(AGE, met=days <= limit, says=says)


def _fresh(case: Case) -> Rule:
    """Return whether the champion loses too little by not knowing the newer batches."""
    newest, metric = case.windows[-1], case.champion.metric
    stale = newest.staleness
    if not stale or not is_known(stale):
        return Rule(
            FRESH, met=True, says=f"the cost of staleness was not measured on {newest.batch}"
        )
    met = not (stale.value >= case.bound and stale.low > 0)
    # Two models meet the same rows of the batch; the interval is where the true difference lies
    # with the confidence that `retrain.min_probability` asks for. Both count: the difference has to
    # be large enough to matter, and its whole interval above zero.
    says = (
        f"on {newest.batch} a model that has learnt from all batches before would be better by "
        f"{stale.value:+.4f} ({stale.low:+.4f} to {stale.high:+.4f}) in {metric}; at least "
        f"{case.bound:.4g}, with an interval above zero, triggers a retraining"
    )
    return Rule(FRESH, met=met, says=says)


def _growth(case: Case) -> Rule:
    """Return whether the rows have grown too little to train again.

    Where history is short, one more batch is worth a training whatever it holds.
    """
    limit, champion = case.params.max_growth, case.champion
    if limit is None:
        return Rule(
            GROWTH,
            met=True,
            says="SWITCHED OFF (retrain.max_growth): no history has grown too much",
        )
    share = champion.new_rows / max(1, champion.learnt_rows)
    says = (
        f"{champion.new_rows:,} labelled rows are new to the champion, {share:.1%} of the "
        f"{champion.learnt_rows:,} it has learnt from; more than {limit:.0%} triggers a retraining"
    )
    return Rule(GROWTH, met=champion.new_rows <= limit * champion.learnt_rows, says=says)


def _no_loss(case: Case) -> Rule:
    known = case.newest(lambda window: is_known(window.real))
    lost, champion = [window for window in known if case.lost(window.real)], case.champion
    each = "".join(f"; {case.describe(window, window.real)}" for window in known if window.real)
    says = (
        f"{champion.metric} is worse than the {champion.expected.value:.4f} expected, by at least "
        f"{case.bound:.4g} and beyond noise, {case.counted(lost, known, ' with labels')}{each}"
    )
    if len(lost) < case.params.needed:
        return Rule("no loss", met=True, says=says)
    if not any(
        window.inputs_drifted or window.label_drifted for window in (*known, *case.newest())
    ):
        says += "; loss without drift: the relation itself has changed (concept drift)"
    return Rule("no loss", met=False, says=says)


def _no_expected_loss(case: Case) -> Rule:
    """Return whether no loss is expected, by labels or, where none are there, by estimates.

    An estimate alone is too weak to act on where nothing drifted.
    """
    recent, lost, drifted = case.newest(), _expected_losses(case), _drifted(case)
    each = "".join(
        f"; {case.describe(window, window.estimated)}"
        for window in recent
        if _is_estimated(window) and window.estimated
    )
    says = (
        f"a loss in {case.champion.metric} is expected, by labels or by estimates without them, "
        f"{case.counted(lost, recent)}{each}"
    )
    asked = min(len(lost), len(drifted)) >= case.params.needed and any(map(_is_estimated, lost))
    return Rule("no expected loss", met=not asked, says=says)


def find_warnings(case: Case) -> Iterator[Rule]:
    """Yield the rules that are a warning where they are not met."""
    drifted, needed = _drifted(case), case.params.needed
    says = f"inputs drifted {case.counted(drifted, case.newest())}"
    if many := len(drifted) >= needed:
        lost = [window for window in drifted if window in _expected_losses(case)]
        silent = [
            window
            for window in drifted
            if not is_known(window.real) and not is_known(window.estimated)
        ]
        says += (
            f"; {len(lost)} of these with a loss" if lost
            else "; neither labels nor an estimate show what it costs" if silent
            else "; drifted, but no loss is expected" if any(map(_is_estimated, drifted))
            else "; drifted, but no loss was seen"
        )  # fmt: skip
    yield Rule("no drift", met=not many, says=says)
    counts = {
        "loss": sum(
            case.lost(window.real) for window in case.newest(lambda window: is_known(window.real))
        ),
        "label drift": sum(
            window.label_drifted for window in case.newest(lambda window: window.labelled > 0)
        ),
        "expected loss": len(_expected_losses(case)),
        "drift of inputs": len(drifted),
    }
    signs = [
        f"one more batch with {name} is enough"
        for name, count in counts.items()
        if 0 < count == needed - 1
    ]
    if counts["expected loss"] >= needed > len(drifted) and counts["loss"] < needed:
        signs.append("a loss is expected though inputs did not drift: wait for labels")
    if not is_known(case.champion.expected):
        signs.append(
            f"the expected {case.champion.metric} is not a number, no loss can be measured: "
            "evaluate the champion again"
        )
    yield Rule(
        "no sign",
        met=not signs,
        says="; ".join(signs) or "nothing is one batch away from a retraining",
    )


def find_brakes(case: Case) -> Iterator[Rule]:
    """Yield the rules that forbid a retraining where they are not met."""
    now, last, params = case.now, case.last, case.params
    batch, says = case.windows[-1].batch, "no retraining has used these data or newer ones"
    if last is not None and now <= last:
        back = (
            f"the data run backwards in time: {batch} ends {now}, the last retraining had data "
            f"until {last}"
        )
        says = f"a retraining has already used {batch}" if now == last else back
    yield Rule("order", met=last is None or now > last, says=says)
    days = math.inf if last is None else (now - last) / DAY
    if not params.cooldown_days:
        yield Rule(
            "cooldown",
            met=True,
            says="SWITCHED OFF (retrain.cooldown_days is 0): a retraining may follow at once",
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
            says=f"{since}; at least {params.cooldown_days:g} are needed",
        )
    says = (
        f"{case.champion.new_rows:,} labelled rows that the champion has not learnt from; at least "
        f"{params.min_new_rows:,} are needed"
    )
    yield Rule("new rows", met=case.champion.new_rows >= params.min_new_rows, says=says)
    used = sum(moment > now - YEAR for moment in case.champion.retrainings)
    says = f"{used} retraining(s) within 365 days; at most {params.budget} are allowed"
    if not params.budget:
        says = "SWITCHED OFF (retrain.budget is 0): no retraining is allowed"
    yield Rule("budget", met=used < params.budget, says=says)


def _drifted(case: Case) -> list[Window]:
    return [window for window in case.newest() if window.inputs_drifted]


def _expected_losses(case: Case) -> list[Window]:
    return [
        window
        for window in case.newest()
        if case.lost(window.real if is_known(window.real) else window.estimated)
    ]


def _is_estimated(window: Window) -> bool:
    """Return True if a loss is known by an estimate only."""
    return is_known(window.estimated) and not is_known(window.real)
