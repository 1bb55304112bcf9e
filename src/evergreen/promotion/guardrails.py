"""Guardrails: what must not suffer, whatever the whole gains: slices, calibration, groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from evergreen.decision import Rule
from evergreen.finding import count
from evergreen.metrics.metric import Metric
from evergreen.params import Gate
from evergreen.promotion.compare import Comparison, Difference

if TYPE_CHECKING:
    from evergreen.promotion.evidence import Evidence


def check_slices(found: Comparison, gate: Gate, metric: Metric) -> Rule:
    """Return whether no slice becomes much worse, beyond its noise."""
    if gate.slice_margin is None:
        return Rule(
            "slices", met=True, says="SWITCHED OFF (gate.slice_margin): no slice was looked at"
        )
    known = {
        name: lead for name, lead in found.slices.items() if lead and not math.isnan(lead.champion)
    }
    fallen = {  # what is not a number has fallen
        name: lead
        for name, lead in known.items()
        if not (lead.value >= -gate.slice_margin * unit_of(metric, lead) or lead.high >= 0)
    }
    if fallen:
        told = "; ".join(f"{name}: {tell(found.metric, lead)}" for name, lead in fallen.items())
        return Rule(
            "slices", met=False, says=f"much worse on a part of the rows, beyond its noise: {told}"
        )
    if not known:
        return Rule("slices", met=True, says="no slice to compare")
    name, worst = min(known.items(), key=lambda item: item[1].value)
    quiet = (
        f"; {len(found.slices) - len(known)} too small to judge"
        if len(known) < len(found.slices)
        else ""
    )
    says = f"{len(known)} looked at{quiet}; the lowest, {name}: {tell(found.metric, worst)}"
    return Rule("slices", met=True, says=says)


def check_calibration(evidence: Evidence, gate: Gate) -> Rule:
    """Return whether probabilities are as calibrated as asked, or nearly as the champion's."""
    champion, challenger = evidence.calibration
    if gate.max_calibration_error is None:
        return Rule("calibration", met=True, says="SWITCHED OFF (gate.max_calibration_error)")
    met = challenger <= max(gate.max_calibration_error, gate.margin + champion if champion else 0)
    beside = "" if champion is None else f" (champion {champion:.4f})"
    says = f"calibration error {challenger:.4f}{beside}, at most {gate.max_calibration_error:g}"
    if not met and evidence.useful:
        met = True
        says += (
            f": larger, but nothing is live, and a constant is surely worse in {evidence.useful}"
        )
    return Rule("calibration", met=met, says=says)


def check_groups(evidence: Evidence, gate: Gate) -> Rule:
    """Return whether no two groups are surely treated too differently."""
    if gate.max_group_difference is None:
        return Rule("groups", met=True, says="SWITCHED OFF (gate.max_group_difference)")
    if not evidence.groups:
        return Rule(
            "groups", met=True, says="no two groups of 30 rows to compare (groups in dataset.py)"
        )
    name, largest = max(
        evidence.groups.items(),
        key=lambda item: (math.isnan(item[1].low), item[1].low, item[1].value),
    )
    says = (
        f"largest difference between groups: {largest.value:.3f} by {name}, surely "
        f"{largest.low:.3f}, at most {gate.max_group_difference:g}"
    )
    return Rule("groups", met=largest.low <= gate.max_group_difference, says=says)


def check_datasheet(unanswered: Sequence[str]) -> Rule:
    """Return whether people have answered all that they are asked of the data."""
    if not unanswered:
        return Rule("datasheet", met=True, says="every question of datasheet.yaml is answered")
    says = (
        f"datasheet.yaml leaves {count(len(unanswered), 'question')} unanswered "
        f"({', '.join(unanswered)}): `evergreen papers` writes and lists them; answer "
        "them, and run again"
    )
    return Rule("datasheet", met=False, says=says)


def unit_of(metric: Metric, lead: Difference) -> float:
    """Return what margins count in: the metric itself, or for errors a share of the champion's."""
    return metric.unit(lead.champion)


def tell(metric: str, lead: Difference) -> str:
    """Return a difference in words."""
    return (
        f"{metric} {lead.challenger:.4f} against {lead.champion:.4f}, better by {lead.value:+.4f} "
        f"({lead.low:+.4f} to {lead.high:+.4f}), probability {lead.probability:.2f}"
    )
