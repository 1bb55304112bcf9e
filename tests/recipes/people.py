"""People: made-up rows of a features file, and models whose weights are given, not fitted."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from recipes.plain import (
    CLASSES,
)

from evergreen.features.encoder import Encoder
from evergreen.features.keys import KEY, hash_rows
from evergreen.features.split import GROUP, LABEL, SLICE, TIME
from evergreen.promotion.candidate import Candidate
from evergreen.scoring.package import Learnt, Model

PLACES = ("ash", "bay", "cove", "dell")
NAMES = ("first", "second", "place")


def people(task: str, count: int, seed: int, start: str = "2013-04-01") -> pl.DataFrame:
    """Rows of a features file whose label depends on its features, with a slice and a group."""
    draw = np.random.default_rng(seed)
    first, second, member = (
        draw.normal(size=count),
        draw.normal(size=count),
        draw.random(count) < 0.5,
    )
    place = draw.choice(PLACES, count, p=(0.3, 0.3, 0.25, 0.15))
    score = 1.5 * first - second + (place == "bay") + draw.normal(size=count)
    label: Any = score
    if task == "binary":
        label = np.where(score > 0.5, "yes", "no")
    elif task == "multiclass":
        label = np.array(["low", "middle", "high"])[np.digitize(score, [-0.7, 1.5])]
    begin = datetime.fromisoformat(start)
    return pl.DataFrame(
        {
            f"{KEY}id": [f"{start} {seed} {at}" for at in range(count)],
            TIME: [begin + timedelta(days=30) * (at / count) for at in range(count)],
            LABEL: label,
            f"{SLICE}place": place,
            f"{GROUP}member": np.where(member, "us", "them"),
            "first": first.astype(np.float32),
            "second": np.where(draw.random(count) < 0.1, np.nan, second).astype(np.float32),
            "place": place,
        },
        schema_overrides={TIME: pl.Datetime("us")},
    )


def encoder_of(task: str) -> Encoder:
    return Encoder(task, NAMES, {"place": PLACES}, CLASSES[task], ("2013-01",))


def formula(task: str, skill: float, shift: float = 0.0) -> bytes:
    """A model whose weights are given, in the form of the linear learner: nothing is fitted."""
    classes = len(CLASSES[task])
    sign = [skill, -skill, 0.2 * skill] if task == "multiclass" else [skill]  # high, low, middle
    number = {"fill": 0.0, "mean": 0.0, "scale": 1.0}
    codes = [[weight * (code == 3) for weight in sign] for code in range(1, 6)]
    content = {
        "task": task, "classes": classes, "names": NAMES,
        "intercept": [shift + 0.1 * at for at in range(len(sign))],
        "present": list(range(classes)) if task == "multiclass" else [0, 1][:classes],
        "levels": {"2": [[0.0] * len(sign), *codes]},
        "numbers": {"0": number | {"weight": [1.5 * weight for weight in sign]},
                    "1": number | {"weight": [-abs(weight) / weight for weight in sign]}},
    }  # fmt: skip
    return json.dumps(content).encode()


def candidate(
    task: str, skill: float, version: str, *, seeds: int = 3, way: str = "", **more: Any
) -> Candidate:
    """A version of models whose weights are given, a little apart from seed to seed."""
    boosters = {
        seed: formula(task, skill * (1 + 0.02 * seed), 0.01 * seed) for seed in range(seeds)
    }
    keys = hash_rows(people(task, 50, 999, "2013-01-01"))
    known = Learnt(keys, "2013-03-31T00:00:00", ("2013-01", "2013-02"))
    model = Model(encoder_of(task), boosters, known, "linear", way=way, rounds=10)
    return Candidate(version, model, tuple(boosters.values()), **more)
