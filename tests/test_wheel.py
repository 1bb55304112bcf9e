"""The library as a wheel, from a process that runs it; tests/template has the other."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from conftest import environment
from packaging.requirements import Requirement

import evergreen
from evergreen import code, wheel
from evergreen.errors import InputError

ABOUT = f"evergreen-{evergreen.__version__}.dist-info"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    name, content = wheel.installed()
    path = tmp_path_factory.mktemp("made") / name
    path.write_bytes(content)
    return path


@pytest.mark.slow
def test_the_same_files_give_the_same_bytes(made: Path) -> None:
    assert wheel.installed() == (made.name, made.read_bytes())


def test_it_holds_every_module_as_it_runs_and_no_leftovers(made: Path) -> None:
    with zipfile.ZipFile(made) as packed:
        held = {name: packed.read(name) for name in packed.namelist()}
    modules = {f"evergreen/{path.relative_to(code.PACKAGE)}" for path in code.PACKAGE.rglob("*.py")}
    assert modules <= set(held)
    assert held["evergreen/wheel.py"] == code.read(code.PACKAGE / "wheel.py")
    assert [name for name in held if "__pycache__" in name or name.endswith(".pyc")] == []


def test_it_is_called_evergreen_and_asks_for_little(made: Path) -> None:
    found = PathDistribution(zipfile.Path(made, f"{ABOUT}/"))  # type: ignore[arg-type]
    assert (found.metadata["Name"], found.version) == ("evergreen", evergreen.__version__)
    needed = [Requirement(line) for line in found.requires or []]
    assert sorted(line.name for line in needed if not line.marker) == [
        "numpy", "pandas", "polars", "pydantic", "ruamel-yaml", "xgboost",
    ]  # fmt: skip


def test_where_nothing_installed_holds_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "entry_points", lambda **_: [])
    with pytest.raises(InputError, match=r"evergreen is not installed .* `make setup`"):
        wheel.installed()


@pytest.mark.slow
def test_a_model_needs_no_more_than_it_asks_for(made: Path, tmp_path: Path) -> None:
    """Hide all else that is installed, and import what loads and predicts."""
    with zipfile.ZipFile(made) as packed:
        packed.extractall(tmp_path)
    script = """
import importlib, json, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in json.loads(sys.argv[1]):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
import evergreen
for name in ("scoring.package", "training.xgboost", "training.linear"):
    importlib.import_module("evergreen." + name)
print(evergreen.__file__)
"""
    hidden = ["prefect", "dvc", "mlflow", "great_expectations", "click", "sklearn", "matplotlib"]
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(hidden)],
        cwd=tmp_path,
        env=environment(tmp_path, PYTHONPATH=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "evergreen" / "__init__.py")
