"""Small projects of real flights, commands run in them, and small made-up data."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from filelock import FileLock
from forking import FORKS, SHARED

from evergreen import params
from evergreen.errors import InputError
from evergreen.ingest import folder as source_folder
from evergreen.project import Project
from evergreen.stores import databases
from evergreen.training.tables import Table, Tables
from evergreen.training.xgboost import Matrix, Trained, build_matrix, train
from late_flights import flights

# Before a thread spins: halves the time on a busy machine
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
source_folder.SETTLED = 0.0  # files of tests are whole as soon as they are there
# What is chosen of the tests, and fixtures of more than one folder
pytest_plugins = ("collecting", "empty_stores", "gate_world", "shared_server", "sites")
ROOT = Path(__file__).resolve().parents[1]
SMALL = {
    "validate": {"max_bad_rows": 0.02},
    "prepare": {"min_level_rows": 5},
    "train": {
        "rounds": 30,
        "early_stopping_rounds": 5,
        "learning_rate": 0.3,
        "max_depth": 3,
        "device": "cpu",
    },
    "sweep": {"seeds": 3},
    "evaluate": {"resamples": 100},
}
MONTHS = ("2013-05", "2013-06", "2013-07")
FEATURES = ("first", "second", "place", "noise")  # of the made-up data
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}
QUICK = params.Train(
    device="cpu",
    rounds=40,
    early_stopping_rounds=5,
    learning_rate=0.3,
    max_depth=3,
    min_child_weight=1.0,
    max_bin=64,
)


@cache
def month(name: str, rows: int = 1500) -> pl.DataFrame:
    """A month of real flights, thinned to about `rows` rows over all its days."""
    frame = flights.read(name)
    return frame.gather_every(max(1, frame.height // rows))


def settings_of(root: Path, package: str = "late_flights", requires: str = ">=0.1") -> Project:
    """Make `root` the folder of a project whose definition is that of `package`."""
    root.mkdir(parents=True, exist_ok=True)
    table = f'[tool.evergreen]\npackage = "{package}"\nrequires = "{requires}"\n'
    (root / "pyproject.toml").write_text(table)
    return Project(root)


OWN_DATASET = """
import polars as pl

from evergreen import Dataset
from {package}.words import NAME

dataset = Dataset(
    columns={{NAME: pl.Float64(), "sold": pl.Boolean()}},
    label=pl.col("sold"),
    known_later=("sold",),
    features={{"cheap": pl.col(NAME) < 5}},
)
"""
OWN_EXPECTATIONS = "def expectations(batch):\n    return [batch, '{package}']\n"


def own_package(folder: Path, name: str, column: str = "price") -> Project:
    """Make a project in `folder` whose package `name` lies in its src/."""
    package = folder / "src" / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "words.py").write_text(f"NAME = {column!r}\n")
    (package / "dataset.py").write_text(OWN_DATASET.format(package=name))
    (package / "expectations.py").write_text(OWN_EXPECTATIONS.format(package=name))
    return settings_of(folder, name)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Project], Project]]:
    """Let Python find the package of a project, as `make setup` does; forget it afterwards."""
    before = {*sys.modules}

    def install(project: Project) -> Project:
        monkeypatch.syspath_prepend(project.root / "src")
        return project

    yield install
    for name in {*sys.modules} - before:
        if not name.startswith(("evergreen", "polars")):
            del sys.modules[name]


@pytest.fixture
def make_project(tmp_path: Path) -> Callable[..., Project]:
    """Make a project whose source is a folder of small Parquet files.

    Keyword arguments replace sections of params.
    """

    def make(
        months: tuple[str, ...] = MONTHS, rows: int = 1500, **sections: dict[str, Any]
    ) -> Project:
        return small_project(tmp_path, months, rows, **sections)

    return make


def small_project(
    folder: Path, months: tuple[str, ...], rows: int, **sections: dict[str, Any]
) -> Project:
    """Make a project in `folder`, with an inbox beside it."""
    root = folder / "project"
    copy_project(root)
    inbox = folder / "inbox"
    inbox.mkdir()
    for name in months:
        month(name, rows).write_parquet(inbox / f"{name}.parquet")
    content = params.Params().model_dump(mode="json", by_alias=True)
    content["source"] = {"kind": "files", "path": str(inbox)}
    # The newest batch judges, as it does of many rows
    content["split"]["cross_validate_below"] = None
    for section, values in {**SMALL, **sections}.items():
        content[section] = content.get(section, {}) | values if isinstance(values, dict) else values
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    return Project(root)


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder that the first worker to ask for it makes for all of them; not to be changed."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    made = folder.with_suffix(".made")
    with FileLock(folder.with_suffix(".lock")):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a small project after some commands ("validate", "run"); do not change it."""

    def settle(upto: str) -> Path:
        def make(folder: Path) -> None:
            # So that a copy reads its own
            project = small_project(folder, MONTHS, 1500, source={"path": "../inbox"})
            for command in ("ingest", "validate") if upto == "validate" else (upto,):
                done = run_cli(project, command)
                assert done.returncode == 0, done.stdout + done.stderr

        return once(tmp_path_factory, f"after-{upto}", make)

    return settle


@pytest.fixture
def validated_project(settled: Callable[[str], Path], tmp_path: Path) -> Project:
    """A small project whose batches are ingested and validated, free to change."""
    shutil.copytree(settled("validate"), tmp_path, dirs_exist_ok=True, symlinks=True)
    return Project(tmp_path / "project")


@pytest.fixture
def champion_project(settled: Callable[[str], Path], tmp_path: Path) -> Project:
    """A small project with a champion, free to change."""
    return copy_that_ran(settled("run"), tmp_path)


