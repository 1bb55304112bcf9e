"""Cars: a small project, its dataset, its batches, and commands run in it one after another."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from conftest import SMALL, copy_project, environment
from forking import LOGIN, Forks

from evergreen.params import Params

DATASET = """
import polars as pl

from evergreen import Dataset

dataset = Dataset(
    columns={
        "day": pl.Date(),
        "seen": pl.Date(),
        "id": pl.Int64(),
        "plate": pl.String(),
        "weight": pl.Float64(),
        "power": pl.Float64(),
        "place": pl.String(),
        "use": pl.Float64(),
    },
    key=("id",),
    time="day",
    label=pl.col("use"),
    known_later=("use",),
    features={
        "weight": pl.col("weight"),
        "power": pl.col("power"),
        "place": pl.col("place"),
    },
    slices={"place": pl.col("place")},
)
"""
EXPECTATIONS = "def expectations(batch):\n    return []\n"
MARK = "-- told --"
DRIVER = f"""
import os, sys, traceback, warnings
os.dup2(1, 2)
warnings.simplefilter("ignore")
from evergreen.cli import main
for command in sys.argv[1:]:
    try:
        main(command.split(), standalone_mode=False)
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    print("{MARK}", code, flush=True)
"""


def table(batch: int, rows: int = 220) -> pl.DataFrame:
    """A batch: 60 days of cars and their fuel use, with nothing known only later."""
    draw = np.random.default_rng(batch)
    weight, power = draw.normal(1500, 300, rows), draw.normal(100, 25, rows)
    place = draw.choice(["ash", "bay", "cove"], rows)
    use = (
        2 * (weight > 1500)
        + weight / 600
        + np.abs(power - 100) / 10
        + 2 * (place == "bay")
        + draw.normal(size=rows)
    )
    start = datetime.fromisoformat("2024-01-01") + timedelta(days=60 * batch)
    day = pl.Series("day", [(start + timedelta(days=60 * at / rows)).date() for at in range(rows)])
    names = pl.Series("id", range(1000 * batch, 1000 * batch + rows))
    columns = {"weight": weight, "power": power, "place": place, "use": use}
    return pl.DataFrame([day, day.alias("seen"), names]).with_columns(
        plate=pl.format("car {}", "id"),
        **{name: pl.Series(values) for name, values in columns.items()},
    )


def make_cars(folder: Path) -> Path:
    """Make a project about cars in `folder`, with four batches in its inbox; return its root."""
    root, inbox = folder / "project", folder / "inbox"
    copy_project(root)
    inbox.mkdir()
    (root / "src" / "late_flights" / "dataset.py").write_text(DATASET)
    (root / "src" / "late_flights" / "expectations.py").write_text(EXPECTATIONS)
    content = Params().model_dump(mode="json", by_alias=True)
    content |= {"task": "regression", "source": {"kind": "files", "path": "../inbox"}}
    for section, values in (SMALL | {"sweep": {"seeds": 2, "model": "mean"}}).items():
        content[section] |= values
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    for batch in range(4):
        table(batch).write_csv(inbox / f"cars_{batch}.csv")
    return root


def drive(root: Path, server: str, forks: Forks, *commands: str) -> list[tuple[str, int, str]]:
    """Run commands in the project at `root` in one process; return outputs and exit codes."""
    env = environment(root, PREFECT_API_URL=server, PREFECT_API_AUTH_STRING=LOGIN)
    done = forks.run(commands, root, env, 900, DRIVER, own=True)
    said = re.split(rf"{MARK} (\d+)\n", done.stdout)
    assert len(said) == 2 * len(commands) + 1, done.stdout
    return list(zip(commands, map(int, said[1::2]), said[::2], strict=False))
