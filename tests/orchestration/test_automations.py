"""Automations: a run without a sign of life is marked by Prefect; made once, however often."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from forking import LOGIN

from evergreen.orchestration.automations import BEAT, DEAD, FREQUENCY, dead_runs, notice_dead_runs

pytestmark = pytest.mark.slow


def test_prefect_takes_the_automation_and_has_it_once(
    prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    monkeypatch.delenv(FREQUENCY, raising=False)
    chosen = {PREFECT_API_URL: prefect_server, PREFECT_API_AUTH_STRING: LOGIN}
    with temporary_settings(chosen):
        for _ in range(2):
            notice_dead_runs()
        with get_client(sync_client=True) as client:
            found = client.read_automations_by_name(dead_runs()["name"])
    assert len(found) == 1
    (trigger, (action,)) = found[0].trigger, found[0].actions
    assert trigger.within == timedelta(seconds=DEAD)
    assert trigger.posture == "Proactive"
    assert action.state == "CRASHED"
    assert int(os.environ.pop(FREQUENCY)) == BEAT < DEAD / 2


def test_a_frequency_that_was_set_stays(
    prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evergreen.orchestration.automations.save", lambda _: None)
    monkeypatch.setenv(FREQUENCY, "60")
    notice_dead_runs()
    assert os.environ[FREQUENCY] == "60"
