"""Faults: what spoils other evidence comes first, then what gains most, then what does no harm."""

from __future__ import annotations

from evergreen.diagnosis.fault import (
    COPIES,
    HIGH_RATE,
    LABEL_NOISE,
    OVERFIT,
    SLICE,
    USELESS,
    Fault,
    in_order,
)


def test_the_most_important_first() -> None:
    mixed = [
        (USELESS, 0.0),
        (SLICE, 0.01),
        (OVERFIT, 0.2),
        (LABEL_NOISE, 0.1),
        (HIGH_RATE, 0.05),
        (COPIES, 0.3),
    ]
    found = in_order([Fault(kind, "seen", "do", gain) for kind, gain in mixed])
    assert [fault.kind for fault in found] == [
        COPIES,
        LABEL_NOISE,
        HIGH_RATE,
        OVERFIT,
        SLICE,
        USELESS,
    ]
