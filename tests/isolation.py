"""Settings for Prefect, which reads them when imported: tests start no server, keep no files."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from conftest import ROOT

from evergreen.project import Project

HOME = tempfile.mkdtemp(prefix="evergreen-prefect-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
os.environ |= {"PREFECT_HOME": HOME, "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """What a test changes in the environment is changed back."""
    with mock.patch.dict(os.environ):
        os.environ.pop("PREFECT_API_URL", None)
        yield


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without data, around the working directory."""
    for name in ("pyproject.toml", "params.yaml", "dvc.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)
