"""Unchanged: a run over the very state that the last one left has nothing to do, and ends at once.

The steps would find that out too, but only with Prefect, its server, MLflow and DVC loaded, which
takes seconds. So a run that ended well keeps the fingerprint of all that decides what a run does;
where the next one meets the same, and the source holds nothing new, every step would be skipped.
Whatever differs, or cannot be told, is left to the steps.
"""

from __future__ import annotations

import ast
import inspect
import os
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evergreen import code
from evergreen.files import read_entries, sha256_of, write_entries
from evergreen.params import Params
from evergreen.project import Project
from evergreen.training.device import pick_device

STEPS = "evergreen.orchestration.steps"
FILE = "unchanged.json"  # below stores/
# Each decides what a run does, and is not in the project
ENVIRONMENT = ("CUDA_VISIBLE_DEVICES", "DVC_", "EVERGREEN_")
SERVERS = ("PREFECT_API_URL", "PREFECT_API_DATABASE_CONNECTION_URL")  # show runs elsewhere
INPUTS = (
    "data/raw", "data/validation", "data/validated", "data/quarantine", "data/features",
    "dvc.lock", "dvc.yaml", ".dvc/config", ".dvc/config.local", "datasheet.yaml",
    "pyproject.toml", "src", "flows",
)  # fmt: skip
RESULTS = ("stores/mlflow.db", "stores/mlflow.db-wal", "stores/mlflow", "reports/.run")


def inputs_of(project: Project, params: Params, asked: Mapping[str, Any]) -> str:
    """Return the fingerprint of what decides what a run does, what earlier ones made aside.

    `asked`: values in place of those of params.yaml. Files count by where and when they were last
    changed, not by what is in them.
    """
    package = find_spec(project.package)
    folders = [project.root / name for name in INPUTS]
    folders += map(Path, (package and package.submodule_search_locations) or ())
    libraries = Path(sysconfig.get_path("purelib")).stat().st_mtime_ns
    named = {name: at for name, at in os.environ.items() if name.startswith(ENVIRONMENT)}
    device = pick_device(params.train.device)
    files = [*_stamps(*folders, code.PACKAGE)]
    return sha256_of(asked, params.text.decode(), named, device, libraries, files)


def state_of(project: Project, inputs: str) -> str:
    """Return the fingerprint of the whole state; call it with the project's lock held."""
    return sha256_of(inputs, [*_stamps(*(project.root / name for name in RESULTS))])


def has_only_steps(flow: Callable[..., Any]) -> bool:
    """Return whether a flow calls nothing but the library's steps.

    Any other line of it has to run each time.
    """
    if getattr(flow.__globals__.get("steps"), "__name__", "") != STEPS:
        return False
    (function,) = ast.parse(inspect.getsource(flow)).body
    assert isinstance(function, ast.FunctionDef)
    called = [
        call.func for line in function.body for call in ast.walk(line) if isinstance(call, ast.Call)
    ]
    return all(
        isinstance(name, ast.Attribute)
        and isinstance(name.value, ast.Name)
        and name.value.id == "steps"
        for name in called
    )


def keep(project: Project, state: str, rows: Sequence[Sequence[str]]) -> None:
    """Note the state that a run left, and what the next one prints where that is unchanged."""
    write_entries(project.stores / FILE, {"state": state, "rows": rows})


def forget(project: Project) -> None:
    """Drop what was kept: a run is under way that may change anything."""
    (project.stores / FILE).unlink(missing_ok=True)


def find(
    project: Project, params: Params, asked: Mapping[str, Any], waits: Callable[[], bool]
) -> list[list[str]]:
    """Return what the run prints, where nothing has changed; else nothing.

    Call it with the project's lock held. `waits`: whether the source holds something to tell of.
    """
    if not is_told(project) or any(os.environ.get(name) for name in SERVERS):
        return []
    kept = read_entries(project.stores / FILE)
    if kept.keys() != {"state", "rows"} or code.changed():
        return []
    code.keep(project.root / "flows")
    if kept["state"] != state_of(project, inputs_of(project, params, asked)):
        return []
    return [] if waits() else [[str(cell) for cell in row] for row in kept["rows"]]


def is_told(project: Project) -> bool:
    """Return whether files tell all that decides: not where models are on a server elsewhere."""
    return not project.home and not os.environ.get("MLFLOW_TRACKING_URI")


def _stamps(*places: Path) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield path, number, size and times of change of each file at or below `places`, in order."""
    for place in places:
        found = sorted(_below(place)) if place.is_dir() else [place]
        for path in found:
            try:
                at = path.stat()
            except OSError:  # none, or a link to nothing
                continue
            yield str(path), at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (Path(root, name) for name in names)
