"""Small projects of real flights, each in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from evergreen import dataset, params
from evergreen.project import Project

ROOT = Path(__file__).resolve().parents[1]
SMALL = {
    "validate": {"max_bad_rows": 0.02},
    "prepare": {"min_level_rows": 5},
    "train": {"rounds": 30, "early_stopping_rounds": 5, "learning_rate": 0.3, "max_depth": 3, "device": "cpu"},
    "sweep": {"seeds": 3},
    "evaluate": {"resamples": 100},
}
MONTHS = ("2013-01", "2013-02", "2013-03")


@cache
def month(name: str, rows: int = 1500) -> pl.DataFrame:
    """A month of real flights, thinned to about `rows` rows over all its days."""
    frame = dataset.read_example(name)
    return frame.gather_every(max(1, frame.height // rows))


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Project]:
    """Make a project whose source is a folder of small Parquet files; keyword arguments replace sections of params."""

    def make(months: tuple[str, ...] = MONTHS, rows: int = 1500, **sections: dict[str, Any]) -> Project:
        root = tmp_path / "project"
        copy_project(root)
        inbox = tmp_path / "inbox"
        inbox.mkdir()
        for name in months:
            month(name, rows).write_parquet(inbox / f"{name}.parquet")
        content = yaml.safe_load((ROOT / "params.yaml").read_text())
        content["source"] = {"kind": "files", "path": str(inbox)}
        for section, values in {**SMALL, **sections}.items():
            content[section] = content.get(section, {}) | values if isinstance(values, dict) else values
        (root / "params.yaml").write_text(yaml.safe_dump(content))
        return Project(root)

    return make


@pytest.fixture
def read_params() -> Callable[[Project], params.Params]:
    """Read a project's parameters."""
    return lambda project: params.load(project.params)


def copy_project(root: Path) -> None:
    """Copy what git would track of this repository into `root`, and make it a repository of its own."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        if (
            name.startswith(("src/", "flows/", "params.yaml", "dvc.yaml", ".dvc", ".gitignore"))
            and (ROOT / name).is_file()
        ):
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    git = ["git", "-C", str(root), "-c", "user.name=tester", "-c", "user.email=tester@localhost"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
        subprocess.run([*git, *command], check=True, capture_output=True)


def environment(root: Path, **more: str) -> dict[str, str]:
    """The environment of a command run in the project at `root`, on that project's own code."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "MLFLOW", "DVC"))}
    bin_folder = str(Path(sys.executable).parent)
    path = {"PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}", "PATH": f"{bin_folder}{os.pathsep}{env['PATH']}"}
    return env | path | more


@pytest.fixture
def evergreen() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run an `evergreen` command in a project, as a user would."""

    def run(project: Project, *args: str, timeout: float = 240, **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "evergreen.cli", *args]
        return subprocess.run(
            command,
            cwd=project.root,
            env=environment(project.root, **env),
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run
