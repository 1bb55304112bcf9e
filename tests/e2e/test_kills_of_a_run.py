"""Runs that are killed at a moment that is known: the next finishes what they began."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import copy_that_ran, environment
from forking import alone
from killing import Moment, kill_at, killer
from ran import dvc, seed_models, statuses, tracker

from evergreen.project import Project

pytestmark = pytest.mark.slow
Run = Callable[..., subprocess.CompletedProcess[str]]


# What the killed process was about to do -> the attribute that is replaced by a kill, and at which
# call. The kills of one chain hit one project, one after the other.
MOMENTS: dict[str, Moment] = {
    "ingest: first batch half written": ("evergreen.files", "os.fsync", 1),
    "ingest: manifest": ("evergreen.ingest.batches", "Manifest.record", 2),
    "ingest: DVC's record": ("dvc.stage", "Stage.dump", 1),
    "validate: second batch": ("evergreen.validation.validate", "_keep", 2),
    "validate: DVC's record": ("dvc.stage", "Stage.add_outs", 1),
    "prepare: encoder": ("evergreen.features.encoder", "Encoder.write", 1),
    "train: second seed half recorded": ("mlflow.tracking", "MlflowClient.log_artifacts", 2),
    "train: second seed": ("evergreen.stores.seeds", "Seeds._record", 2),
    "evaluate": ("evergreen.stores.runs", "Runs.record_evaluation", 1),
    "register: before the version": ("mlflow.tracking", "MlflowClient.create_model_version", 1),
    "register: before the alias": (
        "mlflow.tracking",
        "MlflowClient.set_registered_model_alias",
        1,
    ),
    "compare": ("evergreen.promotion.trained_models", "pick", 1),
    "decide: before the champion": (
        "mlflow.tracking",
        "MlflowClient.set_registered_model_alias",
        2,
    ),
    "decide: after the champion": ("evergreen.stores.registry", "Registry._tidy", 1),
}
CHAINS = {
    "one of each store": (
        "ingest: manifest",
        "validate: DVC's record",
        "train: second seed half recorded",
        "decide: before the champion",
    ),
    "all others of data": (
        "ingest: first batch half written",
        "ingest: DVC's record",
        "validate: second batch",
        "prepare: encoder",
    ),
    "all others of the model": (
        "train: second seed",
        "evaluate",
        "register: before the version",
        "register: before the alias",
        "decide: after the champion",
    ),
    "compare": ("compare",),
}


@pytest.fixture(scope="module")
def undisturbed(
    settled: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The models of a run that nobody kills, which other tests share."""
    return seed_models(copy_that_ran(settled("run"), tmp_path_factory.mktemp("whole")))


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param(chain, marks=pytest.mark.long) if chain != "one of each store" else chain
        for chain in CHAINS
    ],
)
def test_killed_anywhere_the_next_run_finishes(
    chain: str, make_project: Callable[..., Project], cli: Run, undisturbed: dict[str, str]
) -> None:
    project = make_project()
    for name in CHAINS[chain]:
        killed = kill_at(project, MOMENTS[name], "run")
        assert killed.returncode == -signal.SIGKILL, name + killed.stdout + killed.stderr

    done = cli(project, "run")
    assert done.returncode == 0, done.stderr
    assert "version 1 is champion" in done.stdout
    assert statuses(project) <= {"FINISHED", "KILLED"}
    assert seed_models(project) == undisturbed
    assert not list(project.root.rglob(".part-*"))
    assert "up to date" in dvc(project, "status")
    found = tracker(project)
    assert len(found.client.search_model_versions("name = 'evergreen'")) == 1
    parents = [run for run in found.search("") if "mlflow.parentRunId" not in run.data.tags]
    assert [run.info.status for run in parents] == ["FINISHED"]


@pytest.mark.long
def test_a_killed_run_leaves_no_server(make_project: Callable[..., Project]) -> None:
    project = make_project()
    with alone():
        env = environment(project.root)
    process = subprocess.Popen(
        killer(("evergreen.ingest.batches", "find_waiting", 1), "run"),
        cwd=project.root,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.wait(timeout=120) == -signal.SIGKILL
    until = time.monotonic() + 40
    while (left := servers_of(project)) and time.monotonic() < until:
        time.sleep(0.5)
    assert not left


def servers_of(project: Project) -> list[int]:
    """Processes that work in the project's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == project.root:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
