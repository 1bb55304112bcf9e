"""`evergreen tune`: what is better is shown as lines to change, and written where asked to."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from commands import error_of, invoke
from conftest import refusal
from empty_stores import forget_mlflow
from tuning.tried import prepare_batches

from evergreen.cli import tuning as module
from evergreen.params import load
from evergreen.project import Project
from evergreen.stores.tracking import Tracker
from evergreen.tuning.comparison import Comparison
from evergreen.tuning.search import Searched, Tried
from evergreen.tuning.tune import Tuned

VALUES = {"learning_rate": 0.05, "max_depth": 6}
LEAD = Comparison("roc_auc", 0.7, 0.71, 0.01, 0.002, 0.018, 0.99, 0.001, {"b5": 0.01})
TEXT = "task: binary\n\ntrain:  # as it was\n  learner: xgboost\n  max_depth: 6     # deep\n"
CHANGED = ["-  max_depth: 6     # deep", "+  learning_rate: 0.1", "+  max_depth: 4     # deep"]


def found(**changes: Any) -> Tuned:
    tried = (
        Tried(0, VALUES, (0.7, 0.7), 0.0, 100),
        Tried(1, VALUES | {"max_depth": 9}, (0.6,), -0.1, 20, pruned=True),
        Tried(2, VALUES | changes, (0.71, 0.71), 0.01, 120),
    )
    searched = Searched("study", "roc_auc", ("b3", "b4"), (0, 1), tried)
    return Tuned(searched, "b5", (2, 3), LEAD, changes, "a finding")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "params.yaml").write_text(TEXT)
    return Project(tmp_path)


def conclude(project: Project, tuned: Tuned, *, write: bool = False) -> str:
    """What is shown at the end."""
    params = load(project.params)
    with CliRunner().isolation() as (out, _, _):
        module._conclude(project, params, tuned, write=write)
        return out.getvalue().decode()


def test_the_lines_to_change_are_shown_and_written_only_where_asked_to(project: Project) -> None:
    tuned = found(max_depth=4, learning_rate=0.1)
    shown = conclude(project, tuned)
    assert "a finding\npicture: reports/tune.png\n" in shown
    changed = shown.partition("--- a/params.yaml\n+++ b/params.yaml\n")[2].splitlines()
    assert {line for line in changed if line.startswith(("+", "-"))} == {*CHANGED}
    assert "now    0.7000   +0.0000  100     0.05           6" in shown
    assert "\n1  " not in shown  # it was ended early
    assert project.params.read_text() == TEXT
    conclude(project, tuned, write=True)
    assert load(project.params).train.max_depth == 4
    assert load(project.params).train.learning_rate == 0.1
    assert "# deep" in project.params.read_text()


def test_where_nothing_is_better_nothing_is_changed(project: Project) -> None:
    shown = conclude(project, found(), write=True)
    assert shown.rstrip().endswith("a finding\npicture: reports/tune.png")
    assert project.params.read_text() == TEXT


def test_a_file_that_was_changed_meanwhile_is_left_alone(project: Project) -> None:
    params = load(project.params)
    project.params.write_text("task: regression\n")
    with CliRunner().isolation():
        refusal(
            lambda: module._conclude(project, params, found(max_depth=4), write=True),
            "was changed meanwhile",
        )
    assert project.params.read_text() == "task: regression\n"


@pytest.mark.slow
def test_wishes_that_cannot_be_end_at_once(two_batches: Project) -> None:
    assert "tune.trials" in error_of(invoke(two_batches.root, "tune", "--trials", "1"))
    assert "nothing is prepared yet" in error_of(invoke(two_batches.root, "tune"))
    assert not (two_batches.stores / "tune.db").exists()


@pytest.mark.slow
def test_a_search_is_shown_recorded_and_continued(
    site: Any, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_mlflow(monkeypatch)
    how = {"trials": 2, "seeds": 1, "confirm_seeds": 2, "space": {"max_depth": [1, 4]}}
    params, root = prepare_batches(site, tune=how), site.project.root
    (root / "params.yaml").write_text(yaml.safe_dump(params.model_dump(mode="json", by_alias=True)))
    (root / "dvc.yaml").touch()
    site.project.stores.mkdir()
    shutil.copy2(empty_store, site.project.stores / "mlflow.db")
    first, more = (invoke(root, "tune", "--trials", trials) for trials in ("2", "3"))
    assert (first.exit_code, more.exit_code) == (0, 0), first.output + more.output
    shown = first.stdout.splitlines()
    assert shown[:2] == [
        "2 ways of training with 1 seed, judged on b3, b4; b5 confirms",
        "trial 0 of 1: the present way: lead +0.0000; best +0.0000",
    ]
    said = [
        [line.partition(": ")[2] for line in each.stdout.splitlines()] for each in (first, more)
    ]
    assert said[0][1:3] == said[1][1:3]
    assert (root / "reports" / "tune.png").read_bytes().startswith(b"\x89PNG")
    assert load(root / "params.yaml") == params
    tracker = Tracker(site.project, params)
    place = tracker.experiment_called(f"{params.tracking.experiment} tuning")
    names = [run.info.run_name for run in tracker.client.search_runs([place])]
    assert sorted(names)[1:] == ["trial 0", "trial 1", "trial 2"]
