"""The project's extensions keep their contracts: see `evergreen docs extensions`."""

from __future__ import annotations

from pathlib import Path

from evergreen.project import Project
from evergreen.testing import check_extensions


def test_what_is_added_keeps_its_contract() -> None:
    check_extensions(Project.find(Path(__file__).resolve().parents[1]))
