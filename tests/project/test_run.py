"""A small run, end to end, in a folder of its own: from your source to a model and a decision."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest
import yaml

from evergreen import params
from evergreen.errors import InputError
from evergreen.ingest.sources import open_source
from evergreen.project import Project

ROOT = Path(__file__).resolve().parents[1]
MADE = (".git", ".venv", ".dvc/cache", "dvc.lock", "data", "stores", "reports", "inbox")
NO_BATCH = ("declares no columns", "nothing of that name", "holds no file", "returns no row")
SMALL = {"rounds": 30, "early_stopping_rounds": 5, "learning_rate": 0.3, "device": "cpu"}


@pytest.mark.slow
def test_a_small_run_ends_with_a_decision(tmp_path: Path) -> None:
    project, copy = Project.find(ROOT), tmp_path / "copy"
    try:
        offers = open_source(params.load(project.params).source, project.dataset).offers()
    except InputError as error:
        (pytest.skip if any(part in str(error) for part in NO_BATCH) else pytest.fail)(str(error))
    until = offers[:3][-1].name if offers else pytest.skip("the source holds no batch yet")
    made = {project.root / name for name in MADE}
    copytree(project.root, copy, ignore=lambda at, names: {n for n in names if Path(at, n) in made})
    if (project.root / "inbox").is_dir():
        (copy / "inbox").symlink_to(project.root / "inbox")
    content = yaml.safe_load((copy / "params.yaml").read_text())
    content["source"]["until"] = until
    content["train"] = content.get("train", {}) | SMALL
    (copy / "params.yaml").write_text(yaml.safe_dump(content))
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    command = [sys.executable, "-m", "evergreen.cli", "run", "--seeds", "2"]
    own = os.environ | {"PYTHONPATH": str(copy / "src")}
    done = subprocess.run(command, cwd=copy, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "version 1 is" in done.stdout or "nothing can be learnt" in done.stdout
