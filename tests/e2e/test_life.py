"""The life of a model: promoted, refused, promoted by hand, rolled back, all in the history."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import yaml
from conftest import environment
from forking import FORKS

from evergreen import params
from evergreen.project import Project
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker

pytestmark = pytest.mark.slow
Run = Callable[..., subprocess.CompletedProcess[str]]
TWICE = """
import os
from evergreen.cli import main
children = []
for _ in range(2):
    if child := os.fork():
        children.append(child)
    else:
        main()
print(sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def registry(project: Project) -> Registry:
    return Registry(Tracker(project, params.load(project.params)))


def edit(project: Project, section: str, **values: object) -> None:
    content = yaml.safe_load(project.params.read_text())
    content[section] = content.get(section, {}) | values
    project.params.write_text(yaml.safe_dump(content))


def predictions(project: Project) -> np.ndarray:
    """What the champion says of the newest batch."""
    rows = pl.read_parquet(project.features / "2013-07.parquet")
    found = registry(project)
    return found.versions.open(str(found.champion())).predict_rows(rows)


def refused(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode == 1
    assert done.stderr.count("error: ") == 1
    for part in (*parts, "\n"):
        assert part in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_story(champion_project: Project, cli: Run) -> None:
    project = champion_project
    refused(cli(project, "rollback", "--reason", "none"), "no earlier champion")
    assert (project.reports / "comparison.png").exists()
    live = predictions(project)
    edit(project, "prepare", min_level_rows=100_000)  # no category is told from another
    edit(project, "gate", min_gain=0.5)
    second = cli(project, "run")
    assert second.returncode == 0, second.stderr
    assert "version 2 is challenger" in second.stdout
    assert "refuse" in second.stdout
    assert predictions(project).tobytes() == live.tobytes()

    refused(cli(project, "promote", "--approve"), "version 2 cannot be promoted", "--override")
    assert cli(project, "promote", "--override").returncode == 2  # without a reason
    forced = cli(
        project, "promote", "--override", "--reason", "the auditors asked for a simple model"
    )
    assert "version 2 is champion in place of version 1" in forced.stdout, forced.stderr
    assert predictions(project).tobytes() != live.tobytes()
    between = datetime.now(UTC)
    back = cli(project, "rollback", "--reason", "complaints")
    assert "version 1 is champion again" in back.stdout, back.stderr
    assert predictions(project).tobytes() == live.tobytes()
    refused(cli(project, "rollback", "--to", "7", "--reason", "x"), "no version 7", "1, 2")

    lines = cli(project, "history").stdout.splitlines()
    assert [line.split("  ")[1].split(",")[0] for line in lines if line[:2] == "20"] == [
        "version 1 promoted",
        "version 2 refused",
        "version 2 promoted in place of 1",
        "version 1 rolled back in place of 2",
    ]
    assert "AGAINST THE GATE by a person: the auditors asked for a simple model" in "".join(lines)
    then = cli(project, "history", "--at", between.isoformat()).stdout
    assert "version 2 promoted" in then
    assert "version 1" not in then.splitlines()[0]
    before = cli(project, "history", "--at", str((between - timedelta(days=1)).date())).stdout
    assert "there was no champion then" in before
    refused(cli(project, "history", "--at", "yesterday"), "'yesterday' is no date")

    again = cli(project, "run")  # the rollback stands: what was decided is not decided anew
    assert "version 2" in again.stdout
    assert registry(project).champion() == "1"


def test_a_person_approves_what_was_not_altered_and_two_at_once_make_one_champion(
    make_project: Callable[..., Project], cli: Run
) -> None:
    project = make_project(gate={"approval": "manual"})
    done = cli(project, "run")
    assert "waits for approval" in done.stdout + done.stderr
    assert registry(project).champion() is None
    shown = cli(project, "promote")
    assert "| baseline constant | met |" in shown.stdout
    assert (
        "| refit, newest batch | met | learning from the newest batch does no harm" in shown.stdout
    )
    assert registry(project).champion() is None
    model = next(project.stores.glob("mlflow/**/package/seed-*"))
    whole = model.read_bytes()
    model.write_bytes(whole[:-1] + b"?")
    altered = (model.name, "changed after the model was packaged")
    refused(cli(project, "promote", "--approve"), *altered)
    assert registry(project).champion() is None
    model.write_bytes(whole)
    words = ["promote", "--approve", "--reason", "looks right"]
    both = FORKS[0].run(words, project.root, environment(project.root), 240, TWICE)
    assert both.stdout.splitlines()[-1] == "[0, 1]", both
    assert both.stderr.count("error: ") == 1, both
    assert "Traceback" not in both.stderr, both
    found = registry(project)
    assert found.champion() == "1"
    assert [event.what for event in found.events.history()] == ["waits for approval", "promoted"]
    assert "approved by a person: looks right" in found.events.history()[-1].reason


def test_a_leak_stops_the_run_and_names_the_column(
    make_project: Callable[..., Project], cli: Run
) -> None:
    project = make_project()
    path = project.root / "src" / "late_flights" / "dataset.py"
    text = path.read_text().replace(
        '"carrier": pl.col("carrier"),\n        "origin": pl.col("origin"),\n        "dest"',
        '"waited": pl.col("dep_delay"),\n        "dest"',
    )
    assert "waited" in text
    path.write_text(text)
    refused(cli(project, "run"), "'waited' reads 'dep_delay'", "known_later")
    made = text.replace(
        '"waited": pl.col("dep_delay"),',
        '"waited": pl.col("dep_delay"), "flown": pl.col("arr_delay") - pl.col("dep_delay"),',
    )
    known = 'known_later=("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"),'
    assert known in made
    made = made.replace(known, 'known_later=("dep_time", "arr_time", "air_time"),')
    path.write_text(made)
    refused(
        cli(project, "run"),
        "'waited'",
        "'flown'",
        "together predict the label nearly exactly",
        "nothing was trained",
    )
    assert registry(project).aliases() == {}
