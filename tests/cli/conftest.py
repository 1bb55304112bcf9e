"""Projects that commands run in, and the environment put back after each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from conftest import copy_project, month

from evergreen.project import Project


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path) -> Iterator[None]:
    """What a command sets in the environment of its process is taken back."""
    with mock.patch.dict(os.environ, DVC_SITE_CACHE_DIR=str(tmp_path / "site")):
        yield


@pytest.fixture(scope="module")
def two_batches(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that mistakes leave as it is: two small batches, and one port for two servers."""
    project = Project(tmp_path_factory.mktemp("cli") / "project")
    copy_project(project.root)
    inbox = project.root.with_name("inbox")
    inbox.mkdir()
    for name in ("2013-01", "2013-02"):
        month(name, 50).write_parquet(inbox / f"{name}.parquet")
    project.params.write_text(f"source: {{kind: files, path: {inbox}}}\nports: {{prefect: 5000}}\n")
    return project
