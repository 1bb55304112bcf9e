"""What runs have left in the stores of a project."""

from __future__ import annotations

import hashlib

from conftest import environment
from forking import DVC, FORKS

from evergreen import params
from evergreen.project import Project
from evergreen.stores.registry import Registry
from evergreen.stores.seeds import Seeds
from evergreen.stores.tracking import Tracker


def tracker(project: Project) -> Tracker:
    return Tracker(project, params.load(project.params))


def seed_models(project: Project) -> dict[str, str]:
    """What a seed's model is for, and the seed -> SHA-256 of its finished model."""
    found = tracker(project)
    models = {}
    for run in found.search("attributes.status = 'FINISHED'"):
        if "evergreen.seed" in run.data.tags:
            trained = Seeds(found).read(run.info.run_id)
            assert trained is not None
            models[run.data.tags["mlflow.runName"]] = hashlib.sha256(trained.booster).hexdigest()
    return models


def champion_of(project: Project) -> dict[str, bytes]:
    """The files of the champion's package."""
    registry = Registry(tracker(project))
    with registry.versions.fetch(str(registry.champion())) as folder:
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def statuses(project: Project) -> set[str]:
    found = tracker(project)
    return {run.info.status for run in found.search("")}


def dvc(project: Project, *args: str) -> str:
    """What `dvc` by itself prints."""
    done = FORKS[0].run(args, project.root, environment(project.root), 300, DVC)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
