"""Own rules: what the project's rules say of a challenger; they only add to the gate's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from evergreen.decision import Rule
from evergreen.extensions import GateRule, name_of
from evergreen.redact import redact

if TYPE_CHECKING:
    from evergreen.params import Gate
    from evergreen.promotion.evidence import Evidence


def ask_own(
    rules: Sequence[GateRule], evidence: Evidence, gate: Gate, taken: Collection[str]
) -> Iterator[Rule]:
    """Yield what each of a project's own `rules` says; one that fails is broken, and refuses.

    `taken`: names of the gate's rules, by which pictures and reasons find them.
    """
    for ask in rules:
        name = name_of(ask)
        try:
            said = list(ask(evidence, gate))
            if odd := [rule for rule in said if not isinstance(rule, Rule)]:
                raise TypeError(f"it gave {odd[0]!r}, which is no Rule")
            if same := [rule.name for rule in said if rule.name in taken]:
                raise ValueError(f"{same[0]!r} is the name of a rule of the library")
        except Exception as error:  # whatever it is: who cannot judge does not promote
            why = redact(" ".join(f"{type(error).__name__}: {error}".split()))
            says = f"the rule {name} of extensions.py failed ({why}): correct it"
            yield Rule(name, met=False, says=says)
        else:
            yield from said
