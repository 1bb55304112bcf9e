"""The bill of materials: of the lock, with what is installed, the same each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, refusal
from papers.installed import install

from evergreen.papers.bill import (
    Pin,
    find_installed,
    look_up,
    make_bill,
    read_lock,
    read_locks,
    tell_licences,
    write_bill,
)
from evergreen.project import Project

HASHES = ("a" * 64, "b" * 64)
LOCK = f"""\
# made by a tool
first==1.2 \\
    --hash=sha256:{HASHES[1]} \\
    --hash=sha256:{HASHES[0]}
Second_One==2.0 ; python_version >= '3.0'
other==3.0 ; sys_platform == 'nowhere' \\
    --hash=sha256:{HASHES[0]}
"""
LIBRARY = f"./vendor/evergreen-0.1.0-py3-none-any.whl --hash=sha256:{HASHES[0]}\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "run.txt").write_text(LOCK)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "mine"\n')
    needs = ("second.one>1", "absent", "other; extra == 'more'")
    told = ["License: MIT", *(f"Requires-Dist: {line}" for line in needs)]
    install(tmp_path / "site", "first", *told, version="1.2")
    told = ["License: LGPL-3.0-only", "License-Expression: MPL-2.0"]
    install(tmp_path / "site", "second-one", *told, version="2.0")
    return Project(tmp_path)


def bill_of(project: Project) -> dict[str, Any]:
    pins = read_locks(project)
    return make_bill("mine", pins, look_up(pins, find_installed([project.root / "site"])))


def test_a_lock_is_read(project: Project) -> None:
    assert read_lock(project.root / "requirements" / "run.txt") == [
        Pin("first", "1.2", (HASHES[1], HASHES[0])),
        Pin("second-one", "2.0", ()),
        Pin("other", "3.0", (HASHES[0],), applies=False),
    ]


def test_the_library_as_a_wheel_is_pinned_too(project: Project) -> None:
    (project.root / "requirements" / "library.txt").write_text(LIBRARY)
    found = {pin.name: pin for pin in read_locks(project)}
    assert found["evergreen"] == Pin("evergreen", "0.1.0", (HASHES[0],))
    assert [*found] == ["evergreen", "first", "other", "second-one"]


@pytest.mark.parametrize("line", ["first", "first>=1", "what is this?", "x.whl", "a==1,==2"])
def test_a_line_that_pins_nothing_is_said(line: str, project: Project) -> None:
    (project.root / "requirements" / "run.txt").write_text(f"{line}\n")
    refusal(lambda: read_locks(project), "pins no version by", repr(line), "make lock")


def test_without_a_lock_it_is_said(tmp_path: Path) -> None:
    refusal(lambda: read_locks(Project(tmp_path)), "run.txt is missing")


def test_the_bill(project: Project) -> None:
    found = bill_of(project)
    assert (found["bomFormat"], found["specVersion"], found["version"]) == ("CycloneDX", "1.6", 1)
    assert not {"serialNumber", "timestamp"} & {*found, *found["metadata"]}
    first, other, second = found["components"]
    assert first["purl"] == first["bom-ref"] == "pkg:pypi/first@1.2"
    assert [digest["content"] for digest in first["hashes"]] == [*HASHES]
    assert first["licenses"] == [{"expression": "MIT"}]
    assert second["licenses"] == [{"expression": "MPL-2.0"}]
    assert (first["scope"], other["scope"]) == ("required", "excluded")
    assert "licenses" not in other
    needs = {part["ref"]: part["dependsOn"] for part in found["dependencies"]}
    assert needs == {
        "mine": ["pkg:pypi/first@1.2", "pkg:pypi/second-one@2.0"],
        "pkg:pypi/first@1.2": ["pkg:pypi/second-one@2.0"],
        "pkg:pypi/second-one@2.0": [],
    }


def test_the_files_are_the_same_each_time(project: Project) -> None:
    pins = read_locks(project)
    parts = look_up(pins, find_installed([project.root / "site"]))
    first = [path.read_bytes() for path in write_bill(project, pins, parts)]
    assert [path.read_bytes() for path in write_bill(project, pins, parts)] == first
    assert json.loads(first[0]) == make_bill("mine", pins, parts)
    assert first[1].decode() == tell_licences(parts)


def test_the_list_of_licences(project: Project) -> None:
    pins = read_locks(project)
    told = tell_licences(look_up(pins, find_installed([project.root / "site"])))
    assert "| MIT | 1 |" in told
    assert "(copyleft): second-one (MPL-2.0)." in told
    assert "| first | 1.2 | MIT | word |" in told


@pytest.mark.slow
def test_the_bill_of_this_project_has_all_that_is_pinned() -> None:
    pins = read_locks(Project(ROOT))
    found = make_bill("evergreen-pipeline", pins, look_up(pins, find_installed()))
    assert len(found["components"]) == len(pins) > 200
    refs = [part["bom-ref"] for part in found["components"]]
    assert len({*refs}) == len(refs)
    needed = {ref for part in found["dependencies"] for ref in part["dependsOn"]}
    assert needed <= {*refs}
    missing = [part["name"] for part in found["components"]
               if part["scope"] == "required" and "licenses" not in part]  # fmt: skip
    assert missing == []
