"""Small projects at each stage, made from real months; validated and prepared only once."""

from __future__ import annotations

import importlib
import shutil
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import month, settings_of

from evergreen import params
from evergreen.dataset import Dataset
from evergreen.features.prepare import prepare
from evergreen.ingest.batches import ingest
from evergreen.ingest.manifest import Manifest, when
from evergreen.project import Project
from evergreen.quality.held_batches import find_held
from evergreen.validation.contract import Contract
from evergreen.validation.validate import validate
from late_flights.dataset import dataset

ROWS = 1500


@dataclass
class Site:
    """A project, the folder its files are delivered to, and its dataset, which tests may change."""

    project: Project
    inbox: Path
    dataset: Dataset = dataset
    expectations: Callable[[str], list[Any]] | None = None  # in place of those of the flights

    def declare(self, **changes: Any) -> None:
        """Change what its dataset.py says."""
        self.dataset = replace(self.dataset, **changes)

    def contract(self, chosen: params.Params | None = None) -> Contract:
        """What is expected of its batches."""
        validation = (chosen or self.params()).validation
        return Contract(self.dataset, self.expectations or self.project.expectations, validation)

    def params(self, **sections: Any) -> params.Params:
        """Parameters that read from the inbox; keyword arguments replace sections."""
        content = {
            "source": {"kind": "files", "path": str(self.inbox)},
            "prepare": {"min_level_rows": 5},
            "train": {"device": "cpu"},
        }
        # The newest batch judges, as of many rows
        split = {"cross_validate_below": None} | sections.pop("split", {})
        return params.parse(content | {"split": split} | sections, "params.yaml")

    def deliver(self, frames: Mapping[str, pl.DataFrame]) -> None:
        """Put one Parquet file per batch into the inbox."""
        for name, frame in frames.items():
            frame.write_parquet(self.inbox / f"{name}.parquet")

    def accept(self, frames: Mapping[str, pl.DataFrame]) -> None:
        """Put rows into `data/validated/`, as validation would have."""
        self.project.validated.mkdir(parents=True, exist_ok=True)
        done = Manifest(self.project.validated)
        for name, frame in frames.items():
            frame.write_parquet(done.file(name))
            times = frame[self.dataset.time]
            done.record(
                name,
                done.file(name),
                stamp=str(frame.hash_rows().sum()),
                rows=frame.height,
                **when(times),
            )


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with the real validation engine or a real store are slow: to load it takes seconds."""
    for item in items:
        if {"great_expectations", "empty_store"} & {*getattr(item, "fixturenames", ())}:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """An empty project with an empty inbox."""
    (tmp_path / "inbox").mkdir()
    return Site(settings_of(tmp_path / "project"), tmp_path / "inbox")


@pytest.fixture(scope="session")
def great_expectations() -> None:
    """Import it once; what it imports itself is deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("great_expectations.expectations")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, great_expectations: None) -> Site:
    """Two months that went through ingest, validate and prepare; not to be changed."""
    root = tmp_path_factory.mktemp("template")
    (root / "inbox").mkdir()
    site = Site(settings_of(root / "project"), root / "inbox")
    site.deliver({name: month(name, ROWS) for name in ("2013-01", "2013-02")})
    ingest(site.project, site.dataset, site.params())
    validate(site.project, site.contract(site.params()))
    prepare(site.project, site.dataset, site.params(), find_held)
    return site


@pytest.fixture
def built(template: Site, tmp_path: Path) -> Site:
    """A copy of the template, free to change."""
    root = tmp_path / "built"
    shutil.copytree(template.project.root.parent, root)
    return Site(Project(root / "project"), root / "inbox")


@pytest.fixture
def snapshot() -> Callable[..., dict[str, tuple[bytes, int]]]:
    """Take down the bytes and the time of change of every file below some folders."""

    def take(*folders: Path) -> dict[str, tuple[bytes, int]]:
        files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
        return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}

    return take
