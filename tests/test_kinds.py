"""Kinds: each test is of one, each can be run apart, and docs/quality.md names what is there."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from conftest import ROOT
from kinds import KINDS, REST, TESTS, files_of, kind_of

PAGE = (ROOT / "docs" / "quality.md").read_text()
ALL = [*KINDS, REST]
CHARACTERISTICS = (  # of ISO/IEC 25010:2023
    "Functional suitability", "Performance efficiency", "Compatibility", "Interaction capability",
    "Reliability", "Security", "Maintainability", "Flexibility", "Safety",
)  # fmt: skip


@pytest.mark.slow
def test_every_test_is_of_one_kind() -> None:
    found = [path for kind in ALL for path in files_of(kind)]
    assert sorted(found) == sorted(TESTS.rglob("test_*.py"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_table_names_is_there(kind: str) -> None:
    paths = [path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")]
    idle = [start for start in KINDS[kind] if not any(path.startswith(start) for path in paths)]
    assert idle == []
    assert len({*KINDS[kind]}) == len(KINDS[kind])


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("ingest/test_folder.py", "data"),
        ("ingest/test_memory.py", "security"),  # the longest beginning counts
        ("monitoring/test_drift.py", "data"),
        ("monitoring/test_monitor.py", "model"),
        ("stores/test_dvc.py", "infrastructure"),
        ("test_redact.py", "security"),
        ("cli/test_docs.py", REST),
    ],
)
def test_the_kind_of_a_file(path: str, kind: str) -> None:
    assert (TESTS / path).exists()
    assert kind_of(path) == kind


@pytest.mark.slow
@pytest.mark.parametrize(("words", "code"), [(["security"], 0), ([], 1), (["secrets"], 1)])
def test_the_command_prints_the_files_of_a_kind(words: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, "tests/kinds.py", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == code
    if code:
        assert done.stderr == f"error: name one kind: {', '.join(ALL)}\n"
    else:
        assert "tests/test_redact.py" in done.stdout.split()
        assert all((ROOT / name).is_file() for name in done.stdout.split())


def test_every_kind_has_its_command_in_the_documentation() -> None:
    assert re.findall(r"`make kind KIND=(\w+)`", PAGE) == ALL
    assert "tests/kinds.py $(KIND)" in (ROOT / "Makefile").read_text()


def rows_of(page: str) -> list[list[str]]:
    table = page.split("## Tests by kind")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def missing(page: str) -> list[str]:
    """The files that the page names and that are not there."""
    return [name for name in re.findall(r"`(tests/[\w/.]+)`", page) if not (ROOT / name).exists()]


def test_each_characteristic_is_held_by_tests_that_exist() -> None:
    rows = rows_of(PAGE)
    assert [row[0] for row in rows if row[0]] == [*CHARACTERISTICS]
    assert [row for row in rows if not all(row[1:]) or "`" not in row[3]] == []
    assert missing(PAGE) == []


def test_a_test_that_is_gone_would_be_seen() -> None:
    assert missing(PAGE + "`tests/e2e/test_planted.py`") == ["tests/e2e/test_planted.py"]
