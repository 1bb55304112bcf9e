"""How often does the policy ask for a retraining? `python -m benchmarks.policy_simulation` prints two tables.

Batches of six columns with a label and the champion's prediction go through the functions that monitoring uses: sketch,
drift of every column and of all together, performance by labels, the default policy. Without drift a retraining is a
false alarm. With it, what counts is after how many batches the first one is asked for. Days of the data move on, the
champion is never too old, and no brake holds anything back: these have no part in the question.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing import get_context
from typing import Any

import numpy as np
import polars as pl
from scipy.special import expit
from threadpoolctl import threadpool_limits

from evergreen.data.sketch import Sketch, pool, sketch
from evergreen.life.decide import RETRAIN
from evergreen.life.drift import find_drift
from evergreen.life.performance import measure_live
from evergreen.life.retrain import Life, Window, decide_retraining
from evergreen.params import Drift, Evaluate, Retrain

Array = np.ndarray[Any, np.dtype[Any]]
START, PAST, BATCHES, RUNS, MOST = datetime(2013, 1, 1), 10, 200, 10, 12  # noqa: DTZ001
POLICY = Retrain(cooldown_days=0.0, max_age_days=None, budget=1000)
HOW = Evaluate(resamples=200)


@dataclass(frozen=True)
class Change:
    """What is otherwise from some batch on: the inputs moved, the relation weaker, the label more frequent."""

    shift: float = 0.0  # of two columns, in standard deviations
    relation: float = 1.0  # how much of what the champion has learnt still holds
    odds: float = 0.0  # added to the log-odds of the label


CHANGES = {
    "inputs moved by 0.3 sd, no loss": Change(shift=0.3),
    "relation a little weaker": Change(relation=0.95),
    "relation weaker": Change(relation=0.85),
    "relation much weaker": Change(relation=0.6),
    "label a little more frequent": Change(odds=0.15),
    "label more frequent": Change(odds=0.5),
}


class World:
    """Draws batches, and what the champion says of them."""

    def __init__(self, rows: int, seed: int) -> None:
        self.rows, self.draw = rows, np.random.default_rng([seed, rows])

    def __call__(self, change: Change = Change()) -> tuple[Sketch, Array, Array]:
        x = self.draw.standard_normal((self.rows, 4), np.float32)
        x[:, :2] += change.shift
        place = self.draw.integers(0, 8, self.rows)
        known = x[:, 2] + 0.7 * x[:, 3]  # the columns that move have no part in the label
        truth = change.relation * known + (1 - change.relation) * x[:, 1] - 1.2 + change.odds
        y = (self.draw.random(self.rows) < expit(truth)).astype(np.float32)
        p = expit(known - 1.2).astype(np.float32)
        columns = {f"n{at}": x[:, at] for at in range(4)}
        frame = pl.DataFrame(
            columns
            | {"place": pl.Series(place).cast(pl.String), "prediction": p, "label": pl.Series(y).cast(pl.String)}
        )
        return sketch(frame, None), y, p


def run(rows: int, seed: int, batches: int, change: Change, stop: bool) -> list[bool]:
    """Return for each batch whether a retraining was asked for; with `stop`, until the first."""
    world = World(rows, seed)
    past = [world()[0] for _ in range(PAST)]
    whole, (_, y, p) = pool(past), world()
    expected = measure_live("binary", y, p, None, HOW, seed)["roc_auc"]
    life = Life("1", START, expected, "roc_auc", (), 10**9)
    windows: list[Window] = []
    asked: list[bool] = []
    for at in range(batches):
        batch, y, p = world(change)
        found = find_drift(batch, whole, past, Drift(), 0.5, seed)
        real = measure_live("binary", y, p, None, HOW, at)["roc_auc"]
        end = START + timedelta(days=30 * (at + 1))
        windows.append(Window(f"{at:04}", end, rows, rows, found.drifted, found.together, found.label_drifted,
                              found.prediction_drifted, real))  # fmt: skip
        asked.append(decide_retraining(windows[-POLICY.windows :], life, POLICY).action == RETRAIN)
        if stop and asked[-1]:
            break
    return asked


def quiet(rows: int, seed: int) -> list[bool]:
    return run(rows, seed, BATCHES // RUNS, Change(), stop=False)


def first(rows: int, seed: int, name: str) -> int:
    asked = run(rows, seed, MOST, CHANGES[name], stop=True)
    return len(asked) if asked[-1] else MOST + 1


def main(*sizes: str) -> None:
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), threadpool_limits, (1,)) as workers:
        print(f"{BATCHES} batches without drift under {RUNS} champions: share that asks for a retraining")
        for rows in map(int, sizes or ("10000", "1000000")):
            asked = [one for part in workers.map(quiet, [rows] * RUNS, range(RUNS)) for one in part]
            print(f"  {rows:>9,} rows   {np.mean(asked):.1%}", flush=True)
        print(f"\nbatches of 10,000 rows until a retraining is asked for: median (range) of {RUNS} runs")
        for name in CHANGES:
            found = list(workers.map(first, [10_000] * RUNS, range(RUNS), [name] * RUNS))
            told: Callable[[float], str] = lambda at: f"over {MOST}" if at > MOST else f"{at:.0f}"  # noqa: E731
            print(f"  {name:34s}{told(float(np.median(found))):>8s}  ({told(min(found))} to {told(max(found))})")


if __name__ == "__main__":
    main(*sys.argv[1:])
