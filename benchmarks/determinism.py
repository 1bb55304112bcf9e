"""What changes the bytes of a model, and how far: `python -m benchmarks.determinism`.

The same small job (20,000 rows, 5 seeds, 100 rounds) by threads, side by side, by layout, memory,
device and seed. `--python PATH`, as often as you like, adds other environments, with their own
versions of XGBoost: PATH is their interpreter, and needs what a model needs to predict,
scikit-learn, pandas and psutil, not this library.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from evergreen.evaluation.parity import Distance, Trial
from evergreen.params import Compute, Params, Train
from evergreen.training import xgboost
from evergreen.training.blocks import _write
from evergreen.training.seeds import Slots
from evergreen.training.tables import Table, Tables

ROOT = Path(__file__).resolve().parents[1]
SEEDS = range(5)
ROWS = {"train": 20_000, "validation": 5_000, "holdout": 10_000}
PARAMS = Params(train={"rounds": 100, "early_stopping_rounds": 100})
HOW: Train = PARAMS.train
Models = dict[int, bytes]


def main(others: Sequence[str]) -> None:
    """Train in every way, and print a line for each."""
    tables = draw()
    base = judge(tables, threads(tables, 1))
    lines = [("way", "bytes", "predictions, most", "on average", "roc_auc")]
    for name, models in ways(tables):
        lines.append((name, *told(Distance.between(base, judge(tables, models)))))
    for python in others:
        version, trial = ask(python)
        lines.append((version, *told(Distance.between(base, trial))))
    shifted = Trial(*({seed: part[(seed + 1) % 5] for seed in SEEDS} for part in parts(base)))
    apart = told(replace(Distance.between(base, shifted), metric=base.spread))
    lines.append(("another seed (roc_auc: spread over seeds)", *apart))
    print(f"against 1 thread, in memory, in process, on cpu, {versions()}")
    widths = [max(len(line[at]) for line in lines) for at in range(5)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def draw() -> Tables:
    """Draw rows: 10 numbers, of which one has gaps, and a category."""
    draws, count = np.random.default_rng(0), sum(ROWS.values())
    x = draws.normal(size=(count, 11)).astype(np.float32)
    x[:, 10] = draws.integers(0, 30, count)
    score = x[:, 0] + x[:, 1] * x[:, 2] + (x[:, 10] % 3) + draws.normal(size=count)
    x[draws.random(count) < 0.1, 3] = np.nan
    y = (score > 1).astype(np.float32)
    edges = np.cumsum(list(ROWS.values()))[:-1]
    both = zip(np.split(x, edges), np.split(y, edges), strict=True)
    names = tuple(f"n{at}" for at in range(10))
    train, later, holdout = (Table(np.ascontiguousarray(part), label) for part, label in both)
    return Tables("binary", (*names, "c"), ("c",), ("no", "yes"), train, later, holdout)


def ways(tables: Tables) -> Iterator[tuple[str, Models]]:
    """Yield each way that there is on this machine, and its models."""
    from evergreen.training.device import count_gpus

    yield "1 thread, again", threads(tables, 1)
    yield "2 threads", threads(tables, 2)
    matrix = xgboost.build_matrix(tables, HOW)
    with ThreadPoolExecutor(5) as pool:
        made = pool.map(lambda seed: xgboost.train(matrix, HOW, seed).booster, SEEDS)
        yield "5 seeds side by side", dict(zip(SEEDS, made, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        laid = {
            role: replace(table, x=_write(iter([table.x]), table.x.shape[1], Path(folder)))
            for role in ("train", "validation")
            if len(table := getattr(tables, role))
        }
        xgboost.BLOCK = 50_000  # several blocks
        yield "external memory", threads(replace(tables, **laid), 2)
    if find_spec("distributed"):
        yield "2 workers of Dask", dask(tables)
    if count_gpus():
        yield "cuda", threads(tables, 1, "cuda")


def threads(tables: Tables, number: int, device: str = "cpu") -> Models:
    """Train the seeds one after another."""
    matrix = xgboost.build_matrix(tables, HOW, number)
    how = {"device": device, "threads": number}
    return {seed: xgboost.train(matrix, HOW, seed, **how).booster for seed in SEEDS}  # type: ignore[arg-type]


def dask(tables: Tables) -> Models:
    """Train the seeds by two processes."""
    from evergreen.training.cluster import open_cluster

    compute = Compute(cluster="dask", workers=2)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_cluster(compute, Slots(2, 1), tables, Path(folder)) as cluster,
        ThreadPoolExecutor(5) as pool,
    ):
        made = pool.map(lambda seed: cluster.train(HOW, seed, "cpu", 1).booster, SEEDS)
        return dict(zip(SEEDS, made, strict=True))


def judge(tables: Tables, models: Models) -> Trial:
    """Return what models predict of the holdout, and how well."""
    said = {seed: xgboost.load(model).predict(tables.holdout.x) for seed, model in models.items()}
    y = tables.holdout.y
    area = {seed: PARAMS.metrics.measure("binary", y, p)["roc_auc"] for seed, p in said.items()}
    return Trial(models, said, area)


def parts(trial: Trial) -> tuple[Any, Any, Any]:
    return trial.models, trial.predicted, trial.metric


def told(apart: Distance) -> tuple[str, str, str, str]:
    same = "same" if apart.same else "others"
    return same, f"{apart.largest:.2g}", f"{apart.mean:.2g}", f"{apart.metric:.2g}"


def versions() -> str:
    """Return what a model's bytes depend on, in words."""
    import xgboost as library

    rows = hashlib.sha256(draw().train.x.tobytes()).hexdigest()[:6]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"XGBoost {library.__version__}, Python {python}, numpy {np.__version__}, rows {rows}"


def ask(python: str) -> tuple[str, Trial]:
    """Return what another interpreter gives, by its versions."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found"
        environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
        command = [python, "-m", "benchmarks.determinism", "--into", str(path)]
        subprocess.run(command, check=True, cwd=ROOT, env=environment)
        version, found = pickle.loads(path.read_bytes())  # of this program's own making
    return version, Trial(*found)


def keep(path: Path) -> None:
    """Train with one thread, for whoever asks."""
    tables = draw()
    path.write_bytes(pickle.dumps((versions(), parts(judge(tables, threads(tables, 1))))))


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--python", action="append", default=[], help="another interpreter")
    reader.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    given = reader.parse_args()
    work: Callable[[], None] = (
        (lambda: keep(given.into)) if given.into else (lambda: main(given.python))
    )
    work()
