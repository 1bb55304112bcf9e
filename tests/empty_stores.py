"""Empty stores of MLflow: made once, copied for each test."""

from __future__ import annotations

import importlib
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import once
from forking import do_not_wait_for_the_disk

from evergreen import params
from evergreen.project import Project
from evergreen.stores.tracking import Tracker


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as MLflow makes it, which takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about the types in MLflow's own code
        importlib.import_module("mlflow.pyfunc")
    do_not_wait_for_the_disk()
    return once(tmp_path_factory, "store", make_store) / "stores" / "mlflow.db"


def make_store(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        forget_mlflow(patch)
        _ = Tracker(Project(folder), params.Params()).client


def forget_mlflow(patch: pytest.MonkeyPatch) -> None:
    """Keep what MLflow sets for the whole process inside one test."""
    import mlflow.tracking._model_registry.utils as registry
    import mlflow.tracking._tracking_service.utils as tracking

    patch.setattr(tracking, "_tracking_uri", None)
    patch.setattr(registry, "_registry_uri", None)
    for name in (
        "MLFLOW_TRACKING_URI",
        "MLFLOW_REGISTRY_URI",
        "MLFLOW_DISABLE_TELEMETRY",
        "DO_NOT_TRACK",
    ):
        patch.setenv(name, "true")
        patch.delenv(name)


@pytest.fixture
def open_tracker(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Tracker]:
    """Open the tracker of a project in a folder of its own, or of a project that is there.

    `store`: the database to begin with, in place of an empty one.
    """
    forget_mlflow(monkeypatch)
    # Slow, and known of a copy
    monkeypatch.setattr("mlflow.store.db.utils._verify_schema", lambda engine: None)

    def make(
        project: Project | str = "project", store: Path = empty_store, **sections: Any
    ) -> Tracker:
        if isinstance(project, str):
            project = Project(tmp_path / project)
        own = project.stores / "mlflow.db"
        if not own.exists():
            project.stores.mkdir(parents=True)
            shutil.copy2(store, own)
        return Tracker(project, params.Params().override(**sections))

    return make
