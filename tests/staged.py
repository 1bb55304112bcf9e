"""Projects whose stages DVC records: what they write, and what DVC keeps of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
import yaml
from conftest import copy_project, environment

from evergreen.project import Project
from evergreen.stores.dvc import STAGES, run_stage

OUTPUTS = {
    "ingest": ("raw",),
    "validate": ("quarantine", "validated", "validation"),
    "prepare": ("features",),
}


def work_of(project, name, calls=None):
    """A stand-in for the stage `name`: writes a file into each of its folders, and counts calls."""

    def work(altered):
        for folder in OUTPUTS[name]:
            place = project.root / "data" / folder
            place.mkdir(parents=True, exist_ok=True)
            (place / "part.txt").write_text(f"{name} by {project.params.read_text()}")
        if calls is not None:
            calls.append(altered)
        return f"{name} done"

    return work


def rwlock_of(project):
    return project.root / ".dvc" / "tmp" / "rwlock"


def held_locks(project):
    return [
        holder
        for holders in json.loads(rwlock_of(project).read_text()).values()
        for holder in holders.values()
    ]


def lock_of(project):
    return (project.root / "dvc.lock").read_bytes()


def edit(project, section, **values):
    content = yaml.safe_load(project.params.read_text())
    content[section] = content.get(section, {}) | values
    project.params.write_text(yaml.safe_dump(content))


def dvc_status(project):
    """The stages that `dvc status` calls changed; what it says where it cannot tell."""
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    done = subprocess.run(
        command, cwd=project.root, env=environment(project.root), capture_output=True, text=True
    )
    return done.stderr if done.returncode else set(json.loads(done.stdout))


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """Else DVC keeps a folder per project for good."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))


@pytest.fixture(scope="module")
def staged_template(tmp_path_factory):
    """A project whose stages have all run."""
    project = Project(tmp_path_factory.mktemp("template") / "project")
    copy_project(project.root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(project.root.parent / "site"))
        for name in STAGES:
            assert run_stage(project, name, work_of(project, name)) == f"{name} done"
    subprocess.run(["git", "-C", str(project.root), "gc", "-q"], check=True)  # fewer files to copy
    return project


@pytest.fixture
def settled(staged_template, tmp_path):
    """A copy of that project."""
    unused = shutil.ignore_patterns("hooks", "flows", "report", "*.sample")
    return Project(
        shutil.copytree(staged_template.root, tmp_path / "project", symlinks=True, ignore=unused)
    )


@pytest.fixture
def fresh(tmp_path):
    """A project in which nothing has run."""
    copy_project(tmp_path / "fresh")
    return Project(tmp_path / "fresh")
