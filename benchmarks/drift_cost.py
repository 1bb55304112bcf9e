"""What monitoring costs, in a table.

Run `python -m benchmarks.drift_cost [--evidently PYTHON] [--nannyml PYTHON]`. A million rows of 20
columns (14 numbers, 6 categories) beside as many of the reference. First, as a floor, the bare
sorts of the numbers and counts of the categories that any such measurement needs; then ours, step
by step. Compared are seconds of CPU, of all threads: they change little on a busy machine, where
seconds on the clock do. A peer runs in an environment of its own, made beforehand
outside this repository, whose Python is named by its option:

    python -m venv /tmp/peers/evidently && /tmp/peers/evidently/bin/pip install evidently==0.7.23
    "pandas<3.1" pyarrow python -m venv /tmp/peers/nannyml && /tmp/peers/nannyml/bin/pip install
    nannyml==0.13.1 pyarrow
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import polars as pl

from evergreen.monitoring.drift import find_drift, tell_apart
from evergreen.params import Drift
from evergreen.statistics.psi import measure
from evergreen.statistics.sketch import sketch

NUMBERS, SIZES = 14, (2, 3, 5, 10, 25, 50)
EVIDENTLY = """
import sys, time, warnings
warnings.filterwarnings("ignore")
import pandas as pd
from evidently import Dataset, DataDefinition, Report
from evidently.presets import DataDriftPreset
reference, batch = (pd.read_parquet(path) for path in sys.argv[1:3])
names = [name for name in reference if name[0] == "n"]
others = [name for name in reference if name not in names]
kinds = DataDefinition(numerical_columns=names, categorical_columns=others)
for _ in range(int(sys.argv[3])):
    start = time.process_time(), time.perf_counter()
    sides = [Dataset.from_pandas(frame, data_definition=kinds) for frame in (batch, reference)]
    Report([DataDriftPreset()]).run(*sides).dict()
    print("seconds", time.process_time() - start[0], time.perf_counter() - start[1])
"""
NANNYML = """
import sys, time, warnings
warnings.filterwarnings("ignore")
import pandas as pd
import nannyml
reference, batch = (pd.read_parquet(path) for path in sys.argv[1:3])
for _ in range(int(sys.argv[3])):
    start = time.process_time(), time.perf_counter()
    calculator = nannyml.UnivariateDriftCalculator(column_names=list(reference), chunk_number=10)
    calculator.fit(reference)
    calculator.calculate(batch).to_df()
    print("seconds", time.process_time() - start[0], time.perf_counter() - start[1])
"""


@click.command(help=__doc__)
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--repeats", default=5, show_default=True, help="The fastest counts.")
@click.option("--peer-runs", default=2, show_default=True, help="The fastest counts.")
@click.option("--evidently", metavar="PYTHON", help="Python of an environment that has Evidently.")
@click.option("--nannyml", metavar="PYTHON", help="Python of an environment that has NannyML.")
def main(
    rows: int, repeats: int, peer_runs: int, evidently: str | None, nannyml: str | None
) -> None:
    reference, batch = make_rows(rows, 0), make_rows(rows, 1)
    days = pl.Series(np.sort(np.random.default_rng(2).integers(0, 30, rows)))
    old, new = sketch(reference, days), sketch(batch, days)
    names, params = list(new.columns), Drift()
    floor = fastest(lambda: bare(batch), repeats)
    steps: dict[str, Callable[[], Any]] = {
        "bare sorts and counts, once": lambda: bare(batch),
        "sketch of the batch, no days": lambda: sketch(batch, None),
        "sketch of the batch, by day": lambda: sketch(batch, days),
        "every column beside a kept reference": lambda: measure(new, old, {}, 0.95),
        "columns: sketch by day and compare": lambda: measure(sketch(batch, days), old, {}, 0.95),
        "the trees on 4,000 rows a side": lambda: tell_apart(new, old, names, 0.95),
        "all: sketch by day and find_drift": lambda: find_drift(
            sketch(batch, days), old, (), params
        ),
        "all, and the reference's sketch too": lambda: find_drift(
            sketch(batch, days), sketch(reference, days), (), params
        ),
    }
    print(f"{rows:,} rows, {len(names)} columns, fastest of {repeats}")
    for label, step in steps.items():
        show(label, fastest(step, repeats), floor)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("reference.parquet", "batch.parquet")]
        for frame, path in zip((reference, batch), paths, strict=True):
            frame.write_parquet(path)
        for label, python, script in (
            ("Evidently's preset", evidently, EVIDENTLY),
            ("NannyML", nannyml, NANNYML),
        ):
            if python:
                show(label, peer(python, script, paths, peer_runs), floor)


def make_rows(rows: int, seed: int) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    numbers: dict[str, Any] = {f"n{at}": draw.standard_normal(rows) for at in range(NUMBERS)}
    for at in range(8, 10):
        numbers[f"n{at}"] = np.where(numbers[f"n{at}"] > 1, numbers[f"n{at}"], 0)
    levels = pl.Series([f"level {at:02}" for at in range(max(SIZES))])
    return pl.DataFrame(
        numbers
        | {f"c{at}": levels.gather(draw.integers(0, size, rows)) for at, size in enumerate(SIZES)}
    )


def bare(frame: pl.DataFrame) -> None:
    for column in frame:
        if column.dtype == pl.String():
            column.value_counts()
        else:
            np.sort(column.to_numpy())


def fastest(step: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return seconds of CPU, and on the clock."""
    found = []
    for _ in range(repeats):
        start = time.process_time(), time.perf_counter()
        step()
        found.append((time.process_time() - start[0], time.perf_counter() - start[1]))
    return min(found)


def peer(python: str, script: str, paths: list[Path], runs: int) -> tuple[float, float]:
    """Return the same of a peer, all runs in one process; reading the files is not counted."""
    done = subprocess.run(
        [python, "-c", script, *map(str, paths), str(runs)],
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("seconds")]
    return min((float(busy), float(clock)) for busy, clock in lines)


def show(label: str, seconds: tuple[float, float], floor: tuple[float, float]) -> None:
    print(
        f"{label:40s}{seconds[0]:9.3f} s CPU {seconds[1]:9.3f} s {seconds[0] / floor[0]:9.1f} "
        "times the floor",
        flush=True,
    )


if __name__ == "__main__":
    main()
