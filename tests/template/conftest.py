"""The template as somebody clones it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import begin, copy_tracked, git


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working tree of this repository, committed, in a repository of its own."""
    folder = tmp_path_factory.mktemp("template") / "evergreen"
    folder.mkdir()
    copy_tracked(folder)
    begin(folder)
    return folder


@pytest.fixture
def clone(template: Path, tmp_path: Path) -> Path:
    """The template, free to change."""
    git(tmp_path, "clone", "-q", str(template), str(tmp_path / "clone"))
    git(tmp_path / "clone", "remote", "remove", "origin")
    return tmp_path / "clone"
