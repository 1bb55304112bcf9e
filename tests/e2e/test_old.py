"""Projects of earlier versions: today's library reads what they have stored, and goes on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from conftest import begin
from old.keep import FOLDER, MONTHS, STEPS, deliver, lay_out, orders, unpack

from evergreen import params
from evergreen.ingest.manifest import Manifest
from evergreen.project import Project
from evergreen.scoring.predictions import known
from evergreen.stores import databases
from evergreen.stores.journal import Journal
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker

pytestmark = pytest.mark.slow
Run = Callable[..., subprocess.CompletedProcess[str]]
KEPT = sorted(FOLDER.glob("*.tar.xz"))
FOLDERS = {
    "raw": "INGEST",
    "validated": "VALIDATE",
    "features": "PREPARE",
}  # and the recipe of each


@pytest.fixture(params=KEPT, ids=lambda path: path.name)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """A project that an earlier version has made, with the flows of today, as after an update."""
    root = tmp_path / "project"
    project = lay_out(root)
    unpack(request.param, root)
    about = json.loads((root / "about.json").read_text())
    databases.move(project.stores / "mlflow.db", about["root"], str(root))
    begin(root)
    return project


def entries(project: Project) -> dict[str, dict[str, object]]:
    """Each folder's batch files and what they were made from, wherever that lies now."""
    found = {name: Manifest(getattr(project, name)).entries for name in FOLDERS}
    return {
        name: {batch: (entry["files"], entry.get("stamp")) for batch, entry in those.items()}
        for name, those in found.items()
    }


def tracker(project: Project) -> Tracker:
    return Tracker(project, params.load(project.params))


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_is_one_of_each_release() -> None:
    assert "0.1.0.tar.xz" in [path.name for path in KEPT]
    assert [path.name for path in KEPT if path.stat().st_size > 300_000] == []


def test_it_goes_on(old: Project, cli: Run, tmp_path: Path) -> None:
    before = entries(old)
    about = json.loads((old.root / "about.json").read_text())
    same = {name for name, step in FOLDERS.items() if about["recipes"].get(step) == STEPS[step]}
    champion = Registry(tracker(old)).champion()
    assert champion == "1"
    model = Registry(tracker(old)).versions.open(champion)
    assert len(Journal(tracker(old)).entries(champion)) == 1
    assert known(old) == [("some", "1")]

    assert "version 1" in said(cli(old, "status"))
    assert "version 1 promoted" in said(cli(old, "history"))
    orders(MONTHS[4]).drop("back").head(30).write_csv(tmp_path / "more.csv")
    said(cli(old, "score", str(tmp_path / "more.csv")))
    assert known(old) == [("more", "1"), ("some", "1")]
    deliver(old, MONTHS[4])
    said(cli(old, "monitor"))
    watched = {entry.batch for entry in Journal(tracker(old)).entries(champion)}
    assert watched == {*MONTHS[3:], "some", "more"}

    after = entries(old)
    for name in same:
        assert {batch: after[name][batch] for batch in before[name]} == before[name], name
    assert [*after["features"]] == [*MONTHS]
    rows = pl.read_parquet(old.features / f"{MONTHS[4]}.parquet")
    assert model.predict_rows(rows).shape == (400,)
