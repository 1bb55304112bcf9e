"""What the main job costs, beside its alternative on the same rows: `make bench`.

Each pair is measured in the same run. Seconds depend on the machine and on what else it does; the
ratios are what to read.
"""

from __future__ import annotations

import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import polars as pl
import yaml

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 3
EMPTY_FLOW = "from prefect import flow\n@flow\ndef empty(): pass\nempty()"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        tell(*whole_job(Path(folder)))
        tell(*sweep(Path(folder)))
        tell(recording(Path(folder)))
        tell(validation())


def tell(*rows: Sequence[str]) -> None:
    """Print what was measured, as soon as it was."""
    for what, figure, seconds in rows:
        print(f"{what:64}  {figure:>6}  {seconds}", flush=True)


def whole_job(folder: Path) -> list[Sequence[str]]:
    """(a) A year of flights, 10 seeds, from nothing; and a run with nothing to do."""
    home = new_project(folder / "warm")
    evergreen(home, "run")
    timed: dict[str, list[float]] = {"job": [], "script": [], "again": [], "empty": []}
    login = f"bench:{secrets.token_hex(24)}"  # of the server that Prefect starts for the empty flow
    environment = os.environ | {
        "PREFECT_HOME": str(folder / "prefect"), "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_API_AUTH_STRING": login, "PREFECT_SERVER_API_AUTH_STRING": login,
    }  # fmt: skip
    command(sys.executable, "-c", EMPTY_FLOW, env=environment)
    for number in range(ROUNDS):
        fresh = new_project(folder / f"job{number}")
        timed["job"].append(clock(partial(evergreen, fresh, "run")))
        timed["script"].append(
            clock(lambda: command(sys.executable, "-m", "benchmarks.plain_script"))
        )
        timed["again"].append(clock(lambda: evergreen(home, "run")))
        timed["empty"].append(
            clock(lambda: command(sys.executable, "-c", EMPTY_FLOW, env=environment))
        )
    return [
        ratio(
            "main job, a year, 10 seeds, fresh stores | plain script", timed["job"], timed["script"]
        ),
        ratio("run with nothing to do | empty Prefect flow", timed["again"], timed["empty"]),
    ]


def sweep(folder: Path) -> list[Sequence[str]]:
    """(b) The sweep against a loop of XGBClassifier.fit, and that loop under joblib.

    Each in a process of its own.
    """
    timed: dict[str, list[float]] = {"sweep": [], "loop": [], "joblib": []}
    for _ in range(ROUNDS):
        for way, seconds in timed.items():
            said = command(sys.executable, "-m", "benchmarks.sweep_ways", way, str(folder / "warm"))
            seconds.append(json.loads(said.splitlines()[-1])["seconds"])
    return [
        ratio("sweep of 10 seeds | loop of XGBClassifier.fit", timed["sweep"], timed["loop"]),
        ratio("sweep of 10 seeds | that loop under joblib", timed["sweep"], timed["joblib"]),
    ]


def recording(folder: Path) -> Sequence[str]:
    """(c) What recording one seed costs: a child run, loss per round, metrics, model."""
    from evergreen import params
    from evergreen.project import Project
    from evergreen.stores.seeds import Seeds
    from evergreen.stores.tracking import Tracker

    project = Project(folder / "warm")
    tracker = Tracker(project, params.load(project.params))
    seeds = Seeds(tracker)
    runs = [run for run in tracker.search("") if "evergreen.seed" in run.data.tags]
    read = [seeds.read(run.info.run_id) for run in runs]
    trained = [seed for seed in read if seed and seed.history]  # those that found the rounds
    parent = runs[0].data.tags["mlflow.parentRunId"]
    seconds = []
    for number in range(30):
        seed = trained[number % len(trained)]
        metrics = {"roc_auc": 0.7, "average_precision": 0.5, "log_loss": 0.5, "brier": 0.2}
        seconds.append(clock(partial(seeds.record, parent, seed, metrics, "benchmark")))
    points = statistics.median(2 * len(seed.history["train"]) for seed in trained)
    return (
        "recording one seed",
        f"{1000 * statistics.median(seconds):.0f} ms",
        f"with {points:.0f} losses per round",
    )


def validation() -> Sequence[str]:
    """(d) Great Expectations over a million rows, split into valid and quarantined."""
    from evergreen.params import load
    from evergreen.project import Project
    from evergreen.validation.contract import Contract
    from late_flights import flights
    from late_flights.dataset import dataset

    year = pl.concat([flights.read(name) for name in flights.batches()])
    time_column = pl.col(dataset.time)
    million = pl.concat(
        [year.with_columns(time_column.dt.offset_by(f"{years}y")) for years in range(3)]
    )
    contract = Contract.of(Project(ROOT), load(ROOT / "params.yaml"))
    contract.check(year.head(2000), "warm-up")
    seconds = clock(lambda: contract.check(million, "a million"))
    return (
        "validating a million rows",
        f"{seconds / million.height * 1e6:.1f} s",
        f"{million.height:,} rows, 22 columns",
    )


def new_project(root: Path) -> Path:
    """Make a project of this repository's working tree that takes the whole year."""
    listed = command(
        "git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"
    )
    for name in listed.splitlines():
        if name.startswith(
            ("src/", "flows/", "pyproject.toml", "params.yaml", "dvc.yaml", ".dvc", ".gitignore")
        ):
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    content = yaml.safe_load((root / "params.yaml").read_text())
    content["source"]["until"] = None
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    command("git", "init", "-q", str(root))
    command("git", "-C", str(root), "add", "-A")
    who = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
    command("git", "-C", str(root), *who, "commit", "-qm", "Start")  # what has none is told so
    return root


def evergreen(root: Path, *args: str) -> str:
    path = {"PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
    return command(sys.executable, "-m", "evergreen.cli", *args, cwd=root, env=os.environ | path)


def command(*args: str, **options: object) -> str:
    done = subprocess.run(args, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"{' '.join(args)}:\n{done.stdout}{done.stderr}")
    return str(done.stdout)


def clock(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ratio(what: str, ours: Sequence[float], other: Sequence[float]) -> Sequence[str]:
    a, b = statistics.median(ours), statistics.median(other)
    return what, f"{a / b:.2f}", f"{a:.1f} s | {b:.1f} s, medians of {len(ours)}, alternating"


if __name__ == "__main__":
    main()
