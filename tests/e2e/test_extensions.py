"""A project with a champion that adds every extension: each reaches every command.

What is gone is told.
"""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
import yaml
from cars import drive, table
from conftest import ROOT, copy_that_ran
from forking import Forks

from evergreen import params
from evergreen.project import Project
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker

pytestmark = pytest.mark.slow
EXTENSIONS = (ROOT / "docs" / "extensions.md").read_text()
COMMANDS = ("monitor", "score ../asked.csv", "run", "history", "status")


def snippet(about: str) -> str:
    """The code below a title of the page."""
    found = re.search(rf"^\*\*{about}.*?```python\n(.*?)```", EXTENSIONS, re.MULTILINE | re.DOTALL)
    assert found, about
    return found[1]


def extend(project: Project) -> None:
    """Add all that the page shows, as it stands there."""
    package, flow = project.root / "src" / "late_flights", project.root / "flows" / "training.py"
    (package / "extensions.py").write_text(snippet("All of it"))
    text, last = flow.read_text(), "            steps.decide(run)\n"
    assert text.count(last) == text.count("\nSeeds = ") == 1
    before, after = text.replace(last, f"{last}            publish(run)\n").split("\nSeeds = ")
    flow.write_text(f"{before}\n{snippet('A step')}\n\nSeeds = {after}")
    change(project, metric="cost")


def change(project: Project, **gate: str | None) -> None:
    content = yaml.safe_load(project.params.read_text())
    content["gate"] |= gate
    project.params.write_text(yaml.safe_dump(content))


def test_all_that_is_added_reaches_every_command(
    cars_that_ran: Path, tmp_path: Path, prefect_server: str, forks: Forks
) -> None:
    project = copy_that_ran(cars_that_ran, tmp_path)
    extend(project)
    table(4).write_csv(tmp_path / "inbox" / "cars_4.csv")
    table(5).write_csv(tmp_path / "asked.csv")
    told = drive(project.root, prefect_server, forks, *COMMANDS)
    for command, code, said in told:
        print(f"----- {command}: {code}\n{said}")
        assert "Traceback" not in said, said
        assert code == 0, said

    registry = Registry(Tracker(project, params.load(project.params)))
    decided = registry.events.last_decision("2")
    assert decided
    evidence = registry.events.evidence(decided)["evidence"]
    rules = {rule["name"]: rule for rule in evidence["rules"]}
    assert evidence["comparison"]["metric"] == "cost"
    assert evidence["comparison"]["whole"]["cost"]["champion"] > 1
    assert "rows judged it" in rules["enough rows"]["says"]
    assert {"better", "no worse", "no worse in rmse", "calibration"} < rules.keys()
    tracker, run_id = registry.tracker, registry.versions.run_of("2")
    metrics = tracker.client.get_run(run_id).data.metrics
    assert metrics["cost.low"] < metrics["cost"] < metrics["cost.high"]
    assert metrics["cost.low"] > 1

    page = (project.reports / "monitoring.html").read_text()
    assert "How well it does: cost" in page
    worst = pl.read_csv(project.reports / "worst.csv")
    assert worst["off"].is_sorted(descending=True)
    names = {file.path for file in tracker.client.list_artifacts(run_id)}
    assert {"worst.csv", "comparison.png", "result.png"} <= names
    events = (project.root / "events.txt").read_text().splitlines()
    assert any(re.match(r"evergreen version 2 (promoted|refused): ", event) for event in events), (
        events
    )
    live = registry.champion() == "2"
    by_hand = "rollback" if live else "promote 2 --override"
    ((_, code, said),) = drive(project.root, prefect_server, forks, f"{by_hand} --reason weekend")
    assert code == 0, said
    last = (project.root / "events.txt").read_text().splitlines()[-1]
    assert ("rolled back" if live else "promoted") in last
    assert "weekend" in last
    assert (project.root / "published.txt").read_text() == "version 2"
    assert "publish: version 2 is out" in told[2][2]

    own = project.root / "src" / "late_flights" / "extensions.py"
    own.write_text("from evergreen import Extensions\n\nextensions = Extensions()\n")
    for command, code, said in drive(project.root, prefect_server, forks, "monitor", "run"):
        assert (code, "Traceback" in said) == (1, False), f"{command}: {said}"
        assert "there is no metric 'cost' for task regression" in said
        assert "restore it in extensions.py" in said
