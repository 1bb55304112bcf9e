"""docs/dependencies.md has a row for each direct dependency, and no other; each is filled in."""

from __future__ import annotations

import re
import tomllib

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from evergreen.papers.bill import find_installed
from evergreen.papers.licences import find_licence

PAGE = ROOT / "docs" / "dependencies.md"
HEAD = ["package", "purpose", "licence", "source", "last release", "governed by", "replaced by"]


def direct(text: str) -> list[str]:
    """The names of all that a pyproject.toml asks for, whatever group or extra asks."""
    content = tomllib.loads(text)
    project, groups = content["project"], content["dependency-groups"]
    lists = [project["dependencies"], *project["optional-dependencies"].values(), *groups.values()]
    return sorted({canonicalize_name(Requirement(line).name) for lines in lists for line in lines})


def rows_of(text: str) -> dict[str, dict[str, str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    named = [row for row in cells if row != HEAD]
    assert len({row[0] for row in named}) == len(named)
    return {row[0]: dict(zip(HEAD, row, strict=True)) for row in named}


ROWS = rows_of(PAGE.read_text())


def test_each_direct_dependency_has_a_row_and_no_row_is_of_none() -> None:
    assert sorted(ROWS) == direct((ROOT / "pyproject.toml").read_text())


def test_a_dependency_without_a_row_would_be_seen() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    more = text.replace('"numpy>=2.1",', '"numpy>=2.1",\n    "planted>=1",')
    assert more != text
    assert {*direct(more)} - {*ROWS} == {"planted"}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_filled_in_and_its_licence_is_what_the_package_says(name: str) -> None:
    row = ROWS[name]
    assert [title for title, cell in row.items() if not cell] == []
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", row["last release"])
    assert re.fullmatch(r"[a-z.]+\.(com|net)/\S+", row["source"])
    assert row["licence"] == find_licence(INSTALLED[name]).spdx


INSTALLED = find_installed()
