"""Whole runs as a user starts them: real stores, a real server, small batches of real flights."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
import yaml
from conftest import copy_that_ran, environment, month
from forking import FORKS, SHARED, alone
from killing import KILLER
from ran import champion_of, dvc, seed_models, statuses, tracker

from evergreen.project import Project
from evergreen.stores.dvc import changed_stages, link_recipes
from evergreen.stores.registry import Registry

pytestmark = pytest.mark.slow
Run = Callable[..., subprocess.CompletedProcess[str]]


def edit(project: Project, section: str, **values: object) -> None:
    content = yaml.safe_load(project.params.read_text())
    content[section] |= values
    project.params.write_text(yaml.safe_dump(content))


def test_a_run_then_again_and_one_more_month(champion_project: Project, cli: Run) -> None:
    project = champion_project
    # The files of a copy are new to it, what they hold is not
    assert "version 1 is champion" in cli(project, "run").stdout
    assert Registry(tracker(project)).champion() == "1"
    assert seed_models(project).keys() >= {
        f"seed {seed}{what}" for seed in range(3) for what in ("", ", rounds")
    }
    assert statuses(project) == {"FINISHED"}
    assert "up to date" in dvc(project, "status")
    assert "didn't change" in dvc(project, "repro")

    again = cli(project, "run")
    assert again.returncode == 0, again.stderr
    steps = ("ingest", "validate", "prepare", "train", "evaluate", "register", "decide")
    assert [line.split()[1] for line in again.stdout.splitlines() if line.startswith(steps)] == [
        "skipped"
    ] * 7
    with mock.patch.dict(SHARED):
        del SHARED["PREFECT_API_URL"]  # one that is elsewhere shows each run at once
        assert "nothing has changed since the last run" in cli(project, "run").stdout

    before = {path: path.stat().st_mtime_ns for path in project.root.glob("data/*/2013-0[567].*")}
    month("2013-08").write_parquet(project.root.parent / "inbox" / "2013-08.parquet")
    more = cli(project, "ingest", "--next")
    assert more.returncode == 0, more.stderr
    assert "1 new: 2013-08" in more.stdout
    checked = cli(project, "validate")
    assert [line.split()[0] for line in checked.stdout.splitlines() if "checked now" in line] == [
        "2013-08"
    ]
    third = cli(project, "run")
    assert third.returncode == 0, third.stderr
    assert "version 2 is ch" in third.stdout  # champion or challenger, as the gate sees it
    assert {
        path: path.stat().st_mtime_ns for path in project.root.glob("data/*/2013-0[567].*")
    } == before
    assert "up to date" in dvc(project, "status")


# Whether a model is trained -> section, new values, the data stages that run
CHANGES: dict[bool, list[tuple[str, dict[str, object], list[str]]]] = {
    False: [
        # The rows stay, and so does the model
        ("validate", {"max_bad_rows": 0.03}, ["validate", "prepare"]),
        ("split", {"train_batches": 1}, ["prepare"]),  # of three batches one trains anyway
    ],
    True: [
        ("prepare", {"min_level_rows": 50}, ["prepare"]),
        ("train", {"max_depth": 4}, []),
    ],
}


@pytest.mark.parametrize("trained", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_changed_parameter_reruns_its_stage_and_what_follows(
    trained: bool, champion_project: Project, cli: Run
) -> None:
    project = champion_project
    for section, values, expected in CHANGES[trained]:
        edit(project, section, **values)
        assert changed_stages(project) == expected[:1], section
        done = cli(project, "run")
        assert done.returncode == 0, done.stderr
        steps = {
            line.split()[0]: line.split()[1]
            for line in done.stdout.splitlines()
            if line[:1].isalpha()
        }
        ran = [name for name in ("ingest", "validate", "prepare") if steps[name] == "done"]
        assert ran == expected, section
        assert (steps["train"] != "skipped") == trained, section


def test_pull_into_a_fresh_clone(
    make_project: Callable[..., Project], cli: Run, tmp_path: Path
) -> None:
    project = make_project()
    for step in ("ingest", "validate"):
        assert cli(project, step).returncode == 0
    dvc(project, "repro")
    dvc(project, "push")
    git = ["git", "-C", str(project.root), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run([*git, "add", "dvc.lock", "params.yaml"], check=True)
    subprocess.run([*git, "commit", "-qm", "data"], check=True)
    clone = Project(tmp_path / "clone")
    subprocess.run(["git", "clone", "-q", str(project.root), str(clone.root)], check=True)
    assert not clone.raw.exists()
    link_recipes(clone)  # as setup.sh does, which installs DVC there
    dvc(clone, "remote", "modify", "--local", "local", "url", str(project.stores / "dvc"))
    dvc(clone, "pull")
    for path in sorted(project.root.glob("data/*/*")):
        assert (clone.root / path.relative_to(project.root)).read_bytes() == path.read_bytes()
    assert "up to date" in dvc(clone, "status")


def test_a_second_run_at_once_is_refused(make_project: Callable[..., Project], cli: Run) -> None:
    project = make_project()
    with project.lock():
        done = cli(project, "ingest")
    assert done.returncode == 1
    assert f"another run of this project is under way (process {os.getpid()})" in done.stderr
    assert cli(project, "ingest").returncode == 0


@pytest.mark.long
def test_a_failed_seed_is_reported_and_tried_again(
    make_project: Callable[..., Project], cli: Run
) -> None:
    project = make_project()
    failing = KILLER.replace(
        "os.kill(os.getpid(), signal.SIGKILL)", "raise RuntimeError('out of luck')"
    ).replace(
        "len(calls) == call",
        "args[2] == call and args[0].validation is None",  # once the rounds are known
    )
    words = ["evergreen.training.xgboost", "train", "1", "run"]
    part = FORKS[0].run(words, project.root, environment(project.root), 240, failing)
    assert part.returncode == 3, part.stdout + part.stderr
    assert "2 seeds, 0 of them reused" in part.stdout
    assert "failed seeds  1; run again" in part.stdout
    done = cli(project, "run")
    assert done.returncode == 0, done.stderr
    assert "3 seeds, 2 of them reused" in done.stdout


LABELS = {
    "regression": ('pl.col("arr_delay").cast(pl.Float64)', "rmse"),
    "multiclass": (
        (
            'pl.when(pl.col("arr_delay") < -5).then(pl.lit("early")).when(pl.col("arr_delay") > 15)'
            '.then(pl.lit("late")).otherwise(pl.lit("on time"))'
        ),
        "accuracy",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("task", LABELS)
def test_other_tasks_and_the_mean_of_all_seeds(
    task: str, make_project: Callable[..., Project], cli: Run
) -> None:
    project = make_project(task=task)
    label, metric = LABELS[task]
    code = project.root / "src/late_flights/dataset.py"
    text = code.read_text()
    old = 'pl.col("arr_delay") > 15'
    assert old in text
    code.write_text(text.replace(old, label))
    done = cli(project, "run", "--model", "mean", "--seeds", "2")
    assert done.returncode == 0, done.stderr
    shown = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()}
    assert float(shown[metric][1]) > 0
    found = tracker(project)
    (parent,) = [run for run in found.search("") if "mlflow.parentRunId" not in run.data.tags]
    assert parent.data.tags["evergreen.chosen_seeds"] == "[0, 1]"
    values = parent.data.metrics
    if task == "regression":
        assert values["rmse"] < values["constant.rmse"]
    else:  # accuracy itself rewards calling everything by the commonest class
        assert values["balanced_accuracy"] > values["constant.balanced_accuracy"] + 0.02


SPY = """
import sys
HERE = ("127.0.0.1", "::1", "localhost", b"127.0.0.1", b"localhost", None)
def watch(event, args):
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event == "socket.connect" and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    if host not in HERE:
        with open(TRIED, "a") as file:
            file.write(f"{event} {host}\\n")
        raise PermissionError(f"{event} {host}")
