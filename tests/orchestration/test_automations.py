"""Automations: a run without a sign of life is marked by Prefect; made once, however often."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from forking import LOGIN

from evergreen.orchestration.automations import (
    BEAT,
    DEAD,
    FREQUENCY,
    dead_runs,
    give_signs_of_life,
    notice_dead_runs,
)
from evergreen.orchestration.services import _make_pool

pytestmark = pytest.mark.slow


def test_prefect_takes_the_automation_and_has_it_once_for_each_project(
    prefect_server: str,
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    chosen = {PREFECT_API_URL: prefect_server, PREFECT_API_AUTH_STRING: LOGIN}
    with temporary_settings(chosen):
        own = {name: deployment_of(name) for name in ("ours", "theirs")}
        for name in ("ours", "theirs", "ours"):
            notice_dead_runs(name)
        with get_client(sync_client=True) as client:
            found = {
                name: client.read_automations_by_name(dead_runs(name, ())["name"]) for name in own
            }
    for name, made in found.items():
        assert len(made) == 1
        (trigger, (action,)) = made[0].trigger, made[0].actions
        assert trigger.within == timedelta(seconds=DEAD)
        assert trigger.posture == "Proactive"
        assert action.state == "CRASHED"
        theirs = next(iter(own.keys() - {name}))
        assert trigger.match_related.matches(
            {"prefect.resource.role": "deployment", "prefect.resource.id": own[name]}
        )
        assert not trigger.match_related.matches(
            {"prefect.resource.role": "deployment", "prefect.resource.id": own[theirs]}
        )


def deployment_of(package: str) -> str:
    """Make a deployment in a work pool of that name; return its resource."""
    from prefect.client.orchestration import get_client

    _make_pool(package)
    with get_client(sync_client=True) as client:
        flow = client.create_flow_from_name("training")
        made = client.create_deployment(
            flow, f"{package}-training", work_pool_name=package, entrypoint="f.py:f", path="."
        )
    return f"prefect.deployment.{made}"


def test_runs_give_signs_of_life_more_often_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FREQUENCY, raising=False)
    give_signs_of_life()
    assert int(os.environ.pop(FREQUENCY)) == BEAT < DEAD / 2


def test_a_frequency_that_was_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FREQUENCY, "60")
    give_signs_of_life()
    assert os.environ[FREQUENCY] == "60"
