"""A real project of the old kind: trained by its own code, migrated, continued by the library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, SMALL, begin, environment, git, month

pytestmark = [pytest.mark.slow, pytest.mark.long]
LAST = "6ec5167c7235054942a15c1842e80ea221f0e7e4"  # the last commit that copied the library
ANSWERS = {
    "project_name": "Churn Model", "project_slug": "churn-model", "package_name": "churn_model",
    "author": "Somebody", "license": "MIT", "task": "binary", "data": "flights", "ci": "none",
    "infra": "none", "_commit": None,
}  # fmt: skip
FEATURE = '    "evening": pl.col("scheduled_departure").dt.hour() >= 18,  # ours\n'
LATER = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This repository with its history, and what is not committed yet."""
    if subprocess.run(["git", "cat-file", "-e", LAST], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("the history of this repository is not there")
    folder = tmp_path_factory.mktemp("template") / "evergreen"
    git(folder.parent, "clone", "-q", str(ROOT), str(folder))
    changes = git(ROOT, "diff", "HEAD", "--binary")
    if changes:
        subprocess.run(["git", "apply"], cwd=folder, input=changes, text=True, check=True)
        git(folder, "commit", "-qam", "not committed yet")
    return folder


@pytest.fixture(scope="module")
def root(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An old project that has a champion of two months, with a feature and an edit of its owner."""
    place = tmp_path_factory.mktemp("old")
    git(place, "clone", "-q", str(template), str(place / "then"))
    git(place / "then", "checkout", "-q", LAST)
    root = place / "churn-model"
    root.mkdir()
    (root / ".template.json").write_text(json.dumps(ANSWERS | {"_template": str(template)}))
    engine = place / "then" / "evergreen_template" / "bake.py"
    subprocess.run([sys.executable, "-B", str(engine), str(place / "then"), str(root)], check=True)
    begin(root)
    dataset = root / "src/churn_model/dataset.py"
    marker = '    "pressure": pl.col("pressure"),\n'
    dataset.write_text(dataset.read_text().replace(marker, marker + FEATURE))
    gate = root / "src/churn_model/life/decide.py"
    gate.write_text(gate.read_text() + "\n# ours\n")
    content = yaml.safe_load((root / "params.yaml").read_text())
    for section, values in SMALL.items():
        content[section] |= values
    content["source"] = {"kind": "files", "path": "inbox", "until": None}
    content["retrain"]["max_staleness"] = 0.1
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    (root / "inbox").mkdir()
    for name in ("2013-05", "2013-06"):
        month(name).write_parquet(root / "inbox" / f"{name}.parquet")
    told(root, "churn_model.cli", "run")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "trained")
    return root


def told(root: Path, module: str, *words: str) -> str:
    """Run a command in the project, which has to succeed."""
    command = [sys.executable, "-m", module, *words]
    env = {name: value for name, value in environment(root).items() if not name.startswith("CHURN")}
    env["PYTHONPATH"] = f"{root / 'src'}{os.pathsep}{root}"
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_champion_lives_on(root: Path, tmp_path: Path) -> None:
    assert "version 1 promoted" in told(root, "churn_model.cli", "history")
    before = {path: path.read_bytes() for path in (root / "data" / "raw").iterdir()}
    said = told(root, "evergreen.cli", "migrate")
    assert "  src/churn_model/life/decide.py\n" in said
    assert "retrain.max_staleness (0.1) is dropped" in said
    assert FEATURE in (root / "src/churn_model/dataset.py").read_text()
    left = {path.name for path in (root / "src/churn_model").iterdir()} - {"__pycache__"}
    assert left == {"__init__.py", "dataset.py", "expectations.py", "flights.py", "model"}
    assert "version 1" in told(root, "evergreen.cli", "status")
    assert "version 1 promoted" in told(root, "evergreen.cli", "history")
    month("2013-07").head(50).drop(LATER).write_parquet(tmp_path / "some.parquet")
    assert "version 1" in told(root, "evergreen.cli", "score", str(tmp_path / "some.parquet"))
    git(root, "commit", "-qm", "migrated")
    told(root, "evergreen.cli", "run")
    assert "version 1 promoted" in told(root, "evergreen.cli", "history")
    assert {path: path.read_bytes() for path in before} == before
