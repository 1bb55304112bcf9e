"""The template as somebody clones it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import ROOT
from template.making import git

from evergreen_template import bake as engine


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working tree of this repository, committed, in a repository of its own."""
    folder = tmp_path_factory.mktemp("template") / "evergreen"
    listed = engine.git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")[:-1]
    for name in listed:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "the template")
    return folder


@pytest.fixture
def clone(template: Path, tmp_path: Path) -> Path:
    """The template, free to change."""
    git(tmp_path, "clone", "-q", str(template), str(tmp_path / "clone"))
    git(tmp_path / "clone", "remote", "remove", "origin")
    return tmp_path / "clone"
