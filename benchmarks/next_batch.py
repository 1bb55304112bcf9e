"""What one more batch costs after 10 and after 1,000 batches.

Run `python -m benchmarks.next_batch [10 1000]`. Small batches of real flights (1,000 rows each);
ingest, validate and prepare with DVC's record, as a run does them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from benchmarks.main_job import new_project
from evergreen import params
from evergreen.features.prepare import prepare
from evergreen.ingest.batches import ingest
from evergreen.project import Project
from evergreen.quality.held_batches import find_held
from evergreen.stores.dvc import run_stage
from evergreen.validation.contract import Contract
from evergreen.validation.validate import validate
from late_flights import flights
from late_flights.dataset import dataset

ROWS, REPEATS = 1000, 5


def main(*sizes: str) -> None:
    for size in sizes or ("10", "1000"):
        with tempfile.TemporaryDirectory() as folder:
            project = make(Path(folder), int(size) + REPEATS)
            bring_up_to_date(project, int(size))
            took = [json.loads(one_more(project)) for _ in range(REPEATS)]
        work, whole = (
            statistics.median(seconds[name] for seconds in took) for name in ("work", "command")
        )
        stages = {
            name: round(statistics.median(seconds[name] for seconds in took), 3)
            for name in ("ingest", "validate", "prepare")
        }
        print(
            f"batch {size} + 1: {work:.2f} s of work {stages}, {whole:.2f} s with start and "
            "imports",
            flush=True,
        )


def make(folder: Path, batches: int) -> Project:
    project = Project(new_project(folder / "project"))
    inbox = folder / "inbox"
    inbox.mkdir()
    year = pl.concat([flights.read(name) for name in flights.batches()]).sort(dataset.time)
    # A storm's thousand rows would rightly stop the flow
    year = year.drop_nulls(["arr_delay", "tailnum", "temp"])
    for number in range(batches):  # beyond a year's rows: the same flights, years later
        lap, start = divmod(number * ROWS, year.height - ROWS)
        part = year.slice(start, ROWS).with_columns(pl.col(dataset.time).dt.offset_by(f"{lap}y"))
        part.write_parquet(inbox / f"batch-{number:05}.parquet")
    content = yaml.safe_load(project.params.read_text())
    content["source"] = {
        "kind": "files",
        "path": str(inbox),
        "until": f"batch-{batches - REPEATS - 1:05}",
    }
    project.params.write_text(yaml.safe_dump(content))
    return project


def bring_up_to_date(project: Project, batches: int) -> None:
    chosen = params.load(project.params)
    steps: dict[str, Callable[[Any], Any]] = {
        "ingest": lambda _: ingest(project, dataset, chosen),
        "validate": lambda _: validate(project, Contract.of(project, chosen)),
        "prepare": lambda _: prepare(project, dataset, chosen, find_held),
    }
    for name, step in steps.items():
        done = run_stage(project, name, step)
        assert done is not None
        assert len(done.new) == batches


def one_more(project: Project) -> str:
    began = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.next_batch", "--one-more", str(project.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.dumps(
        json.loads(done.stdout.splitlines()[-1]) | {"command": time.perf_counter() - began}
    )


def take_one_more(root: str) -> None:
    import dvc.repo  # noqa: F401  (imports are counted apart)
    import great_expectations  # noqa: F401

    project = Project(Path(root))
    chosen = params.load(project.params)
    took = {}
    steps: dict[str, Callable[[Any], Any]] = {
        "ingest": lambda _: ingest(project, dataset, chosen, following=True),
        "validate": lambda _: validate(project, Contract.of(project, chosen)),
        "prepare": lambda _: prepare(project, dataset, chosen, find_held),
    }
    for name, step in steps.items():
        began = time.perf_counter()
        done = run_stage(project, name, step, force=name == "ingest")
        took[name] = time.perf_counter() - began
        assert done is not None
        assert len(done.new) == 1, done.new
    print(json.dumps(took | {"work": sum(took.values())}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one-more"]:
        take_one_more(sys.argv[2])
    else:
        main(*sys.argv[1:])
