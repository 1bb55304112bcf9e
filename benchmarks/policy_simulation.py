"""How often does the policy ask for a retraining?

`python -m benchmarks.policy_simulation` prints two tables. Batches of five columns with a label and
the champion's prediction go through the functions that monitoring uses: sketch, drift of every
column and of all together, performance by labels, the fresh model that says what staleness costs,
the default policy. Without drift a retraining is a false alarm. With it, what counts is after how
many batches the first one is asked for. Days of the data move on, the champion is never too old,
and no brake holds anything back: these have no part in the question. Champion and fresh model learn
from at most 20,000 rows of a batch: from more, chance would tell them less apart.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from multiprocessing import get_context
from typing import Any

import numpy as np
import polars as pl
from scipy.special import expit
from threadpoolctl import threadpool_limits

from evergreen.decision import RETRAIN
from evergreen.evaluation.intervals import Estimate
from evergreen.features.encoder import Encoder
from evergreen.features.split import LABEL, TIME
from evergreen.metrics.table import LIBRARY
from evergreen.monitoring.drift import find_drift
from evergreen.monitoring.performance import measure_live
from evergreen.monitoring.retrain import decide_retraining
from evergreen.monitoring.staleness import find_staleness
from evergreen.monitoring.windows import ChampionState, Window
from evergreen.params import Drift, Params, Retrain, Train
from evergreen.promotion.candidate import Candidate, days_of
from evergreen.scoring.package import Learnt, Model
from evergreen.statistics.pooling import pool
from evergreen.statistics.sketch import Sketch, sketch
from evergreen.training.tables import Table, Tables
from evergreen.training.xgboost import build_matrix, train

Array = np.ndarray[Any, np.dtype[Any]]
START, PAST, BATCHES, RUNS, MOST = datetime(2013, 1, 1), 10, 200, 10, 12  # noqa: DTZ001
LEARNT = 20_000  # rows of a batch
POLICY = Retrain(cooldown_days=0.0, max_age_days=None, max_growth=None, budget=1000)
HOW = Params(
    evaluate={"resamples": 200},
    train=Train(device="cpu", rounds=60, learning_rate=0.1, max_depth=4),
)
PLACES = tuple(map(str, range(8)))
ENCODER = Encoder(
    "binary", ("n0", "n1", "n2", "n3", "place"), {"place": PLACES}, ("0", "1"), ("past",)
)


@dataclass(frozen=True)
class Change:
    """What changes from some batch on: inputs moved, relation weaker, label more frequent."""

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
    """Draws batches of 30 days."""

    def __init__(self, rows: int, seed: int) -> None:
        self.rows, self.draw, self.drawn = rows, np.random.default_rng([seed, rows]), 0

    def __call__(self, change: Change = Change()) -> pl.DataFrame:
        x = self.draw.standard_normal((self.rows, 4), np.float32)
        x[:, :2] += change.shift
        place = self.draw.integers(0, len(PLACES), self.rows)
        known = x[:, 2] + 0.7 * x[:, 3]  # the columns that move have no part in the label
        truth = change.relation * known + (1 - change.relation) * x[:, 1] - 1.2 + change.odds
        y = self.draw.random(self.rows) < expit(truth)
        days = self.drawn * 30 + np.arange(self.rows) * 30 // self.rows
        self.drawn += 1
        columns = {TIME: pl.Series(np.datetime64(START, "us") + days * np.timedelta64(1, "D"))}
        columns |= {f"n{at}": pl.Series(x[:, at]) for at in range(4)}
        texts = {"place": place, LABEL: y.astype(int)}
        return pl.DataFrame(
            columns | {name: pl.Series(values).cast(pl.String) for name, values in texts.items()}
        )


def taken(batch: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a batch that models learn from."""
    return batch.sample(min(LEARNT, batch.height), seed=0)


def as_tables(batches: Sequence[pl.DataFrame]) -> Tables:
    """Return what a model learns from these batches; a row's key is its number."""
    rows = pl.concat(batches)
    keys = np.arange(rows.height, dtype=np.uint64)
    table = Table(ENCODER.transform(rows), ENCODER.transform_label(rows[LABEL]), keys)
    none = table.none()
    return Tables(
        "binary", ENCODER.features, ("place",), ENCODER.classes, table, none, none, ENCODER
    )


def champion_of(past: Sequence[pl.DataFrame]) -> Candidate:
    tables, how = as_tables(past), HOW.train
    trained = train(build_matrix(tables, how, threads=1), how, 0)
    learnt = Learnt.of(tables, START.isoformat())
    return Candidate(
        "1", Model(ENCODER, {0: trained.booster}, learnt, rounds=trained.rounds), (trained.booster,)
    )


