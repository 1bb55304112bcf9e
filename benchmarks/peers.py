"""The sweep of ten seeds beside other ways to train as many models, in alternation.

Run `python -m benchmarks.peers [ROWS | flights] [REPEATS]`: rows of 28 numbers that are drawn, or
the flights of eleven months. Each way has a process of its own, loses nothing to another one's
caches, and trains ten models of 100 rounds; seeds differ, and where a search is asked, the rate.
Compared are medians of CPU seconds of all its processes, seconds on the clock, and the most memory
that they held together, above what imports take. `floor`: ten times `xgb.train` on a ready matrix,
which is not counted, without any losses.

The other ways look at the losses of training and validation rows at each round, as people do, who
need them to stop. A run finds its rounds with three seeds that way, each on rows further back, and
then trains ten without losses: "the sweep" is these ten, "and its rounds" both together. LightGBM
is asked where it is installed.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from evergreen.training.tables import Tables

SEEDS, ROUNDS, COLUMNS = range(10), 100, 28
HOW = {
    "max_depth": 6, "learning_rate": 0.1, "subsample": 0.8, "colsample_bytree": 0.8,
    "min_child_weight": 5, "reg_lambda": 1,
}  # fmt: skip


def main(rows: str = "100000", repeats: str = "3") -> None:
    """Run each way in turn, and print a line for each."""
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(int(repeats)):
        for way in WAYS:
            if way == "lightgbm" and not find_spec("lightgbm"):
                continue
            command = [sys.executable, "-m", "benchmarks.peers", "--way", way, rows]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{way}: {done.stderr}")
            found.setdefault(way, []).append(json.loads(done.stdout.splitlines()[-1]))
    print(f"{rows} rows, {len(SEEDS)} models of {ROUNDS} rounds, medians of {repeats}")
    floor = statistics.median(told["cpu"] for told in found["floor"])
    for way, (about, _) in WAYS.items():
        if way not in found:
            print(f"{about:44} not installed")
            continue
        cpu, wall, memory, score = (
            statistics.median(told[name] for told in found[way])
            for name in ("cpu", "wall", "memory", "auc")
        )
        print(
            f"{about:44} {cpu:7.1f} CPU s {wall:7.1f} s {memory:6.0f} MB  auc {score:.4f}  "
            f"{cpu / floor:5.2f} of the floor"
        )


def draw(rows: str) -> Tables:
    """Return rows that train, and those that validate."""
    from evergreen.training.tables import Table, Tables

    if rows == "flights":
        from benchmarks.rounds import tables_of
        from evergreen.features.featurize import featurize
        from late_flights import flights
        from late_flights.dataset import dataset

        months = [
            featurize(dataset, flights.read(f"2013-{at:02}"), "binary")[0] for at in range(1, 12)
        ]
        return tables_of(months[:-1], months[-1])
    count = int(rows)
    random = np.random.default_rng(0)
    x = random.normal(size=(count, COLUMNS)).astype(np.float32)
    score = x[:, 0] + x[:, 1] * x[:, 2] + np.abs(x[:, 3]) + 2 * random.normal(size=count)
    y, cut = (score > 1).astype(np.float32), int(0.85 * count)
    parts = Table(x[:cut], y[:cut]), Table(x[cut:], y[cut:])
    names = tuple(f"n{at}" for at in range(COLUMNS))
    return Tables("binary", names, (), ("no", "yes"), *parts, parts[0].none())


# --- the ways: each returns what its models predict of the validation rows
# --------------------------------------------------------------------------------------------------


def sweep(tables: Tables, cores: int) -> list[Any]:
    """Train as `evergreen run` does once the rounds are known."""
    return train_side_by_side(replace(tables, validation=tables.train.none()), tables, SEEDS, cores)


def whole_sweep(tables: Tables, cores: int) -> list[Any]:
    """Train as `evergreen run` does: to find the rounds, then without losses."""
    from evergreen.training.rounds import ROUND_SEEDS

    stops, end = len(tables.validation), len(tables.train)
    train_side_by_side(tables, tables, SEEDS[:1], cores)
    for seed in SEEDS[1:ROUND_SEEDS]:  # each stopped by as many rows as the one before, but older
        end -= stops
        earlier = tables.train.take(np.arange(end)), tables.train.take(np.arange(end, end + stops))
        cut = replace(tables, train=earlier[0], validation=earlier[1])
        train_side_by_side(cut, cut, range(seed, seed + 1), cores)
    return sweep(tables, cores)


def train_side_by_side(tables: Tables, asked: Tables, seeds: range, cores: int) -> list[Any]:
    """Return what the models of some seeds predict of the validation rows of `asked`."""
    from evergreen.params import Params
    from evergreen.training.seeds import share_cores
    from evergreen.training.xgboost import build_matrix, load, train

    params = Params(
        sweep={"seeds": len(seeds)},
        train={**HOW, "rounds": ROUNDS, "early_stopping_rounds": ROUNDS},
    )
    matrix, slots = build_matrix(tables, params.train), share_cores(params.sweep, cores, "cpu")
    with ThreadPoolExecutor(slots.jobs) as pool:
        made = pool.map(lambda seed: train(matrix, params.train, seed, threads=slots.threads),
                        seeds)  # fmt: skip
        return [load(trained.booster).predict(asked.validation.x) for trained in made]


def fit(tables: Tables, seed: int, threads: int) -> Any:
    from xgboost import XGBClassifier

    model = XGBClassifier(
        n_estimators=ROUNDS, tree_method="hist", random_state=seed, n_jobs=threads, **HOW
    )
    pairs = [(part.x, part.y) for part in (tables.train, tables.validation)]
    model.fit(*pairs[0], eval_set=pairs, verbose=False)
    return model.predict_proba(tables.validation.x)[:, 1]


def loop(tables: Tables, cores: int) -> list[Any]:
    """Call `XGBClassifier.fit` for one seed after the other."""
    return [fit(tables, seed, cores) for seed in SEEDS]


def processes(tables: Tables, cores: int) -> list[Any]:
    """Call it in processes of joblib's."""
    from joblib import Parallel, delayed

    return list(Parallel(n_jobs=cores)(delayed(fit)(tables, seed, 1) for seed in SEEDS))


