"""A small run, end to end, in a folder of its own: from your source to a model and a decision."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from evergreen import params
from evergreen.errors import InputError
from evergreen.ingest.sources import open_source
from evergreen.project import Project

ROOT = Path(__file__).resolve().parents[1]
MADE = (".git", ".venv", ".dvc/cache", "dvc.lock", "data", "stores", "reports", "inbox")
SMALL = {"rounds": 30, "early_stopping_rounds": 5, "learning_rate": 0.3, "device": "cpu"}


@pytest.mark.slow
def test_a_small_run_ends_with_a_decision(tmp_path: Path) -> None:
    project, copy = Project.find(ROOT), tmp_path / "copy"
    try:
        source = open_source(params.load(project.params).source, project.dataset)
        batches = [offer.name for offer in source.offers()]
    except InputError as error:
        pytest.skip(str(error))
    made = {project.root / name for name in MADE}
    skip = lambda at, names: [name for name in names if Path(at, name) in made]  # noqa: E731
    shutil.copytree(project.root, copy, ignore=skip)
    if (project.root / "inbox").is_dir():
        (copy / "inbox").symlink_to(project.root / "inbox")
    content = yaml.safe_load((copy / "params.yaml").read_text())
    content["source"]["until"] = batches[:3][-1]
    content["train"] = content.get("train", {}) | SMALL
    (copy / "params.yaml").write_text(yaml.safe_dump(content))
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    command = [sys.executable, "-m", "evergreen.cli", "run", "--seeds", "2"]
    own = os.environ | {"PYTHONPATH": str(copy / "src")}
    done = subprocess.run(command, cwd=copy, env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "version 1 is" in done.stdout or "nothing can be learnt" in done.stdout
