"""Edits and checkouts during a run: the run is of one code, and the next one is of the new."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable

import polars as pl
import pytest
import yaml
from conftest import git

from evergreen.params import Params
from evergreen.project import Project
from evergreen.stores.tracking import Tracker
from late_flights.dataset import dataset

pytestmark = pytest.mark.slow
PACKAGE = "src/late_flights"
GONE = next(iter(dataset.features))
SOURCE = '''"""A source that is read while somebody checks out another branch."""
import subprocess
from pathlib import Path

import polars as pl

INBOX = Path(__file__).parents[2] / "inbox"


def batches():
    return [path.stem for path in INBOX.glob("*.parquet")]


def origin():
    return "inbox"


def read(name):
    subprocess.run(["git", "checkout", "-q", "other"], cwd=Path(__file__).parents[1], check=True)
    return pl.read_parquet(INBOX / f"{name}.parquet")
'''


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    """A project with a branch `other` that lacks a feature and a helper module."""
    made = make_project(rows=1000, source={"kind": "python", "module": "mine"})
    own = made.root / PACKAGE / "dataset.py"
    (made.root / "src" / "mine.py").write_text(SOURCE)
    (made.root / "src" / "words.py").write_text("GONE = None\n")
    own.write_text(f"{own.read_text()}\nimport words\n")
    git(made.root, "add", "-A")
    git(made.root, "commit", "-qm", "main")
    git(made.root, "checkout", "-qb", "other")
    own.write_text(
        f"{own.read_text().replace('import words', '')}\ndel dataset.features[{GONE!r}]\n"
    )
    (made.root / "src" / "words.py").unlink()
    git(made.root, "commit", "-qam", "other")
    git(made.root, "checkout", "-q", "main")
    return made


def deps_of(project: Project) -> dict[str, str]:
    """Stage -> hash of dataset.py that is recorded of it."""
    stages = yaml.safe_load((project.root / "dvc.lock").read_text())["stages"]
    return {
        name: next(dep["md5"] for dep in stage["deps"] if dep["path"].endswith("/dataset.py"))
        for name, stage in stages.items()
    }


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


@pytest.mark.long
def test_a_checkout_while_a_run_reads_its_source(
    project: Project, cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    before = {
        name: git(project.root, "show", f"{name}:{PACKAGE}/dataset.py")
        for name in ("main", "other")
    }
    done = cli(project, "run", "--seeds", "1", timeout=600)
    assert done.returncode == 0, done.stderr
    assert git(project.root, "branch", "--show-current") == "other\n"

    # what ran: the code of main, and nothing else
    assert set(deps_of(project).values()) == {md5(before["main"])}
    features = sorted(project.features.glob("*.parquet"))
    assert all(GONE in pl.read_parquet_schema(path) for path in features)
    tracker = Tracker(project, Params())
    run = next(found for found in tracker.search("tags.`evergreen.fingerprint` != ''"))
    assert (
        run.data.tags["mlflow.source.git.commit"] == git(project.root, "rev-parse", "main").strip()
    )
    assert run.data.tags["evergreen.git.dirty"] == "false"

    # what is there now is what comes next
    assert "ingest, validate, prepare" in cli(project, "status").stdout
    assert "checked now" in cli(project, "validate").stdout
    assert deps_of(project)["validate"] == md5(before["other"])