def copy_that_ran(made: Path, folder: Path) -> Project:
    """Copy a project that has run into `folder`, with the paths in its MLflow store changed."""
    shutil.copytree(made, folder, dirs_exist_ok=True, symlinks=True)
    project = Project(folder / "project")
    databases.move(project.stores / "mlflow.db", str(made), str(folder))
    return project


@pytest.fixture
def read_params() -> Callable[[Project], params.Params]:
    """Read a project's parameters."""
    return lambda project: params.load(project.params)


def git(folder: Path, *words: str) -> str:
    """Run git in `folder` as a tester, and return what it prints."""
    who = ["-c", "user.name=tester", "-c", "user.email=tester@localhost"]
    return subprocess.run(
        ["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def copy_tracked(target: Path, *only: str) -> None:
    """Copy what git would track of this repository into `target`, or what begins with `only`."""
    for name in git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split(
        "\0"
    ):
        if name.startswith(only or "") and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def begin(folder: Path) -> None:
    """Make `folder` a repository of its own, with one commit."""
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
        git(folder, *words)


def copy_project(root: Path) -> None:
    """Copy what a project runs on into `root`, and make it a repository of its own."""
    shutil.copytree(project_files(), root, symlinks=True, dirs_exist_ok=True)


@cache
def project_files() -> Path:
    """The folder of such a project, made once."""
    root = Path(tempfile.mkdtemp(prefix="evergreen-project-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    copy_tracked(
        root,
        "src/",
        "flows/",
        "pyproject.toml",
        "params.yaml",
        "dvc.yaml",
        "prefect.yaml",
        ".dvc",
        ".gitignore",
    )
    begin(root)
    for path in root.glob("src/**/*.py"):  # else each project's code is compiled anew
        compiled = Path(cache_from_source(str(ROOT / path.relative_to(root))))
        if compiled.is_file():
            own = Path(cache_from_source(str(path)))
            own.parent.mkdir(exist_ok=True)
            shutil.copy2(compiled, own)
    # As setup.sh makes it; relative, so that a copy reads its own library
    link = root / ".dvc" / "tmp" / "recipes.py"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../src/evergreen/recipes.py")
    return root


def environment(root: Path, **more: str) -> dict[str, str]:
    """The environment of a command run in the project at `root`, on that project's own code."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT", "MLFLOW", "DVC"))
    }
    bin_folder = str(Path(sys.executable).parent)
    path = {
        "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}",
        "PATH": f"{bin_folder}{os.pathsep}{env['PATH']}",
    }
    return env | SHARED | path | more


def runs_this_code(root: Path) -> bool:
    """Say whether the project at `root` has no code of its own."""
    return python_files(root) == python_files(ROOT)


def python_files(root: Path) -> dict[Path, bytes]:
    found = (path for folder in ("src", "flows") for path in (root / folder).rglob("*.py"))
    return {path.relative_to(root): path.read_bytes() for path in found}


@pytest.fixture
def cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run an `evergreen` command in a project, as a user would."""
    return run_cli


def run_cli(
    project: Project, *args: str, timeout: float = 240, **env: str
) -> subprocess.CompletedProcess[str]:
    if FORKS and not env:
        own = not runs_this_code(project.root)
        return FORKS[0].run(args, project.root, environment(project.root), timeout, own=own)
    command = [sys.executable, "-m", "evergreen.cli", *args]
    return subprocess.run(
        command,
        cwd=project.root,
        env=environment(project.root, **env),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def refusal(work: Callable[[], object], *parts: str) -> str:
    """What the InputError of `work` says; it must hold all `parts`."""
    with pytest.raises(InputError) as caught:
        work()
    said = str(caught.value)
    assert [part for part in parts if part not in said] == [], said
    return said


# --- made-up data


@cache
def draw_tables(task: str, rows: tuple[int, int, int] = (600, 200, 200), seed: int = 0) -> Tables:
    """Draw rows whose label depends on two numbers and a category; 10% of a number is missing."""
    draw = np.random.default_rng(seed)
    count = sum(rows)
    x = draw.normal(size=(count, len(FEATURES)))
    x[:, 2] = draw.integers(0, 6, count)
    score = (
        1.5 * x[:, 0]
        - x[:, 1]
        + np.array([0, 1, -1, 2, -2, 0.5])[x[:, 2].astype(int)]
        + draw.normal(size=count)
    )
    x[draw.random(count) < 0.1, 1] = np.nan
    y = {
        "binary": score > 0.5,
        "multiclass": np.digitize(score, [-1.2, 1.2]),
        "regression": score,
    }[task]
    edges = np.cumsum(rows)[:-1]
    parts = [
        Table(np.ascontiguousarray(part, np.float32), label.astype(np.float32))
        for part, label in zip(np.split(x, edges), np.split(y, edges), strict=True)
    ]
    return Tables(task, FEATURES, ("place",), CLASSES[task], *parts)


@cache
def draw_matrix(task: str) -> Matrix:
    return build_matrix(draw_tables(task), QUICK, threads=1)


@cache
def fit(task: str, seed: int = 0) -> Trained:
    return train(draw_matrix(task), QUICK, seed)


@pytest.fixture(scope="session")
def make_tables() -> Callable[..., Tables]:
    """Draw the tables of a task: `make_tables(task, rows=(train, validation, holdout), seed=0)`."""
    return draw_tables


@pytest.fixture(scope="session")
def make_matrix() -> Callable[[str], Matrix]:
    """The binned rows of a task."""
    return draw_matrix


@pytest.fixture(scope="session")
def trained() -> Callable[..., Trained]:
    """The model of a task and a seed, trained quickly; one for the whole session."""
    return fit


@pytest.fixture(scope="session")
def quick() -> params.Train:
    """Parameters for training in milliseconds."""
    return QUICK
