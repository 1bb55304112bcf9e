"""Monitoring: one run at a time, and declared with what starts it."""

from __future__ import annotations

import os
from typing import Any

import pytest
import yaml
from conftest import ROOT
from prefect.flows import load_flow_from_entrypoint

from evergreen.errors import InputError
from evergreen.orchestration import watch
from evergreen.project import Project
from flows.monitoring import monitoring


def test_whoever_starts_a_second_run_is_refused(project: Project) -> None:
    with (
        project.lock(),
        pytest.raises(InputError, match=f"another run .* under way .process {os.getpid()}"),
    ):
        monitoring.fn()
    assert not (project.root / "data").exists()


# --- what is declared


def deployments() -> dict[str, Any]:
    declared = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    return {deployment["name"].removeprefix("late_flights-"): deployment for deployment in declared}


def test_one_retraining_and_one_monitoring_at_a_time_and_the_next_waits() -> None:
    for name in ("training", "monitoring"):
        assert deployments()[name]["concurrency_limit"] == {
            "limit": 1,
            "collision_strategy": "ENQUEUE",
        }


@pytest.mark.parametrize(
    ("name", "events"),
    [("training", [watch.REQUESTED]), ("monitoring", [watch.ARRIVED, watch.STARTED])],
)
def test_what_is_emitted_is_what_starts_a_run_of_this_project_only(
    name: str, events: list[str]
) -> None:
    (trigger,) = deployments()[name]["triggers"]
    assert trigger["expect"] == events
    about = "evergreen.project.{{ $EVERGREEN_PROJECT }}"
    assert trigger["match"] == {"prefect.resource.id": about}
    assert trigger["for_each"] == ["evergreen.about"]
    assert trigger["threshold"] == 1
    assert trigger["within"] > 0  # a flood starts one run
    assert len(deployments()[name]["schedules"]) == 1


def test_every_deployment_is_there_and_its_flow_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for name, deployment in deployments().items():
        assert load_flow_from_entrypoint(deployment["entrypoint"]).name == name
        assert deployment["work_pool"] == {"name": Project(ROOT).package}
        assert deployment["description"], name