def boost(tables: Tables, matrices: Any, seed: int, threads: int, *, told: bool, **how: Any) -> Any:
    import xgboost as xgb

    given = {"objective": "binary:logistic", "tree_method": "hist", "seed": seed,
             "nthread": threads, **HOW, **how}  # fmt: skip
    pairs = [(matrix, name) for matrix, name in zip(matrices, ("train", "later"), strict=True)]
    return xgb.train(given, matrices[0], ROUNDS, evals=pairs if told else [], verbose_eval=False)


def bin_rows(tables: Tables) -> Any:
    import xgboost as xgb

    train = xgb.QuantileDMatrix(tables.train.x, tables.train.y)
    return train, xgb.QuantileDMatrix(tables.validation.x, tables.validation.y, ref=train)


def shared(tables: Tables, cores: int) -> list[Any]:
    """Train one seed after the other on one matrix."""
    matrices = bin_rows(tables)
    made = (boost(tables, matrices, seed, cores, told=True) for seed in SEEDS)
    return [model.inplace_predict(tables.validation.x) for model in made]


def optuna(tables: Tables, cores: int) -> list[Any]:
    """Search the rate as Optuna does by itself: TPE, a trial after the other."""
    import optuna as search

    search.logging.set_verbosity(search.logging.WARNING)
    said = []

    def trial(found: Any) -> float:
        rate = found.suggest_float("learning_rate", 0.09, 0.11)
        model = boost(tables, bin_rows(tables), found.number, cores, told=True, learning_rate=rate)
        said.append(model.inplace_predict(tables.validation.x))
        return area(tables, said[-1])

    study = search.create_study(direction="maximize", sampler=search.samplers.TPESampler(seed=0))
    study.optimize(trial, n_trials=len(SEEDS))
    return said


def lightgbm(tables: Tables, cores: int) -> list[Any]:
    """Call `LGBMClassifier.fit` for one seed after the other, with as many leaves and rounds."""
    LGBMClassifier = import_module("lightgbm").LGBMClassifier  # noqa: N806 (in no requirements)

    said = []
    for seed in SEEDS:
        model = LGBMClassifier(n_estimators=ROUNDS, random_state=seed, n_jobs=cores, max_depth=6,
                               num_leaves=63, learning_rate=0.1, subsample=0.8, subsample_freq=1,
                               colsample_bytree=0.8, min_sum_hessian_in_leaf=5, reg_lambda=1,
                               verbose=-1)  # fmt: skip
        pairs = [(part.x, part.y) for part in (tables.train, tables.validation)]
        model.fit(*pairs[0], eval_set=pairs)
        said.append(model.booster_.predict(tables.validation.x))
    return said


def floor(tables: Tables, cores: int) -> list[Any]:
    """Train on a ready matrix, without losses."""
    matrices = READY.pop()
    made = (boost(tables, matrices, seed, cores, told=False) for seed in SEEDS)
    return [model.inplace_predict(tables.validation.x) for model in made]


READY: list[Any] = []
WAYS: dict[str, tuple[str, Callable[[Tables, int], list[Any]]]] = {
    "sweep": ("the sweep", sweep),
    "whole": ("the sweep and its rounds", whole_sweep),
    "loop": ("loop of XGBClassifier.fit", loop),
    "shared": ("one matrix, a seed after the other", shared),
    "processes": ("XGBClassifier.fit in processes of joblib", processes),
    "optuna": ("Optuna, ten trials by itself", optuna),
    "lightgbm": ("loop of LGBMClassifier.fit", lightgbm),
    "floor": ("the floor: xgb.train, ready matrix, no losses", floor),
}


def area(tables: Tables, said: Any) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(tables.validation.y, said))


def run(way: str, rows: str) -> None:
    """Train in one way, and print what that took."""
    import pandas as pd  # noqa: F401  (imports are not what is measured)
    import psutil
    import sklearn.metrics  # noqa: F401
    import xgboost  # noqa: F401

    from evergreen.training.device import count_cores

    tables, cores, own = draw(rows), count_cores(), psutil.Process()
    if way == "floor":
        READY.append(bin_rows(tables))
    most, ended = [own.memory_info().rss], threading.Event()
    children: dict[int, float] = {}
    base = most[0]

    def watch() -> None:
        while not ended.wait(0.05):
            held = own.memory_info().rss
            for child in own.children(recursive=True):
                try:
                    held += child.memory_info().rss
                    children[child.pid] = sum(child.cpu_times()[:2])
                except psutil.NoSuchProcess:
                    continue
            most.append(held)

    watching = threading.Thread(target=watch)
    watching.start()
    wall, cpu = time.perf_counter(), time.process_time()
    said = WAYS[way][1](tables, cores)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    time.sleep(0.1)
    ended.set()
    watching.join()
    told = {"cpu": cpu + sum(children.values()), "wall": wall, "memory": (max(most) - base) / 1e6,
            "auc": statistics.fmean(area(tables, each) for each in said)}  # fmt: skip
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if sys.argv[1:2] == ["--way"]:
        run(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
