"""Fault: one reason why a model is bad, its evidence, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from evergreen.finding import Finding

# What a fault is called, in the order of what is mended first: what makes every judgement void,
# then wrong labels, then how it is learnt from; that nothing is learnt has a cause, which comes
# before; last what does no harm.
NO_MEMORY: Final = "features cannot tell rows apart"
ANY_LABELS: Final = "skill on shuffled labels"
LEAK: Final = "a leaking feature"
COPIES: Final = "duplicated rows"
LABEL_NOISE: Final = "label noise"
HIGH_RATE: Final = "learning rate too high"
LOW_RATE: Final = "learning rate too low"
WRONG_LOSS: Final = "a loss wrong for outliers"
STALE: Final = "a stale model"
OVERFIT: Final = "overfitting"
UNDERFIT: Final = "underfitting"
OLD_ROWS: Final = "old rows do harm"
NO_SKILL: Final = "nothing is learnt"
SLICE: Final = "a slice predicted wrongly"
USELESS: Final = "useless features"
VOID = (NO_MEMORY, ANY_LABELS, LEAK, COPIES)
DATA = (LABEL_NOISE,)
RATE = (HIGH_RATE, LOW_RATE)
HARMLESS = (USELESS,)


@dataclass(frozen=True)
class Fault:
    """One reason why a model is bad.

    `kind`: its name. `says`: the evidence, in numbers. `remedy`: what to do, with the knob in
    params.yaml. `gain`: what mending it is worth, as a share of the loss of a constant prediction,
    where that was measured.
    """

    kind: str
    says: str
    remedy: str
    gain: float = 0.0

    @property
    def rank(self) -> tuple[int, float]:
        """What faults are ordered by: those that spoil other evidence first, then by gain."""
        groups = (VOID, DATA, RATE)
        place = next((at for at, kinds in enumerate(groups) if self.kind in kinds), len(groups))
        return (place + (self.kind in HARMLESS), -self.gain)


@dataclass(frozen=True)
class Found:
    """What one check found: its faults, what it answers in any case, and the tables behind."""

    faults: tuple[Fault, ...] = ()
    answers: tuple[tuple[str, str], ...] = ()  # (question, answer)
    tables: tuple[Finding, ...] = field(default=(), repr=False)


def in_order(faults: list[Fault]) -> list[Fault]:
    """Return the faults, the most important first."""
    return sorted(faults, key=lambda fault: fault.rank)
