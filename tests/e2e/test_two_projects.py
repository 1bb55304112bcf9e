"""Two projects in one environment: each trains by its own definition, and either loads a model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from cars import DATASET, EXPECTATIONS, table
from conftest import SMALL, copy_project, environment, month
from forking import FORKS

from evergreen import params
from evergreen.params import Params
from evergreen.project import Project
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker

pytestmark = pytest.mark.slow
AT_ONCE = """
import os, sys, traceback
from evergreen.cli import main
children = []
for root in sys.argv[1:]:
    child = os.fork()
    if not child:
        os.chdir(root)
        code = 0
        try:
            main(["run"], standalone_mode=False)
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        os._exit(code)
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""
LOAD = """
import sys
from pathlib import Path
import mlflow, pandas
from evergreen.project import Project
rows = pandas.read_csv(sys.argv[1])[["weight", "power", "place"]]
model = mlflow.pyfunc.load_model("models:/cars@champion")
print(*Project(Path(".").resolve()).dataset.features)
print(*sorted(name for name in sys.modules if name in ("late_flights", "other_cars")))
print(model.predict(rows).round(6).tolist())
"""


@pytest.fixture
def cars(tmp_path: Path) -> Project:
    """A project of another package, whose first batches wait."""
    folder = tmp_path / "other"
    root, inbox, package = (
        folder / "project",
        folder / "inbox",
        folder / "project" / "src" / "other_cars",
    )
    copy_project(root)
    inbox.mkdir()
    (root / "src" / "late_flights").rename(package)
    for path in package.iterdir():
        if path.name not in ("__init__.py", "dataset.py", "expectations.py"):
            path.unlink()
    (package / "dataset.py").write_text(DATASET)
    (package / "expectations.py").write_text(EXPECTATIONS)
    for name in ("pyproject.toml", "dvc.yaml", "prefect.yaml"):
        settings = root / name
        settings.write_text(settings.read_text().replace("late_flights", "other_cars"))
    content = Params().model_dump(mode="json", by_alias=True)
    content |= {"task": "regression", "source": {"kind": "files", "path": "../inbox"}}
    content["tracking"] |= {"model": "cars"}
    for section, values in (SMALL | {"sweep": {"seeds": 2, "model": "mean"}}).items():
        content[section] |= values
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    for batch in range(4):
        table(batch).write_csv(inbox / f"cars_{batch}.csv")
    return Project(root)


def champion(project: Project) -> str | None:
    return Registry(Tracker(project, params.load(project.params))).champion()


@pytest.mark.long
def test_they_train_side_by_side_and_a_model_of_either_loads_in_the_other(
    champion_project: Project, cars: Project
) -> None:
    flights = champion_project
    month("2013-08").write_parquet(flights.root.parent / "inbox" / "2013-08.parquet")
    env = environment(flights.root)
    env["PYTHONPATH"] += f"{os.pathsep}{cars.root / 'src'}"
    roots = [str(flights.root), str(cars.root)]
    done = FORKS[0].run(roots, flights.root, env, 500, AT_ONCE, own=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert champion(flights) in ("1", "2")  # as the gate sees the newest month
    assert champion(cars) == "1"
    assert (flights.features / "2013-08.parquet").exists()
    assert len([*cars.features.glob("cars_*.parquet")]) == 4

    store = f"sqlite:///{cars.stores / 'mlflow.db'}"
    rows = str(cars.root.parent / "inbox" / "cars_3.csv")
    said = []
    for project in (flights, cars):
        there = environment(project.root, MLFLOW_TRACKING_URI=store)
        loaded = FORKS[0].run([rows], project.root, there, 300, LOAD, own=True)
        assert loaded.returncode == 0, loaded.stdout + loaded.stderr
        said.append(loaded.stdout.splitlines())
    assert said[0][-1] == said[1][-1]
    assert [lines[-2] for lines in said] == ["late_flights", "other_cars"]
    assert said[0][-3] != said[1][-3] == "weight power place"
