"""Training rows: made-up rows and the evidence of bias in them, for the tests of bias."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from evergreen.features.columns import Columns
from evergreen.features.keys import KEY
from evergreen.features.split import GROUP, LABEL, SLICE, TIME
from evergreen.finding import Finding
from evergreen.quality.bias import BiasReport
from evergreen.quality.bias_findings import Evidence
from evergreen.statistics.profile import Profile, profile

ROWS = 2000


def rows(count: int = ROWS, seed: int = 0, late: float = 0.3, warm: float = 20.0) -> pl.DataFrame:
    """Made-up rows as in a features file: a number, a category and a slice without bias."""
    draw = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            KEY + "id": [f"{seed}-{place}" for place in range(count)],
            TIME: range(count),
            LABEL: np.where(draw.random(count) < late, "late", "on time").tolist(),
            SLICE + "team": draw.choice(["a", "b", "c"], count).tolist(),
            "warm": draw.normal(warm, 5.0, count).tolist(),
            "place": draw.choice(["x", "y"], count, p=[0.7, 0.3]).tolist(),
        },
        schema_overrides={"warm": pl.Float32()},
    )


def profiled(frame: pl.DataFrame, **left_out: pl.DataFrame) -> Profile:
    """The profile of such rows, and of those left out."""
    groups = [name for name in frame.columns if name.startswith((SLICE, GROUP))]
    values = [
        *groups,
        *(name for name in frame.columns if not name.startswith((KEY, TIME, LABEL, SLICE, GROUP))),
    ]
    return profile(
        frame.select(values),
        frame[LABEL],
        {why: frame.select(values) for why, frame in left_out.items()},
        groups,
    )


def evidence(train: pl.DataFrame | None = None, task: str = "binary", **parts: Any) -> Evidence:
    """Evidence without any bias, some of its parts replaced."""
    train = rows() if train is None else train
    found = {
        "window": profiled(train),
        "history": profiled(rows(seed=1)),
        "latest": profiled(rows(seed=2)),
    } | parts
    return Evidence(
        task, ("2013-01", "2013-02"), "2013-04", Columns.of(train), profiled(train), **found
    )


def only(report: BiasReport, topic: str, *words: str) -> Finding:
    """The one finding of a topic whose name holds all words."""
    (found,) = [
        finding
        for finding in report.findings
        if finding.topic == topic and all(word in finding.name for word in words)
    ]
    return found


def column(finding: Finding, title: str) -> list[Any]:
    return [row[list(finding.columns).index(title)] for row in finding.rows]


def lacking(share: float, everywhere: float = 0.0) -> pl.DataFrame:
    """Rows of which a share lacks the number in team `b`, and another share in every team."""
    draw = np.random.default_rng(9).random(ROWS)
    gone = (draw < everywhere) | (
        (pl.Series(rows()[SLICE + "team"] == "b")).to_numpy() & (draw < share)
    )
    return rows().with_columns(warm=pl.when(~pl.Series(gone)).then("warm"))
