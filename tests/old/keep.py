"""Keep a small project of this version, which later versions have to go on with.

    python tests/old/keep.py

writes `VERSION.tar.xz` beside this file, once, when VERSION is released: what is there stays. It
holds a project's own files, its data, its model with the journal and the events in MLflow, and
predictions. Pictures and pages are left out, as nobody reads them again.
"""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import polars as pl
import yaml
from conftest import ROOT, SMALL, begin, copy_tracked, run_cli

from evergreen import __version__, params, recipes
from evergreen.project import Project

FOLDER = Path(__file__).parent
MONTHS = ("2024-01", "2024-02", "2024-03", "2024-04", "2024-05")
KEPT = (
    "about.json",
    "inbox",
    "params.yaml",
    "dvc.lock",
    "src",
    "data",
    "stores/mlflow.db",
    "stores/mlflow",
)
NOT_KEPT = (".png", ".html")
STEPS = {name: getattr(recipes, name) for name in dir(recipes) if name.isupper()}
OF_THE_TEMPLATE = ("flows/", "dvc.yaml", "prefect.yaml", "pyproject.toml", ".dvc", ".gitignore")
DATASET = '''"""Orders: which are sent back?"""

import polars as pl

from evergreen import Dataset

dataset = Dataset(
    columns={
        "id": pl.Int64(), "day": pl.Date(), "price": pl.Float64(), "place": pl.String(),
        "back": pl.Boolean(),
    },
    key=("id",),
    time="day",
    label=pl.col("back"),
    known_later=("back",),
    features={"price": pl.col("price"), "place": pl.col("place")},
)
'''
EXPECTATIONS = '''"""What must hold of orders."""

from great_expectations import expectations as gxe


def expectations(batch):
    return [gxe.ExpectColumnValuesToBeBetween(column="price", min_value=0)]
'''


def orders(month: str, rows: int = 400) -> pl.DataFrame:
    """Return the orders of a month; what is dear is sent back more often."""
    at = MONTHS.index(month)
    draw = np.random.default_rng(at)
    price = draw.uniform(1, 100, rows).round(2)
    day = pl.date(2024, at + 1, 1) + pl.duration(days=pl.Series(np.arange(rows) % 28))
    return pl.select(
        id=pl.int_range(at * rows, (at + 1) * rows),
        day=day,
        price=pl.Series(price),
        place=pl.Series(draw.choice(["ash", "bay", "cove"], rows)),
        back=pl.Series(draw.random(rows) < price / 120),
    )


def lay_out(root: Path) -> Project:
    """Put into `root` what a project takes from today's template, for the package `kept`."""
    copy_tracked(root, *OF_THE_TEMPLATE)
    for path in root.rglob("*"):
        if path.is_file():
            path.write_text(path.read_text().replace("late_flights", "kept"))
    return Project(root)


def deliver(project: Project, month: str) -> None:
    """Put a month into the inbox."""
    orders(month).write_csv(project.root / "inbox" / f"{month}.csv")


def run(project: Project, *words: str) -> str:
    """Run a command, which has to succeed; returns what it says."""
    done = run_cli(project, *words, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def make(root: Path) -> Project:
    """Make the project in `root`: three months trained, a fourth watched, some rows scored."""
    root.mkdir()
    project = lay_out(root)
    for name, text in {"__init__": "", "dataset": DATASET, "expectations": EXPECTATIONS}.items():
        path = root / "src" / "kept" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    content = params.Params().model_dump(mode="json", by_alias=True)
    content |= {name: content[name] | values for name, values in SMALL.items()}
    content["source"] = {"kind": "files", "path": "inbox"}
    content["split"]["cross_validate_below"] = None
    content["tracking"] = {"experiment": "kept", "model": "kept"}
    project.params.write_text(yaml.safe_dump(content))
    (root / "inbox").mkdir()
    begin(root)
    for name in MONTHS[:3]:
        deliver(project, name)
    run(project, "run")
    deliver(project, MONTHS[3])
    run(project, "monitor")
    orders(MONTHS[3]).drop("back").head(20).write_csv(root.parent / "some.csv")
    run(project, "score", str(root.parent / "some.csv"))
    about = {"version": __version__, "root": str(root), "recipes": STEPS}
    (root / "about.json").write_text(json.dumps(about, indent=1) + "\n")
    return project


def pack(root: Path, path: Path) -> None:
    """Write the archive."""
    with tarfile.open(path, "w:xz") as archive:
        for name in KEPT:
            archive.add(root / name, name, filter=_without_pictures)


def _without_pictures(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    drop = entry.name.startswith("stores/") and entry.name.endswith(NOT_KEPT)
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return None if drop or "__pycache__" in entry.name else entry


def unpack(path: Path, folder: Path) -> None:
    """Unpack an archive into `folder`."""
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")


if __name__ == "__main__":
    made = FOLDER / f"{__version__}.tar.xz"
    if made.exists():
        sys.exit(f"{made.relative_to(ROOT)} is there: a release is kept once")
    with tempfile.TemporaryDirectory(prefix="evergreen-kept-") as place:
        pack(make(Path(place) / "project").root, made)
    print(f"{made.relative_to(ROOT)}: {made.stat().st_size:,} bytes")
