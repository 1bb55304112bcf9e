"""Retrain: is it time for a new champion? A pure function of what monitoring saw.

Labels decide, where there are any. Drift of inputs alone is a warning: it need not cost anything.
All times are those of the data, so a year that is replayed decides as the year itself did; neither
the order of the windows nor how often one is given plays a part. As in the gate a rule is met where
all is well, and every rule is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from evergreen.decision import NOTHING, RETRAIN, WATCH, Action, Decision, Rule
from evergreen.errors import InputError
from evergreen.metrics.metric import Metrics
from evergreen.monitoring.retrain_rules import (
    find_brakes,
    find_fit,
    find_newer,
    find_triggers,
    find_warnings,
)
from evergreen.monitoring.windows import Case, ChampionState, Window, in_order
from evergreen.params import Retrain


def decide_retraining(
    windows: Sequence[Window], champion: ChampionState, params: Retrain, *, metrics: Metrics
) -> Decision:
    """Return whether to `retrain`, to `watch` or to do `nothing`.

    To watch means a warning, or a retraining that has to wait. Of several windows of one batch the
    one with the newest end counts, then the one with most labels. Batches that end no later
    than `learnt_until` came late and are no evidence. Raises InputError where times with and
    without a zone are mixed.
    """
    _check_times(
        [*(window.end for window in windows), champion.learnt_until, *champion.retrainings]
    )
    case = Case(in_order(windows, champion), champion, params, metrics[champion.metric])
    first = find_newer(case, windows)
    if not case.windows:
        return _decision(NOTHING, [first], [first.says], case)
    fit, triggers, warnings, brakes = (
        find_fit(case),
        [*find_triggers(case)],
        [*find_warnings(case)],
        [*find_brakes(case)],
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
        NOTHING, rules, [f"no reason to replace the champion, version {champion.version}"], case
    )


def _check_times(times: Sequence[datetime]) -> None:
    zoned = [moment for moment in times if moment.tzinfo is not None]
    if zoned and len(zoned) < len(times):
        bare = next(moment for moment in times if moment.tzinfo is None)
        raise InputError(
            f"times with a time zone ({zoned[0]}) and without ({bare}) cannot be compared: "
            "give all batches times of one kind"
        )


def _decision(
    action: Action, rules: Sequence[Rule], reasons: Sequence[str], case: Case
) -> Decision:
    off = [
        rule.says
        for rule in rules
        if rule.says.startswith("SWITCHED OFF") and rule.says not in reasons
    ]
    plain = {
        "rules": [asdict(rule) for rule in rules],
        "windows": [
            asdict(window) | {"end": window.end.isoformat()}
            for window in case.windows[-case.params.windows :]
        ],
        "life": asdict(case.champion)
        | {
            "learnt_until": case.champion.learnt_until.isoformat(),
            "retrainings": sorted(moment.isoformat() for moment in case.champion.retrainings),
        },
        "retrain": case.params.model_dump(),
    }
    return Decision(action, (*reasons, *off), plain)