def run(rows: int, seed: int, batches: int, change: Change, stop: bool) -> list[tuple[str, str]]:
    """Return for each batch which rules asked for a retraining; "" where none did.

    Without the fresh model, and with it. With `stop`, until it is asked for without.
    """
    # Drawn twice: a million rows of each batch are not kept
    world, again = World(rows, seed), World(rows, seed)
    history = [taken(world()) for _ in range(PAST)]
    champion = champion_of(history)

    def sketch_of(batch: pl.DataFrame, p: Array) -> Sketch:
        columns = (
            batch.drop(TIME)
            .rename({LABEL: "label"})
            .with_columns(prediction=pl.Series(p, dtype=pl.Float32))
        )
        return sketch(columns, None)

    def measure(batch: pl.DataFrame, p: Array, seed: int) -> Estimate:
        # Whole days are resampled, as monitoring does: 30 of them, and not a million rows
        y, days = ENCODER.transform_label(batch[LABEL]), days_of(batch)
        return measure_live("binary", y, p, days, HOW.evaluate, seed, metrics=LIBRARY)["roc_auc"]

    predict = champion.model.predict_rows
    past = [sketch_of(batch, predict(batch)) for batch in (again() for _ in range(PAST))]
    whole, holdout = pool(past), world()
    expected = measure(holdout, predict(holdout), seed)
    life = ChampionState("1", START, expected, "roc_auc", (), 10**9, 10**9)
    windows: list[Window] = []
    asked: list[tuple[str, str]] = []
    for at in range(batches):
        batch = world(change)
        p = predict(batch)
        kept, real = sketch_of(batch, p), measure(batch, p, at)
        found = find_drift(kept, whole, past, Drift(), 0.5, seed)
        stale = find_staleness(
            champion, as_tables(history), batch, "roc_auc", HOW, device="cpu", threads=1
        )
        history.append(taken(batch))
        end = START + timedelta(days=30 * (at + 1))
        drifted = found.drifted, found.together, found.label_drifted, found.prediction_drifted
        windows.append(Window(f"{at:04}", end, rows, rows, *drifted, real, staleness=stale))
        known = windows[-POLICY.windows :]
        asked.append(
            (
                _asked([replace(window, staleness=None) for window in known], life),
                _asked(known, life),
            )
        )
        if stop and asked[-1][0]:
            break
    return asked


def _asked(windows: Sequence[Window], life: ChampionState) -> str:
    decision = decide_retraining(windows, life, POLICY, metrics=LIBRARY)
    due = [rule["name"] for rule in decision.rules if not rule["met"]]
    return ", ".join(due) if decision.action == RETRAIN else ""


def quiet(rows: int, seed: int) -> list[tuple[str, str]]:
    return run(rows, seed, BATCHES // RUNS, Change(), stop=False)


def first(rows: int, seed: int, name: str) -> tuple[int, ...]:
    asked = run(rows, seed, MOST, CHANGES[name], stop=True)
    return tuple(
        next((at for at, why in enumerate(way, 1) if why), MOST + 1)
        for way in zip(*asked, strict=True)
    )


def main(*sizes: str) -> None:
    with ProcessPoolExecutor(
        os.cpu_count(), get_context("spawn"), threadpool_limits, (1,)
    ) as workers:
        print(
            f"{BATCHES} batches without drift under {RUNS} champions: share that asks for a "
            "retraining, and why"
        )
        for rows in map(int, sizes or ("10000", "1000000")):
            asked = [
                pair for part in workers.map(quiet, [rows] * RUNS, range(RUNS)) for pair in part
            ]
            for name, way in zip(
                ("without the fresh model", "with it"), zip(*asked, strict=True), strict=True
            ):
                why = "; ".join(
                    f"{rules}: {count}" for rules, count in Counter(filter(None, way)).items()
                )
                print(
                    f"  {rows:>9,} rows, {name:18s}{np.mean([*map(bool, way)]):6.1%}  {why}",
                    flush=True,
                )
        print(
            "\nbatches of 10,000 rows until a retraining is asked for, without the fresh "
            f"model and with it: {RUNS} runs"
        )
        for name in CHANGES:
            found = list(workers.map(first, [10_000] * RUNS, range(RUNS), [name] * RUNS))
            print(f"  {name:34s}{'   '.join(map(told, zip(*found, strict=True)))}", flush=True)


def told(found: Sequence[int]) -> str:
    """Return median and range in words."""
    number: Callable[[float], str] = lambda at: f"over {MOST}" if at > MOST else f"{at:g}"  # noqa: E731
    reach = f"({number(min(found))} to {number(max(found))})"
    return f"{number(float(np.median(found))):>8s}  {reach:20s}"


if __name__ == "__main__":
    main(*sys.argv[1:])
