"""Registries with versions, projects with stages: each test has a copy of its own."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import once
from empty_stores import forget_mlflow
from registries import YES, add, package
from staged import fresh, own_cache, settled, staged_template  # noqa: F401

from evergreen import wheel
from evergreen.params import Params
from evergreen.project import Project
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker

WHEEL = cache(wheel.installed)


@pytest.fixture(autouse=True)
def _wheel_made_once(monkeypatch):
    """To pack the library takes a quarter of the time that a version takes."""
    monkeypatch.setattr(wheel, "installed", WHEEL)


@pytest.fixture(scope="session")
def stores(empty_store, tmp_path_factory):
    """Databases with four versions, the fourth a challenger; `lived`: 1, 2, then 3 promoted."""

    def make(folder):
        project = Project(folder)
        project.stores.mkdir()
        own = Path(shutil.copy2(empty_store, project.stores / "mlflow.db"))
        with pytest.MonkeyPatch.context() as patch:
            forget_mlflow(patch)
            patch.setattr("mlflow.store.db.utils._verify_schema", lambda engine: None)
            registry = Registry(Tracker(project, Params()))
            packed = package(project.root / "package")
            for fingerprint in ("one", "two", "three", "four"):
                add(registry, fingerprint, packed)
            shutil.copy2(own, project.root / "registered.db")
            for number, before in (("1", None), ("2", "1"), ("3", "2")):
                registry.promote(number, before, YES, f"2013-0{number}")
            shutil.copy2(own, project.root / "lived.db")

    folder = once(tmp_path_factory, "registries", make)
    return SimpleNamespace(registered=folder / "registered.db", lived=folder / "lived.db")


@pytest.fixture
def registry(open_tracker):
    """No version yet."""
    return Registry(open_tracker())


@pytest.fixture
def stocked(open_tracker, stores):
    """Four versions, none of them champion yet. Their files are shared: leave them alone."""
    return Registry(open_tracker(store=stores.registered))


@pytest.fixture
def lived(open_tracker, stores):
    """Four versions: 3 is champion after 2 and 1. Their files are shared: leave them alone."""
    return Registry(open_tracker(store=stores.lived))


@pytest.fixture
def tracker(open_tracker):
    return open_tracker()
