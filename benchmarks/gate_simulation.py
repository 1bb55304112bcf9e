"""Does the gate mistake luck for progress? `python -m benchmarks.gate_simulation` prints a table, draws docs/gate.png.

Real flights, really trained: a champion from a few of the rows of January to March, and challengers from as many rows
(no better in truth, only other seeds) or more (better, by an effect that is measured). Every sweep draws 10 seeds from
a pool; every trial judges on rows drawn from June to August, as few as a small project has. The truth is the mean over
all seeds of the pool on all 80,000 rows. Beside the gate, on the same trials, the rule that most pipelines ship:
promote where the newest metric is at least the current one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from evergreen import dataset, flights
from evergreen.data.encoder import fit_encoder
from evergreen.data.prepare import featurize, summarize
from evergreen.data.split import LABEL
from evergreen.life.compare import Resampling, Rows, Side, compare
from evergreen.life.decide import PROMOTE, Evidence, decide
from evergreen.model.evaluate import predict
from evergreen.model.metrics import calibration_error, measure
from evergreen.model.sweep import choose
from evergreen.model.tables import Table, Tables
from evergreen.model.train import build_matrix, train
from evergreen.params import Gate, Train

TRIALS, POOL, SWEEP, ROWS = 200, 60, 10, 5000
SHARES = (0.04, 0.06, 0.1, 0.2, 1.0)  # of the training rows; the first is the champion's
QUICK = Train(device="cpu", learning_rate=0.1, rounds=500, early_stopping_rounds=20)
FIGURE = Path(__file__).resolve().parents[1] / "docs" / "gate.png"
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Pool:
    """All seeds of one way of training: predictions for the population, validation losses, AUC on the population."""

    predictions: Array
    losses: Array
    truth: float


@dataclass(frozen=True)
class World:
    """The rows that trials draw from, and the ways of training."""

    y: Array
    origin: Array
    pools: Sequence[Pool]


WORLD: World


def main(trials: str = str(TRIALS)) -> None:
    global WORLD
    WORLD = make_world()
    effects = [pool.truth - WORLD.pools[0].truth for pool in WORLD.pools]
    jobs = [(number, trial) for number in range(len(SHARES)) for trial in range(int(trials))]
    with ProcessPoolExecutor(os.cpu_count(), get_context("fork"), threadpool_limits, (1,)) as workers:
        done = np.array(list(workers.map(run_trial, *zip(*jobs, strict=True), chunksize=5)), dtype=float)
    done = done.reshape(len(SHARES), int(trials), -1)
    print(f"{int(trials)} trials each, {ROWS:,} rows, sweeps of {SWEEP} seeds")
    print("true gain in AUC  gate promotes  newest >= current promotes  95% interval covers the truth  said gain")
    for effect, found in zip(effects, done, strict=True):
        promoted, naive, covered, said = found[:, 0], found[:, 1], found[:, 2], found[:, 3]
        print(
            f"{effect:+.4f}           {promoted.mean():6.1%}         {naive.mean():6.1%}                      "
            f"{covered.mean():6.1%}                         {said.mean():+.4f}"
        )
    draw(effects, done)


def make_world() -> World:
    months = {name: featurize(flights.read(name), "binary")[0] for name in flights.batches()[:8]}
    learn = pl.concat([months[f"2013-0{number}"] for number in (1, 2, 3)])
    counts = summarize(learn, {})
    levels = {name: rows for name, rows in counts.kept.levels.items() if name in dataset.FEATURES}
    encoder = fit_encoder("binary", list(dataset.FEATURES), levels, counts.classes, 20, ["2013-01"])

    def table(rows: pl.DataFrame) -> Table:
        return Table(encoder.transform(rows), encoder.transform_label(rows[LABEL]))

    population = pl.concat([months[f"2013-0{number}"] for number in (6, 7, 8)])
    parts = table(learn), table(months["2013-04"]), table(population)
    order = np.random.default_rng(0).permutation(len(parts[0]))
    pools = []
    for share in SHARES:
        some = order[: int(share * len(order))]
        rows = Table(parts[0].x[some], parts[0].y[some])
        pools.append(train_pool(Tables("binary", encoder.features, (), encoder.classes, rows, *parts[1:])))
        print(f"trained {POOL} seeds on {len(some):,} rows: AUC {pools[-1].truth:.4f}", file=sys.stderr)
    return World(parts[2].y, population["origin"].to_numpy(), pools)


def train_pool(tables: Tables) -> Pool:
    from concurrent.futures import ThreadPoolExecutor

    matrix = build_matrix(tables, QUICK)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        trained = list(threads.map(lambda seed: train(matrix, QUICK, seed), range(POOL)))
    predictions = np.array([predict(one.booster, tables.holdout.x) for one in trained])
    truth = float(np.mean([measure("binary", tables.holdout.y, one)["roc_auc"] for one in predictions]))
    return Pool(predictions, np.array([one.validation_loss for one in trained]), truth)


def run_trial(number: int, trial: int) -> tuple[bool, bool, bool, float]:
    """Return: the gate promotes, the common rule promotes, the interval holds the truth; and the lead."""
    draw = np.random.default_rng([number, trial])
    rows = draw.choice(len(WORLD.y), ROWS, replace=False)
    first, second = draw.integers(0, POOL, (2, SWEEP))  # with replacement: as if the pool had no end
    champion, challenger = side(WORLD.pools[0], first, rows), side(WORLD.pools[number], second, rows)
    y = WORLD.y[rows]
    slices = {f"origin={name}": WORLD.origin[rows] == name for name in np.unique(WORLD.origin)}
    found = compare(Rows("binary", y, slices), champion, challenger, {}, "roc_auc", Resampling(500, 0.95, trial))
    errors = [calibration_error("binary", y, one.prediction) for one in (champion, challenger)]
    evidence = Evidence(found, "1", 30.0, (errors[0], errors[1]), {}, 0.0, SWEEP)
    old, new = (measure("binary", y, one.prediction)["roc_auc"] for one in (champion, challenger))
    lead, truth = found.whole["roc_auc"], WORLD.pools[number].truth - WORLD.pools[0].truth
    return decide(evidence, Gate()).action == PROMOTE, new >= old, lead.low <= truth <= lead.high, lead.value


def side(pool: Pool, seeds: Array, rows: Array) -> Side:
    chosen = choose({number: float(pool.losses[seed]) for number, seed in enumerate(seeds)}, "median")[0]
    return Side(pool.predictions[seeds[chosen]][rows], tuple(pool.predictions[seed][rows] for seed in seeds))


def draw(effects: Sequence[float], done: Array) -> None:
    from matplotlib.figure import Figure

    from evergreen.report.plots import AMBER, DARK, GREEN, GREY

    figure = Figure(figsize=(10, 4.2), dpi=110, layout="constrained")
    power, cover = figure.subplots(1, 2)
    for column, colour, label in ((1, AMBER, "newest metric ≥ current metric"), (0, GREEN, "the gate")):
        power.errorbar(effects, done[:, :, column].mean(axis=1), binomial(done[:, :, column]), color=colour, marker="o",
                       capsize=3, lw=2, label=label)  # fmt: skip
    power.axhline(0.05, color=GREY, ls="--", lw=1)
    power.text(max(effects), 0.06, "5%", color=DARK, ha="right", fontsize=8)
    power.set(xlabel="true gain in AUC over the champion", ylabel="share of trials that promote", ylim=(0, 1.03))
    power.set_title("Who is promoted", loc="left", fontweight="bold")
    power.legend(frameon=False)
    cover.axhspan(0.90, 0.98, color=GREY, alpha=0.3, lw=0, label="90% to 98%")
    cover.errorbar(
        effects, done[:, :, 2].mean(axis=1), binomial(done[:, :, 2]), color=GREEN, marker="o", capsize=3, lw=2
    )
    cover.set(xlabel="true gain in AUC over the champion", ylabel="share of 95% intervals that hold the truth")
    cover.set_ylim(0.8, 1.0)
    cover.set_title("Whether intervals tell the truth", loc="left", fontweight="bold")
    cover.legend(frameon=False, loc="lower right")
    for axes in (power, cover):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(FIGURE)
    print(f"drawn: {FIGURE}")


def binomial(found: Array) -> Array:
    """Return how far Wilson's 95% interval reaches below and above each share, shape (2, effects)."""
    from scipy.stats import binomtest

    shares = found.mean(axis=1)
    edges = [binomtest(int(one.sum()), len(one)).proportion_ci(method="wilson") for one in found]
    return np.array(
        [
            [s - e.low for s, e in zip(shares, edges, strict=True)],
            [e.high - s for s, e in zip(shares, edges, strict=True)],
        ]
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
