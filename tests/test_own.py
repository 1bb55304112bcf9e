"""Tests of what the project itself declares see that, where the other tests run on the example."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import EXAMPLE, OWN, OWN_DATASET, ROOT, asks_for_own, copy_tracked

DATASET = """
import polars as pl

COLUMNS = {"price": pl.Float64(), "sold": pl.Boolean()}
KEY, TIME, LABEL, KNOWN_LATER, LEFT_OUT = (), "", pl.col("sold"), ("sold",), {}
FEATURES = {"cheap": pl.col("price") < 5}
SLICES, GROUPS = {}, {}
"""
TEST = """
from evergreen import dataset, flights
from evergreen.data import prepare
import polars as pl

def test_mine():
    assert prepare.dataset is dataset
    assert flights.__file__.endswith("tests/example/flights.py")
    assert pl.DataFrame({"price": [4.0, 6.0]}).select(dataset.FEATURES["cheap"]).to_series().to_list() == [True, False]
"""


def run(root: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of the project at `root` as a person does, in a new process."""
    clean = {name: value for name, value in os.environ.items() if name != OWN_DATASET and not name.startswith("PYTEST")}
    paths = {"PYTHONPATH": os.pathsep.join([str(root / "src"), str(root), str(root / "tests")])}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    return subprocess.run(command, cwd=root, env=clean | paths | env, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not EXAMPLE.is_dir(), reason="the project's own dataset is what all tests run on")
def test_the_projects_own_tests_pass() -> None:
    if OWN_DATASET not in os.environ and list(OWN.rglob("test_*.py")):
        done = run(ROOT, str(OWN), **{OWN_DATASET: "1"})
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "own"),
    [
        ((), False),
        (("-q", "-m", "not slow"), False),
        (("tests/project",), True),
        (("-q", "tests/project/test_dataset.py::test_it[x]"), True),
        (("tests",), False),
        (("tests/project", "tests/data"), False),
        (("tests/projects-of-mine",), False),
    ],
)
def test_own_tests_are_told_by_their_paths(words: tuple[str, ...], own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert asks_for_own(words) is own


@pytest.mark.slow
def test_a_test_of_ones_own_sees_ones_own_features(tmp_path: Path) -> None:
    """As after `adopt`, or in a project that began with no data: the flights lie in tests/example."""
    copy_tracked(tmp_path, "src/", "flows/", "tests/", "pyproject.toml", "params.yaml", "dvc.yaml")
    package, example = tmp_path / "src" / "evergreen", tmp_path / "tests" / "example"
    if not example.is_dir():
        example.mkdir()
        for name in ("dataset.py", "expectations.py", "flights.py"):
            (package / name).rename(example / name)
        (package / "expectations.py").write_bytes((example / "expectations.py").read_bytes())
    (package / "dataset.py").write_text(DATASET)
    (tmp_path / "tests" / "project" / "test_mine.py").write_text(TEST)
    for words in (["tests/project/test_mine.py"], ["tests/test_own.py", "-k", "own_tests_pass"]):
        done = run(tmp_path, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 passed" in done.stdout
    (tmp_path / "tests" / "project" / "test_mine.py").write_text(TEST.replace("True, False", "False, False"))
    assert run(tmp_path, "tests/test_own.py", "-k", "own_tests_pass").returncode
