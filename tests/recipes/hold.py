"""HOLD: which batches are held back, by which columns, and the numbers in the reasons."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

import numpy as np
import polars as pl
from recipes.plain import (
    a_project,
    plain,
)

from evergreen.ingest.manifest import Manifest
from evergreen.params import Drift
from evergreen.quality import held_batches
from evergreen.statistics.sketch import sketch


def world(at: int, rows: int = 1500, **odd: Any) -> pl.DataFrame:
    """A batch as batches are, but for what is odd."""
    draw = np.random.default_rng(at)
    label, distance = draw.random(rows) < 0.2, draw.normal(100, 20, rows) * odd.get("scale", 1.0)
    distance[:: odd.get("every", rows)] = odd.get("value", distance[0])
    return pl.DataFrame(
        {
            "distance": distance,
            "height": [None if odd.get("missing", False) and row % 2 else value
                       for row, value in enumerate(draw.normal(size=rows).tolist())],
            "place": np.where(odd.get("fixed", False), "ash",
                              draw.choice(["ash", "bay", odd.get("new", "cove")], rows)),
            "label": np.where(label ^ odd.get("flipped", False), "yes", "no"),
        }
    )  # fmt: skip


MILES, FIXED, FLIPPED = {"scale": 1.609}, {"fixed": True}, {"flipped": True}


@cache
def histories() -> dict[str, tuple[list[pl.DataFrame], dict[str, Any], int]]:
    """Batches one after the other, parameters, and days of each batch."""
    usual = [world(at) for at in range(4)]
    odd = {"another unit": MILES, "a column stuck": FIXED, "labels turned": FLIPPED,
           "values missing": {"missing": True}, "a new level": {"new": "dell"},
           "a code for missing": {"every": 20, "value": -999.0}}  # fmt: skip
    found: dict[str, tuple[list[pl.DataFrame], dict[str, Any], int]] = {
        name: ([*usual, world(4, **how), world(5)], {}, 30) for name, how in odd.items()
    }
    miles = [*usual, world(4, **MILES), world(5, **MILES)]
    return found | {
        "the world has changed": (miles, {}, 30),
        "and something else": ([*miles[:5], world(5, **MILES, **FIXED)], {}, 30),
        "labels wait for a person": ([*usual, world(4, **FLIPPED), world(5, **FLIPPED)], {}, 30),
        "a few days": ([*usual, world(4, **MILES), world(5)], {}, 3),
        "a small batch": ([*usual, world(4, 40), world(5, **MILES)], {}, 30),
        "vouched for": ([*usual, world(4, **MILES), world(5)], {"accepted": ("04",)}, 30),
        "a wider bound": ([*usual, world(4, **MILES), world(5)], {"hold": 3.0}, 30),
        "never": ([*usual, world(4, **MILES), world(5)], {"hold": None}, 30),
        "too short a history": ([world(0), world(1), world(2, **MILES)], {}, 30),
        "more than what counts": (
            [*[world(at, 300) for at in range(4)], world(4, 3000, **MILES)],
            {},
            30,
        ),
        "a long history": (
            [*[world(at, 200) for at in range(16)], world(16, 200, **FIXED), world(17, 200)],
            {},
            30,
        ),
    }


def held(name: str) -> Any:
    """Return which batches are held back, by which columns, and what is kept of it."""
    batches, params, days = histories()[name]
    with a_project() as (project, _):
        done = Manifest(project.features)
        for at, rows in enumerate(batches):
            start = datetime(2013, 1, 1) + timedelta(days=30 * at)  # noqa: DTZ001
            path = done.file(f"{at:02}", held_batches.SKETCH)
            sketch(rows, pl.Series(np.arange(rows.height) * days // rows.height)).write(path)
            end = start + timedelta(days=days - 1)
            done.record(
                path.stem, path, rows=rows.height, start=str(start), middle=str(start), end=str(end)
            )
        found = held_batches.find_held(done, list(done.in_order()), Drift(**params))
        kept = json.loads((done.folder / held_batches.HELD).read_text())
        known = {
            key: {part: entry.get(part) for part in ("why", "alike", "held")}
            for key, entry in kept.items()
        }
        return plain([found, known])


CASES: dict[str, Callable[[], Any]] = {name: partial(held, name) for name in histories()}