sys.addaudithook(watch)
"""


def prepared(project: Project) -> object:
    """What DVC's lock says of the rows that were valid, and of their features."""
    stages = yaml.safe_load((project.root / "dvc.lock").read_text())["stages"]
    return [stages[name]["outs"] for name in ("validate", "prepare")]


def test_two_runs_from_scratch_give_equal_bytes_and_none_leaves_this_machine(
    make_project: Callable[..., Project],
    settled: Callable[[str], Path],
    with_prefect_database: Callable[[Project], Project],
    tmp_path: Path,
) -> None:
    """A run with the network closed; attempts to leave the machine are recorded, children's too."""
    project = with_prefect_database(make_project(source={"path": "../inbox"}))
    spy = tmp_path / "spy"
    spy.mkdir()
    tried = spy / "tried.txt"
    (spy / "sitecustomize.py").write_text(SPY.replace("TRIED", repr(str(tried))))
    with alone():  # what is there cannot be reached with the network closed
        env = environment(project.root, OMP_NUM_THREADS="1")
    env["PYTHONPATH"] = f"{spy}{os.pathsep}{env['PYTHONPATH']}"
    command = [sys.executable, "-m", "evergreen.cli", "run"]
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode == 0:
        shell = f"ip link set lo up 2>/dev/null; exec {' '.join(command)}"
        command = ["unshare", "-rn", "sh", "-c", shell]
    done = subprocess.run(
        command, cwd=project.root, env=env, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert "is champion" in done.stdout
    assert not tried.exists(), tried.read_text()
    for picture in ("result.png", "curves.png", "comparison.png", "validation.html"):
        assert (project.reports / picture).stat().st_size > 10_000
    probe = [sys.executable, "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 1)"]
    caught = subprocess.run(probe, env=env, capture_output=True, text=True)
    assert "PermissionError" in caught.stderr  # the spy does see what leaves
    assert "192.0.2.1" in tried.read_text()

    other = copy_that_ran(settled("run"), tmp_path / "other")
    assert seed_models(project) == seed_models(other)
    assert len(seed_models(project)) >= 6
    assert champion_of(project) == champion_of(other)
    assert prepared(project) == prepared(other)


def test_status_and_doctor(make_project: Callable[..., Project], cli: Run) -> None:
    project = make_project()
    before = cli(project, "status")
    assert before.returncode == 0, before.stderr
    assert "none yet" in before.stdout
    assert "3 batches" in before.stdout
    healthy = cli(project, "doctor")
    assert healthy.returncode == 0, healthy.stdout + healthy.stderr
    assert "WRONG" not in healthy.stdout
    inside = subprocess.run(
        [sys.executable, "-m", "evergreen.cli", "status"],
        cwd=project.root / "src",
        env=environment(project.root),
        capture_output=True,
        text=True,
    )
    assert inside.stdout == before.stdout
    edit(project, "source", path=str(project.root / "nowhere"))
    sick = cli(project, "doctor")
    assert sick.returncode == 1
    assert "nowhere" in sick.stdout


def test_the_months_are_real() -> None:
    assert month("2013-05").height >= 1000
