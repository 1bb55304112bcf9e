"""A made-up history: its rule of being late changes once, and it holds a poisoned batch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from evergreen.project import Project
from evergreen.replay.outcome import Replay
from late_flights import flights

BATCHES = tuple(f"batch-{number}" for number in range(1, 10))
TURN, POISONED = "batch-4", "batch-7"
SECTIONS: dict[str, Any] = {
    "train": {
        "device": "cpu",
        "rounds": 20,
        "early_stopping_rounds": 5,
        "learning_rate": 0.3,
        "max_depth": 4,
        "max_bin": 32,
        "colsample_bytree": 1.0,
    },
    "split": {"train_batches": 1, "cross_validate_below": None},
    "sweep": {"seeds": 2},
    "evaluate": {"resamples": 100},
    "leaks": {"stand_out": None},  # one feature tells much of the label here
    "gate": {"slice_margin": None, "max_calibration_error": None},
    "retrain": {"windows": 1, "needed": 1, "min_new_rows": 100},
}


@cache
def january(part: int, rows: int = 1100) -> pl.DataFrame:
    """Some of the flights of the first 28 days of January; no two parts share one."""
    days = flights.read("2013-01").filter(
        pl.col("scheduled_departure").dt.day() <= 28, pl.col("arr_delay").is_not_null()
    )
    return days.gather_every(len(BATCHES) * max(1, days.height // len(BATCHES) // rows), part)


@cache
def history(name: str) -> pl.DataFrame:
    """Flights that are late by the hour, in a way that no line can follow: every other two hours
    first, then every other three.
    """
    part = BATCHES.index(name)
    rows = january(part).with_columns(pl.col("scheduled_departure").dt.offset_by(f"{part}mo"))
    luck = np.random.default_rng(part).random(rows.height) < 0.15
    hours = rows["scheduled_departure"].dt.hour().to_numpy() // (2 if name < TURN else 3)
    late = (hours % 2 == 0) ^ luck
    rows = rows.with_columns(pl.Series("arr_delay", np.where(late, 60, 0), dtype=pl.Int32))
    return rows.with_columns(temp=pl.lit(50.0)) if name == POISONED else rows


@dataclass(frozen=True)
class Told:
    """A replay that was made, where, and how often the functions of the real loop were called."""

    found: Replay
    workspace: Project
    calls: Counter[str]
    champions: dict[str, list[str]]  # champion -> batches that monitoring saw under it

    def before(self, name: str) -> str:
        """The newest batch before that all may learn from."""
        return max(batch for batch in BATCHES if batch < name and batch not in self.found.held)
