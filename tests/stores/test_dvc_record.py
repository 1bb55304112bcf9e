"""DVC: what is recorded is what ran, as `dvc repro` would record it."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import warnings

import pytest
import yaml
from conftest import environment
from staged import edit, lock_of, work_of

from evergreen import code
from evergreen.features.prepare import prepare
from evergreen.ingest.batches import ingest
from evergreen.project import Project
from evergreen.quality.held_batches import find_held
from evergreen.stores.dvc import (
    changed_stages,
    data_versions,
    read_lock,
    run_stage,
)
from evergreen.validation.contract import Contract
from evergreen.validation.validate import validate

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_cache")]  # real stores


@pytest.mark.slow
def test_the_record_equals_that_of_dvc_repro_byte_for_byte(make_project, read_params, tmp_path):
    project = make_project()
    other = Project(shutil.copytree(project.root, tmp_path / "other", symlinks=True))
    params = read_params(project)
    steps = {
        "ingest": lambda project, **how: ingest(project, project.dataset, params, **how),
        "validate": lambda project, **how: validate(project, Contract.of(project, params), **how),
        "prepare": lambda project, **how: prepare(
            project, project.dataset, params, find_held, **how
        ),
    }

    def run_all(project):
        return [
            run_stage(project, name, lambda altered, step=step: step(project, check=altered))
            for name, step in steps.items()
        ]

    def repro(*args):
        command = [sys.executable, "-m", "dvc", "repro", *args]
        done = subprocess.run(
            command,
            cwd=other.root,
            env=environment(other.root),
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the age of what Great Expectations uses
        importlib.import_module("great_expectations.expectations")
    assert all(run_all(project))
    repro()
    assert lock_of(other) == lock_of(project)
    assert run_all(other) == [None, None, None]  # each takes the other's record for its own
    shutil.rmtree(other.root)
    shutil.copytree(project.root, other.root, symlinks=True)
    assert repro().count("didn't change, skipping") == 3


@pytest.mark.parametrize("first", [True, False], ids=["the first record", "a later one"])
def test_a_record_that_was_cut_as_it_was_written_is_undone(first, fresh, settled, monkeypatch):
    """DVC empties dvc.lock before it writes it: a kill then leaves a file that it cannot read."""
    project, name = (fresh, "ingest") if first else (settled, "prepare")
    before = None if first else lock_of(project)
    if not first:
        edit(project, "prepare", min_level_rows=7)

    def cut(self, **_):
        (project.root / "dvc.lock").write_bytes(b"")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dvc.stage.PipelineStage.dump", cut)
        with pytest.raises(KeyboardInterrupt):
            run_stage(project, name, work_of(project, name))
    assert lock_of(project) == b""
    assert name in changed_stages(project)
    assert ((project.root / "dvc.lock").exists(), data_versions(project) != {}) == (
        not first,
        not first,
    )
    if before:
        assert lock_of(project) == before
    assert run_stage(project, name, work_of(project, name)) == f"{name} done"
    assert name not in changed_stages(project)


def dep_of(lock, stage, name):
    """The hash that is recorded of a dependency."""
    return next(
        dep["md5"]
        for dep in yaml.safe_load(lock)["stages"][stage]["deps"]
        if dep["path"].endswith(name)
    )


def runs(monkeypatch, project, **sources):
    """Let this process have taken these sources of the project's at its start."""
    package = project.root / "src" / "late_flights"
    for name, content in sources.items():
        monkeypatch.setitem(code._KEPT, os.path.realpath(package / f"{name}.py"), content)
    return package


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_of_code_that_was_edited_since_what_ran_is_recorded(settled, monkeypatch):
    path = settled.root / "src" / "late_flights" / "dataset.py"
    old, recorded = path.read_bytes(), lock_of(settled)
    runs(monkeypatch, settled, dataset=old)
    path.write_bytes(b"# another branch\n")
    # For this process nothing has changed
    assert run_stage(settled, "prepare", work_of(settled, "prepare")) is None
    assert run_stage(settled, "prepare", work_of(settled, "prepare"), force=True)
    assert lock_of(settled) == recorded
    assert "prepare" in changed_stages(settled)  # for the next one it has
    monkeypatch.undo()
    assert run_stage(settled, "prepare", work_of(settled, "prepare"))
    assert dep_of(lock_of(settled), "prepare", "dataset.py") == md5(path)
    assert "prepare" not in changed_stages(settled)


def test_code_that_runs_and_is_not_there_any_more(settled, monkeypatch):
    path = settled.root / "src" / "late_flights" / "dataset.py"
    recorded = lock_of(settled)
    runs(monkeypatch, settled, dataset=path.read_bytes())
    path.unlink()
    assert run_stage(settled, "prepare", work_of(settled, "prepare"), force=True)
    assert lock_of(settled) == recorded


def test_of_code_that_runs_and_is_not_what_was_recorded(settled, monkeypatch):
    """An older process on a newer `dvc.lock`, as after a checkout."""
    runs(monkeypatch, settled, dataset=b"old = 1\n")
    assert run_stage(settled, "prepare", work_of(settled, "prepare"))
    assert (
        dep_of(lock_of(settled), "prepare", "dataset.py") == hashlib.md5(b"old = 1\n").hexdigest()
    )


def test_a_dvc_lock_that_is_checked_out_meanwhile_is_not_what_ran(settled):
    run_stage(settled, "prepare", work_of(settled, "prepare"), force=True)
    expected, lock = data_versions(settled), lock_of(settled)
    (settled.root / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    assert data_versions(settled) == expected
    assert read_lock(settled) == lock
