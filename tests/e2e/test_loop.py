"""The loop with nobody touching anything: a batch lands, is watched, a retraining is asked for, made, decided upon."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from conftest import month
from houses import Page, free_port, house

from evergreen import params
from evergreen.orchestration.watch import DRIFTED, resource_of
from evergreen.project import Project
from evergreen.stores.journal import Journal
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker

pytestmark = pytest.mark.slow
EAGER = {
    "windows": 1,
    "needed": 1,
    "cooldown_days": 0.0,
    "min_new_rows": 100,
    "max_age_days": 10.0,
    "max_growth": None,
}


def deliver(project: Project, name: str) -> None:
    """Put a month of flights where the source looks."""
    month(name).write_parquet(project.root.parent / "inbox" / f"{name}.parquet")


def finished(page: Page, flow: str) -> list[Any]:
    found = page.runs(flow)
    assert [run["state"] for run in found if run["state"]["type"] in ("FAILED", "CRASHED")] == []
    return [run for run in found if run["state"]["type"] == "COMPLETED"]


def decided(project: Project) -> list[tuple[str, str]]:
    """What was decided about which version."""
    found = Registry(Tracker(project, params.load(project.params)))
    return [(event.version, event.what) for event in found.events.history()]


def flood(page: Page, project: Project) -> None:
    """Tell of the same drift many times at once."""
    payload, now = {"reason": "a flood"}, datetime.now(UTC).isoformat()
    said = {
        "event": DRIFTED,
        "resource": resource_of(project, payload),
        "payload": payload,
        "occurred": now,
    }
    page.ask("/events", [said | {"id": str(uuid4())} for _ in range(30)])


def test_a_batch_that_lands_is_watched_and_retrained_upon_also_when_the_house_was_closed_meanwhile(
    make_project: Callable[..., Project],
) -> None:
    ports = {"prefect": free_port(), "mlflow": free_port()}
    project = make_project(retrain=EAGER, ports=ports)
    with house(project) as page:  # there is no champion yet: the first is asked for
        page.until(lambda: len(finished(page, "training")) == 1, "the first training")
        assert decided(project) == [("1", "promoted")]
        deliver(project, "2013-08")
        page.until(
            lambda: len(finished(page, "training")) == 2, "a retraining after a batch landed"
        )
        reason = page.runs("training")[-1]["parameters"]["reason"]
        assert reason.startswith("2013-08: the newest row that the champion has learnt from is")
        assert [version for version, _ in decided(project)] == ["1", "2"]
        found = page.ask("/deployments/filter", {})
        deployments = {one["name"].removeprefix("late_flights-"): one for one in found}
        assert {"training", "monitoring", "scoring"} <= set(deployments)
        assert deployments["training"]["global_concurrency_limit"]["limit"] == 1
        assert all(
            deployments[name]["schedules"][0]["active"] for name in ("training", "monitoring")
        )
    deliver(project, "2013-09")  # while the house is closed
    with house(project) as page:
        page.until(
            lambda: len(finished(page, "training")) == 3,
            "a retraining after the house was opened again",
        )
        assert [version for version, _ in decided(project)] == ["1", "2", "3"]
        flood(page, project)  # one run, and it finds nothing to do
        page.until(lambda: len(finished(page, "training")) == 4, "a run after a flood of events")
        assert len(page.runs("training")) == 4
        assert [version for version, _ in decided(project)] == ["1", "2", "3"]
    journal = Journal(Tracker(project, params.load(project.params)))
    assert [one.batch for one in journal.entries()] == ["2013-08", "2013-09"]
    assert journal.asked() == []
    assert (project.reports / "monitoring.html").read_text().count("2013-09") >= 2
