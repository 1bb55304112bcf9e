"""Runs started from Prefect's page: stopped in the middle, begun again, and approved by a person in the form."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from houses import PATIENCE, free_port, house

from evergreen import params
from evergreen.project import Project
from evergreen.stores.registry import Registry
from evergreen.stores.tracking import Tracker

pytestmark = pytest.mark.slow


def is_waiting(run: Any) -> bool:
    return bool(run["state"]["type"] == "PAUSED")


def test_a_run_stopped_with_the_house_leaves_its_place_and_the_next_is_approved(
    make_project: Callable[..., Project],
) -> None:
    ports = {"prefect": free_port(), "mlflow": free_port()}
    project = make_project(gate={"approval": "manual"}, ports=ports)
    with house(project) as page:
        stopped = page.start()
        until = time.monotonic() + PATIENCE
        while "matrix" not in page.tasks(stopped):
            assert time.monotonic() < until
            time.sleep(0.2)
    with house(project) as page:
        assert page.ask(f"/flow_runs/{stopped}")["state"]["type"] in (
            "CRASHED",
            "CANCELLED",
            "FAILED",
        )
        # Beside the one that monitoring asks for by itself: whichever is first trains, and waits
        page.start()
        run_id = page.until(
            lambda: [run["id"] for run in page.runs("training") if is_waiting(run)],
            "a run that waits",
        )[0]
        found = Registry(Tracker(project, params.load(project.params)))
        assert found.champion() is None
        page.ask(
            f"/flow_runs/{run_id}/resume", {"run_input": {"promote": True, "reason": "looks right"}}
        )
        page.wait(run_id, "COMPLETED")
    assert found.champion() == "1"
    assert [event.what for event in found.events.history()] == ["waits for approval", "promoted"]
    assert "approved by a person: looks right" in found.events.history()[-1].reason
