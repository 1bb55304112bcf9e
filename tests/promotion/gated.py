"""What the gate is told in tests: evidence that passes every rule, and changes to it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from evergreen.decision import Decision
from evergreen.metrics.table import LIBRARY
from evergreen.params import Gate
from evergreen.promotion.compare import Comparison, Difference
from evergreen.promotion.evidence import Evidence
from evergreen.promotion.fairness import Gap

NAN = float("nan")
UNKNOWN = Difference(*[NAN] * 7)
DEFAULT = Gate()


def gap(low: float, value: float | None = None) -> Gap:
    """A difference between groups that is surely as large as `low`."""
    return Gap(low if value is None else value, low)


def lead(metric: str, share: float = 0.02, **other: float) -> Difference:
    """A lead over a champion at 0.5; `share` counts as the gate's bounds do, by half for errors."""
    value = share / 2 if LIBRARY[metric].lower_is_better else share
    challenger = 0.5 - value if LIBRARY[metric].lower_is_better else 0.5 + value
    known = {"low": value - 0.004, "high": value + 0.004, "probability": 0.9, "chance_better": 0.99}
    return Difference(**{"champion": 0.5, "challenger": challenger, "value": value} | known | other)


def evidence(task: str = "binary", **changes: Any) -> Evidence:
    """What passes every rule; `changes` are fields of the evidence or of its comparison."""
    metric = LIBRARY.pick(None, task)
    comparison = Comparison(
        task=task,
        metric=metric,
        rows=1000,
        whole={name: lead(name) for name in LIBRARY.of(task)},
        models=lead(metric),
        slices={"place=ash": lead(metric), "place=bay": lead(metric, 0.01), "place=cove": None},
        baselines={"constant": lead(metric, 0.3), "linear": lead(metric, 0.1)},
        by_seed={"champion": (0.5, 0.51, 0.49), "challenger": (0.52, 0.53, 0.51)},
    )
    inside = {
        name: changes.pop(name) for name in [*changes] if name in Comparison.__dataclass_fields__
    }
    known: dict[str, Any] = {
        "champion": "3",
        "champion_age_days": 30.0,
        "calibration": (0.03, 0.02),
        "groups": {"member": gap(0.04)},
        "reload": 0.0,
        "seeds_expected": 3,
    }
    return Evidence(replace(comparison, **inside), **known | changes)


def alone(task: str = "binary", **changes: Any) -> Evidence:
    """The same of a challenger where no champion lives."""
    slices = {"place=ash": None, "place=bay": None}
    nothing = {
        "whole": {},
        "models": None,
        "slices": slices,
        "by_seed": {"challenger": (0.52, 0.53, 0.51)},
    }
    return evidence(
        task,
        **nothing
        | {"champion": None, "champion_age_days": None, "calibration": (None, 0.02)}
        | changes,
    )


def broken(decision: Decision) -> set[str]:
    return {rule["name"] for rule in decision.rules if not rule["met"]}


def why_broken(decision: Decision) -> dict[str, str]:
    return {rule["name"]: rule["says"] for rule in decision.rules if not rule["met"]}


def says(decision: Decision, name: str) -> str:
    return next(rule["says"] for rule in decision.rules if rule["name"] == name)


def just(value: float, towards: float) -> float:
    return math.nextafter(value, towards)
