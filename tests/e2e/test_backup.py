"""Everything but the backup is lost: the champion, its history and the data are there again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from commands import output_of
from conftest import git

from evergreen.ingest.manifest import Manifest
from evergreen.params import Params
from evergreen.project import Project
from evergreen.stores.dvc import changed_stages, data_versions
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker

pytestmark = pytest.mark.slow


def predict(project: Project) -> list[float]:
    """What the champion predicts for the newest batch of the project."""
    features = Manifest(project.features)
    rows = pl.read_parquet(features.file([*features.in_order()][-1]))
    registry = Registry(Tracker(project, Params()))
    champion = registry.champion()
    assert champion
    said = registry.versions.open(champion).predict_rows(rows)
    return [float(value) for value in np.ravel(said)]


def test_all_but_the_backup_is_lost(champion_project: Project, tmp_path: Path) -> None:
    project, backup = champion_project, tmp_path / "elsewhere"
    git(project.root, "commit", "-qam", "The data of the first champion")
    predicted, data = predict(project), data_versions(project)
    history = output_of(project.root, "history")
    assert "snapshot" in output_of(project.root, "backup", str(backup))
    shutil.rmtree(project.root)
    again = Project(tmp_path / "new" / "project")
    shutil.copytree(tmp_path / "inbox", tmp_path / "new" / "inbox")  # the source is not lost
    bundle = next(backup.glob("*/code.bundle"))
    subprocess.run(["git", "clone", "-q", str(bundle), str(again.root)], check=True)
    assert "next: `evergreen status`" in output_of(again.root, "restore", str(backup))
    assert predict(again) == predicted
    assert data_versions(again) == data
    assert changed_stages(again) == []
    assert output_of(again.root, "history") == history
    assert "champion" in output_of(again.root, "status")
