"""What the project adds to the library keeps its contract: `evergreen docs extensions` says which."""

from __future__ import annotations

from pathlib import Path

from evergreen.project import Project
from evergreen.testing import check_extensions


def test_what_is_added_keeps_its_contract() -> None:
    check_extensions(Project.find(Path(__file__).resolve().parents[1]))
