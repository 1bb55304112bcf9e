"""Range test: how large a learning rate can be before the loss diverges.

The rate is raised from a small value, a step at a time, until the loss no longer falls over some
rounds; the rate to start from is a step below (Smith, Cyclical learning rates for training neural
networks, 2017, section 3.3). Each rate begins anew. In one run with a rising rate, as Smith's, the
early rounds leave little loss in the direction that diverges, which hides it; and trees that were
boosted stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

FACTOR = 2.0  # a step
SMALLEST, LARGEST = 0.01, 8.0  # XGBoost's squared loss diverges at about 2
ROUNDS = 30  # of each rate
RISE = 0.01  # of what the loss has fallen: less is noise
ROUNDING = 1e-6  # of the first loss

# The loss before the first round, and after each, with a rate; it need not be finite
Losses = Callable[[float], Sequence[float]]


@dataclass(frozen=True)
class Tried:
    """A rate, and the loss before the first round and after each with it."""

    rate: float
    losses: tuple[float, ...]

    @property
    def diverges(self) -> bool:
        """Whether the loss rose over the second half of the rounds, or is no number any more.

        The first rounds may make it rise or fall for other reasons: what was left where training
        began.
        """
        half, last = self.losses[len(self.losses) // 2], self.losses[-1]
        if not (math.isfinite(half) and math.isfinite(last)):
            return True
        first, least = self.losses[0], min(self.losses)
        return last > half + RISE * (first - least) + ROUNDING * abs(first)


@dataclass(frozen=True)
class RangeTest:
    """The rates that were tried, upwards; the last diverges, unless none does."""

    tried: tuple[Tried, ...]

    @property
    def diverges_at(self) -> float | None:
        """The smallest rate that diverges; None where none does."""
        last = self.tried[-1]
        return last.rate if last.diverges else None

    @property
    def start(self) -> float | None:
        """The rate to start from: a step below the smallest that diverges, or the largest tried.

        None where even the smallest diverges.
        """
        stable = [tried.rate for tried in self.tried if not tried.diverges]
        return stable[-1] if stable else None

    @property
    def fastest(self) -> float:
        """The rate whose loss was the lowest after its rounds."""
        stable = [tried for tried in self.tried if not tried.diverges] or [self.tried[0]]
        return min(stable, key=lambda tried: tried.losses[-1]).rate

    def says(self) -> str:
        """Return in a sentence where it diverges, and what to start from."""
        rounds = len(self.tried[0].losses) - 1
        if self.start is None:
            return (
                f"the loss rises over {rounds} rounds even at {self.tried[0].rate:g}, the smallest "
                "that was tried: try smaller ones"
            )
        if self.diverges_at is None:
            return (
                f"the loss still falls over {rounds} rounds at {self.start:g}, the largest that "
                "was tried: it may be larger still"
            )
        return (
            f"the loss rises over {rounds} rounds at {self.diverges_at:g}: start a step below, "
            f"at {self.start:g}"
        )


def find_start(
    losses: Losses, smallest: float = SMALLEST, factor: float = FACTOR, largest: float = LARGEST
) -> RangeTest:
    """Return what becomes of the loss as the rate is raised by `factor` until it diverges."""
    found: list[Tried] = []
    rate = smallest
    while rate <= largest * (1 + 1e-9) and not (found and found[-1].diverges):
        found.append(Tried(rate, tuple(float(loss) for loss in losses(rate))))
        rate = smallest * factor ** len(found)
    return RangeTest(tuple(found))
