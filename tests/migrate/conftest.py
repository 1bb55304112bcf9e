"""A small template of two commits: one copied the library, one gives it as a wheel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import begin, git

BAKE = """
import json, sys
from pathlib import Path
template, project = map(Path, sys.argv[1:3])
answers = json.loads((project / ".template.json").read_text())
for path in sorted((template / "files").rglob("*")):
    if path.is_file():
        name = str(path.relative_to(template / "files"))
        target = project / name.replace("PACKAGE", answers["package_name"])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text().replace("PACKAGE", answers["package_name"]))
(project / ".template.json").write_text(json.dumps(answers) + "\\n")
"""
CONSTANTS = """import polars as pl

from PACKAGE.errors import InputError

COLUMNS = {"id": pl.Int64(), "sold": pl.Boolean()}
KEY = ("id",)
TIME = ""
LABEL = pl.col("sold")
KNOWN_LATER = ("sold",)
FEATURES = {"id": pl.col("id")}
"""
OBJECT = """import polars as pl

from evergreen import Dataset

dataset = Dataset(
    columns={"id": pl.Int64(), "sold": pl.Boolean()},
    label=pl.col("sold"),
    features={"id": pl.col("id")},
)
"""
OLD = {
    "src/PACKAGE/__init__.py": '"""Old."""\n',
    "src/PACKAGE/cli.py": "def main(): pass\n",
    "src/PACKAGE/errors.py": "class InputError(Exception): pass\n",
    "src/PACKAGE/model/__init__.py": "",
    "src/PACKAGE/model/package.py": "def _load_pyfunc(path): pass\n",
    "src/PACKAGE/life/gate.py": "MARGIN = 1\n",
    "src/PACKAGE/dataset.py": CONSTANTS,
    "src/PACKAGE/expectations.py": (
        "from PACKAGE import dataset\n\n\ndef expectations(batch):\n    return []\n"
    ),
    "tests/test_gate.py": "def test_gate(): pass\n",
    "params.yaml": "task: binary\nretrain:\n  max_staleness: 0.003\n  min_loss: 0.01\n",
    "dvc.yaml": "stages: {}\n",
    "Makefile": "run:\n\tPACKAGE run\n\none:\n\ttrue\n\ntwo:\n\ttrue\n",
    "pyproject.toml": '[project]\nname = "old"\n',
}
NEW = {
    "src/PACKAGE/__init__.py": '"""New."""\n',
    "src/PACKAGE/dataset.py": OBJECT,
    "src/PACKAGE/expectations.py": "def expectations(batch):\n    return []\n",
    "tests/test_run.py": "def test_run(): pass\n",
    "params.yaml": "task: binary\n",
    "dvc.yaml": "stages: {a: {}}\n",
    "Makefile": "run:\n\tevergreen run\n\none:\n\ttrue\n\ntwo:\n\ttrue\n",
    "pyproject.toml": (
        '[project]\nname = "new"\n\n[tool.evergreen]\npackage = "PACKAGE"\nrequires = ">=0.1"\n'
    ),
    "vendor/evergreen.whl": "wheel\n",
    "requirements/library.txt": "pin\n",
}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def commit(folder: Path, why: str) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", why)
    return git(folder, "rev-parse", "HEAD").strip()


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """The template, at the commit that gives a wheel; tagged `old` and `new`."""
    folder = tmp_path / "template"
    write(folder / "files", OLD)
    write(folder, {"the_template/bake.py": BAKE})
    begin(folder)
    git(folder, "tag", "old")
    git(folder, "rm", "-rq", "files")
    write(folder / "files", NEW)
    commit(folder, "new")
    git(folder, "tag", "new")
    return folder


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    """A project of the package `churn`, made from the old template, and committed."""
    folder = tmp_path / "project"
    write(
        folder,
        {
            name.replace("PACKAGE", "churn"): text.replace("PACKAGE", "churn")
            for name, text in OLD.items()
        },
    )
    was = git(template, "rev-parse", "old").strip()
    answers = {"package_name": "churn", "_template": str(template), "_commit": was}
    write(
        folder, {".template.json": json.dumps(answers) + "\n", ".gitignore": "/data/\n/stores/\n"}
    )
    begin(folder)
    return folder
