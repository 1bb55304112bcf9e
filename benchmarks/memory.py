"""What a training's rows take in memory: as one table, batch by batch, and on disk.

Run `python -m benchmarks.memory [ROWS] [COLUMNS] [ROUNDS]`. Each way has a process of its own.
Memory is what cannot be dropped (RssAnon): the mapped file of rows on disk can.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from evergreen.training.tables import Tables

BATCHES = 12
WAYS = {
    "whole": "all batches as one table, then encoded",
    "memory": "encoded batch by batch (in-memory)",
    "disk": "on disk, bins too (external)",
}


def main(rows: int = 1_000_000, columns: int = 28, rounds: int = 10) -> None:
    """Make the batches, and print a line per way."""
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), rows, columns)
        found = {way: measure(way, folder, rounds) for way in WAYS}
    print(f"{rows:,} rows, {columns} numbers, {rounds} rounds; MB above the imports' own")
    for way, about in WAYS.items():
        told = found[way]
        same = "same bytes" if told["model"] == found["whole"]["model"] else "OTHER BYTES"
        print(
            f"{about:42} read {told['read']:6.0f}  bin {told['bin']:6.0f}  "
            f"train {told['train']:6.0f} MB  {told['cpu']:5.1f} CPU s  {same}"
        )


def make(root: Path, rows: int, columns: int) -> None:
    """Write the features of a project, as `evergreen prepare` does."""
    from evergreen.features.encoder import ENCODER, Encoder
    from evergreen.features.keys import KEY
    from evergreen.features.split import LABEL, TIME
    from evergreen.project import Project

    project, draw = Project(root), np.random.default_rng(0)
    project.features.mkdir(parents=True)
    names, each = [f"n{at}" for at in range(columns)], rows // BATCHES
    for batch in range(BATCHES):
        x = draw.normal(size=(each, columns))
        start = datetime(2026, 1, 1) + timedelta(days=batch)  # noqa: DTZ001
        frame = pl.DataFrame(x, schema=names).with_columns(
            pl.Series(LABEL, x[:, 0] + x[:, 1] * x[:, 2] + draw.normal(size=each) > 0),
            pl.Series(KEY + "id", np.arange(each) + batch * each),
            pl.lit(start).alias(TIME),
        )
        frame.write_parquet(project.features / f"b{batch:02}.parquet")
    batches = [f"b{batch:02}" for batch in range(BATCHES)]
    encoder = Encoder("binary", tuple(names), {}, ("false", "true"), tuple(batches))
    encoder.write(project.features / ENCODER)
    from evergreen import formats
    from evergreen.files import write_json

    cuts = [str(datetime(2026, 1, day)) for day in (11, 12)]  # noqa: DTZ001
    split = {
        "train": {"batches": batches[:10], "start": None, "end": cuts[0]},
        "validation": {"batches": batches[10:11], "start": cuts[0], "end": cuts[1]},
        "holdout": {"batches": batches[11:], "start": cuts[1], "end": None},
        "judged": None,
    }
    write_json(project.features / "split.json", formats.stamp(split))


def measure(way: str, root: str, rounds: int) -> dict[str, Any]:
    """Return what a process of its own tells of one way."""
    command = [sys.executable, "-m", "benchmarks.memory", way, root, str(rounds)]
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}  # as a run sets it
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def train(way: str, root: str, rounds: int) -> None:
    """Train a model in one way, and print what that took."""
    import pandas.util  # noqa: F401  (imports are not what is measured)
    import xgboost  # noqa: F401

    from evergreen.params import Train
    from evergreen.project import Project
    from evergreen.training import tables as table
    from evergreen.training.xgboost import build_matrix
    from evergreen.training.xgboost import train as fit

    project, peak = Project(Path(root)), Peak()
    params, before = Train(rounds=rounds), time.process_time()
    if way == "whole":
        tables = read_whole(project)
    else:
        tables = table.load_tables(project, on_disk=way == "disk")
    told: dict[str, Any] = {"read": peak.take()}
    matrix = build_matrix(tables, params)
    told["bin"] = peak.take()
    trained = fit(matrix, params, 0, threads=os.cpu_count() or 1)
    told["train"], told["cpu"] = peak.take(), time.process_time() - before
    told["model"] = hashlib.sha256(trained.booster).hexdigest()
    print(json.dumps(told))


def read_whole(project: Any) -> Tables:
    """Read the tables as they were read once: all batches of a part together."""
    from evergreen.features.encoder import ENCODER, Encoder
    from evergreen.features.split import ROLES, Split, read_part
    from evergreen.training.tables import encode_rows, tables_of

    encoder, split = Encoder.read(project.features / ENCODER), Split.of(project)
    parts = {role: encode_rows(encoder, read_part(project, getattr(split, role))) for role in ROLES}
    return tables_of(encoder, parts)


class Peak:
    """The most memory that this process has held since it was last asked, in MB."""

    def __init__(self) -> None:
        self.base = self.most = self.held()
        threading.Thread(target=self._watch, daemon=True).start()

    def held(self) -> float:
        """Return what it holds now, less what can be dropped."""
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(re.findall(r"RssAnon:\s+(\d+)", status)[0]) / 1e3

    def take(self) -> float:
        """Return the most since the last call."""
        most, self.most = self.most, self.held()
        return most - self.base

    def _watch(self) -> None:
        while True:
            self.most = max(self.most, self.held())
            time.sleep(0.005)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in WAYS:
        train(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    else:
        main(*(int(given.replace(",", "")) for given in sys.argv[1:]))
