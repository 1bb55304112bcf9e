"""Track: where one policy stands in a replay, and a memory of what several policies ask for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import numpy as np

from evergreen.replay.challenge import Champion
from evergreen.replay.outcome import TRAINED, Policy, Step

Array = np.ndarray[Any, np.dtype[Any]]
T = TypeVar("T")


@dataclass
class Track:
    """The state of a policy.

    `trained`: the newest time of the batch that judged each of its challengers, the first included.
    """

    policy: Policy
    champion: Champion
    trained: list[datetime]
    steps: list[Step] = field(default_factory=list)
    draws: list[Array] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def waited(self) -> int:
        """How many batches came since the last retraining, this one included."""
        since = (at for at, step in enumerate(reversed(self.steps), 1) if step.action in TRAINED)
        return next(since, len(self.steps) + 1)


class Once:
    """A memory of results, with the seconds that each took: the same for whoever asks again."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[Any, float]] = {}

    def __call__(self, key: Any, make: Callable[[], T]) -> tuple[T, float]:
        """Return what `make` returns, and its seconds."""
        if key not in self._known:
            began = time.perf_counter()
            self._known[key] = make(), time.perf_counter() - began
        value: tuple[T, float] = self._known[key]
        return value
