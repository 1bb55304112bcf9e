"""Monitoring: killed anywhere, it repeats safely; a poisoned batch reaches no champion."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable

import polars as pl
import pytest
import yaml
from conftest import month
from killing import kill_at

from evergreen import params
from evergreen.features.split import Split
from evergreen.project import Project
from evergreen.stores.journal import Journal
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker

pytestmark = pytest.mark.slow
Run = Callable[..., subprocess.CompletedProcess[str]]
MOMENTS = {
    "before the entry": ("evergreen.stores.journal", "Journal.write", 1),
    "entry half written": ("mlflow.tracking", "MlflowClient.log_dict", 2),
    "page": ("evergreen.report.monitoring_page", "write_monitoring_page", 1),
}


def deliver(project: Project, name: str, rows: pl.DataFrame) -> None:
    rows.write_parquet(project.root.parent / "inbox" / f"{name}.parquet")


@pytest.mark.long
def test_killed_anywhere_it_is_repeated_and_asks_once(champion_project: Project, cli: Run) -> None:
    project, content = champion_project, yaml.safe_load(champion_project.params.read_text())
    content["retrain"] |= {
        "windows": 1, "needed": 1, "cooldown_days": 0.0, "min_new_rows": 100, "max_age_days": 10.0,
    }  # fmt: skip
    project.params.write_text(yaml.safe_dump(content))
    deliver(project, "2013-08", month("2013-08"))
    for moment, where in MOMENTS.items():
        killed = kill_at(project, where, "monitor")
        assert killed.returncode == -signal.SIGKILL, moment + killed.stdout + killed.stderr
    done = cli(project, "monitor")
    assert done.returncode == 0, done.stderr
    assert "retrain" in done.stdout
    assert "requested" in done.stdout
    journal = Journal(Tracker(project, params.load(project.params)))
    assert [(entry.batch, entry.action) for entry in journal.entries()] == [("2013-08", "retrain")]
    assert [entry.batch for entry in journal.asked()] == ["2013-08"]
    assert {run.info.status for run in journal._search("")} <= {"FINISHED", "KILLED"}
    cli(project, "run")
    assert journal.asked() == []
    again = cli(project, "monitor")
    assert "new batches  none" in again.stdout


@pytest.mark.long
def test_a_poisoned_batch_is_held_and_no_model_learns_from_it(
    make_project: Callable[..., Project], cli: Run
) -> None:
    """Its rows are valid one by one; what gives it away is what months are usually like."""
    project = make_project(months=("2013-04", "2013-05", "2013-06", "2013-07"))
    deliver(project, "2013-08", month("2013-08").with_columns(distance=pl.lit(500, pl.Int32)))
    done = cli(project, "run")
    assert done.returncode == 0, done.stderr
    printed = done.stdout + done.stderr
    assert "held back: 2013-08 (" in printed
    assert "rows): distance is 500.0 in every row that has it" in printed
    for told in (done, cli(project, "status")):
        assert "held back" in told.stdout
        assert "add '2013-08' to drift.accepted in params.yaml" in told.stdout
    split = Split.read(project.features / "split.json")
    assert [split.train.batches, split.validation.batches, split.holdout.batches] == [
        ("2013-04", "2013-05"), ("2013-06",), ("2013-07",),
    ]  # fmt: skip
    registry = Registry(Tracker(project, params.load(project.params)))
    assert {event.batch for event in registry.events.history()} == {"2013-07"}
    if not registry.champion():  # so few rows may make none that passes
        assert (
            cli(project, "promote", "--override", "--reason", "one to be watched").returncode == 0
        )
    seen = cli(project, "monitor")
    assert "2013-08 is not fit to train on: distance is 500.0" in seen.stdout, (
        seen.stdout + seen.stderr
    )
