"""The whole main job on rows that are four times what a hard cap leaves for them.

Run `python -m benchmarks.memory_cap [ROWS] [SEEDS] [ROUNDS]`, as root: the cap is that of a control
group, over all processes of a run (its Prefect server and the process that loads the model too).
What the libraries take is measured: the most that the same job holds with a few rows. The cap is
that, and a quarter of the matrix (rows x 28 numbers x 4 bytes). Then the job runs once without a
cap, `in-memory`, and once under it, `external`; each has a project of its own, with fresh stores.
Memory is what cannot be dropped (the groups' own count of anonymous pages).
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from benchmarks.main_job import new_project

BATCHES, COLUMNS, FEW = 12, 28, 36_000
ROOT, V1 = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")
DATASET = '''"""Drawn rows."""

import polars as pl

from evergreen import Dataset

NUMBERS = [f"n{at}" for at in range(COLUMNS)]
dataset = Dataset(
    columns={"id": pl.Int64(), "at": pl.Datetime("us"), "y": pl.Int32()}
    | {name: pl.Float32() for name in NUMBERS},
    key=("id",),
    time="at",
    label=pl.col("y") > 0,
    known_later=("y",),
    features={name: pl.col(name) for name in NUMBERS},
)
'''
EXPECTATIONS = "def expectations(batch):\n    return []\n"


@dataclass(frozen=True)
class Job:
    """What a run took: MB at most, seconds, and what it printed."""

    code: int
    peak: float
    cpu: float
    wall: float
    said: str

    @property
    def metric(self) -> str:
        """The model's metric, and its spread over seeds."""
        found = re.findall(
            r"^(?:roc_auc +xgboost|over seeds) +(\S+ ?[^,\n]*)", self.said, re.MULTILINE
        )
        return ", over seeds ".join(found)


def main(rows: str = "1000000", seeds: str = "3", rounds: str = "100") -> None:
    """Measure the libraries' own, then the job without a cap and under it."""
    count, matrix = int(rows), int(rows) * COLUMNS * 4 / 1e6
    with tempfile.TemporaryDirectory() as folder:
        how = seeds, rounds
        few = run(make(Path(folder, "few"), FEW, *how, "in-memory"))
        check(few)
        cap = few.peak + matrix / 4
        print(f"{count:,} rows of {COLUMNS} numbers, {matrix:.0f} MB as a matrix; libraries and "
              f"stores {few.peak:.0f} MB; the cap {cap:.0f} MB", flush=True)  # fmt: skip
        free = run(make(Path(folder, "free"), count, *how, "in-memory"))
        show("in-memory, no cap", free)
        capped = run(make(Path(folder, "capped"), count, *how, "external"), cap)
        show("external, capped", capped)
        check(free, capped)
        print(f"external took {capped.cpu / free.cpu:.2f} of the CPU, "
              f"{capped.wall / free.wall:.2f} of the time")  # fmt: skip


def check(*jobs: Job) -> None:
    for job in jobs:
        if job.code:
            sys.exit(f"a run ended with {job.code}:\n{job.said[-2000:]}")


def show(name: str, job: Job) -> None:
    print(f"{name:18} {job.peak:6.0f} MB {job.cpu:7.0f} CPU s {job.wall:7.0f} s  ends with "
          f"{job.code}  roc_auc {job.metric}", flush=True)  # fmt: skip


def make(root: Path, rows: int, seeds: str, rounds: str, memory: str) -> Path:
    """Make a project of drawn rows, a batch a month."""
    new_project(root)
    own = root / "src" / "late_flights"
    (own / "dataset.py").write_text(DATASET.replace("COLUMNS", str(COLUMNS)))
    (own / "expectations.py").write_text(EXPECTATIONS)
    inbox, random = root / "inbox", np.random.default_rng(0)
    inbox.mkdir()
    each = rows // BATCHES
    for batch in range(BATCHES):
        x = random.normal(size=(each, COLUMNS)).astype(np.float32)
        # Trees win surely with few rows too: else their libraries would not be counted
        score = x[:, 0] + 2 * np.abs(x[:, 1]) + x[:, 2] ** 2 + 2 * np.abs(x[:, 3])
        score += 4 * random.normal(size=each)
        start = datetime(2025, batch + 1, 1)  # noqa: DTZ001
        pl.DataFrame(x, schema=[f"n{at}" for at in range(COLUMNS)]).with_columns(
            pl.Series("y", score > 4).cast(pl.Int32),
            pl.int_range(batch * each, (batch + 1) * each).alias("id"),
            pl.Series("at", [start + timedelta(seconds=20 * 86400 * k / each) for k in range(each)],
                      pl.Datetime("us")),
        ).write_parquet(inbox / f"2025-{batch + 1:02}.parquet")  # fmt: skip
    content = yaml.safe_load((root / "params.yaml").read_text())
    content["source"] = {"kind": "files", "path": str(inbox)}
    content["compute"] = {"memory": memory}
    content["sweep"] = content.get("sweep", {}) | {"seeds": int(seeds)}
    content["train"] = content.get("train", {}) | {"rounds": int(rounds), "device": "cpu"}
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    return root


def run(root: Path, cap: float | None = None) -> Job:
    """Run the main job in a control group of its own; `cap`: MB."""
    old = (V1 / "memory.limit_in_bytes").exists()
    group = (V1 if old else ROOT) / f"evergreen-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        sys.exit(f"no control group can be made ({error}): run it as root")
    most, ended = [0.0], threading.Event()
    try:
        if cap:
            limit = group / ("memory.limit_in_bytes" if old else "memory.max")
            limit.write_text(str(int(cap * 1e6)))

        def watch() -> None:
            line = re.compile(rf"^{'total_rss' if old else 'anon'} (\d+)$", re.MULTILINE)
            while not ended.wait(0.1):
                held = line.search((group / "memory.stat").read_text())
                most.append(int(held[1]) / 1e6 if held else 0)

        watching = threading.Thread(target=watch)
        watching.start()
        path = {"PYTHONPATH": str(root / "src")}
        enter = f'echo $$ > {group / "cgroup.procs"} && exec "$@"'
        command = ["sh", "-c", enter, "sh", sys.executable, "-m", "evergreen.cli", "run"]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(command, cwd=root, env=os.environ | path, check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        ended.set()
        watching.join()
    finally:
        ended.set()
        time.sleep(1)  # until its last process is gone
        group.rmdir()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Job(done.returncode, max(most), cpu, wall, done.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
