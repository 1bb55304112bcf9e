"""Decisions are values: what a gate says, why, in sentences, and the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Action = Literal["promote", "refuse", "ask", "retrain", "watch", "nothing", "rollback", "keep"]
PROMOTE: Final = "promote"  # of the gate
REFUSE: Final = "refuse"
ASK: Final = "ask"
RETRAIN: Final = "retrain"  # of monitoring
WATCH: Final = "watch"
NOTHING: Final = "nothing"
ROLL_BACK: Final = "rollback"  # of the look back
KEEP: Final = "keep"


@dataclass(frozen=True)
class Rule:
    """One rule of the gate: whether it is met, and what it saw, in a sentence."""

    name: str
    met: bool
    says: str


@dataclass(frozen=True)
class Decision:
    """What a gate says: the action, the reasons in sentences, and the evidence as plain values."""

    action: Action
    reasons: tuple[str, ...]
    evidence: Mapping[str, Any] = field(repr=False)

    def as_markdown(self) -> str:
        """Return the decision as a table of its rules."""
        lines = [
            f"**{self.action}**: {' '.join(self.reasons)}",
            "",
            "| rule | | what it saw |",
            "|---|---|---|",
        ]
        shown = [
            (rule["name"], "met" if rule["met"] else "BROKEN", _cell(rule["says"]))
            for rule in self.rules
        ]
        return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in shown)])

    def as_plain(self) -> dict[str, Any]:
        """Return the decision as plain values, for JSON."""
        return {
            "action": self.action,
            "reasons": list(self.reasons),
            "evidence": dict(self.evidence),
        }

    @property
    def rules(self) -> list[dict[str, Any]]:
        """The rules, in order, as plain values."""
        return list(self.evidence["rules"])


def _cell(says: str) -> str:
    """Return a sentence as a cell of a table: names of levels may hold anything."""
    return " ".join(says.split()).replace("|", "\\|")
