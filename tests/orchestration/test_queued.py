"""Queued: a run answers those that were asked for before it, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from forking import LOGIN
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Running, Scheduled

from evergreen.orchestration import queued
from evergreen.orchestration.queued import answer_queued

pytestmark = pytest.mark.slow
HOUR = timedelta(hours=1)
GIVEN = {"seeds": None, "reason": "asked for"}


@pytest.fixture
def client(prefect_server: str) -> Iterator[SyncPrefectClient]:
    chosen = {PREFECT_API_URL: prefect_server, PREFECT_API_AUTH_STRING: LOGIN}
    with temporary_settings(chosen), get_client(sync_client=True) as client:
        yield client


def deploy(client: SyncPrefectClient, name: str) -> UUID:
    flow = client.create_flow_from_name("queued")
    return client.create_deployment(flow, name, parameters=GIVEN, enforce_parameter_schema=False)


def ask(
    client: SyncPrefectClient, deployment: UUID, due: datetime | None = None, **more: Any
) -> Any:
    asked = client.create_flow_run_from_deployment(
        deployment, parameters=more, state=Scheduled(scheduled_time=due)
    )
    return asked.id


def test_what_was_asked_for_before_is_answered_and_nothing_else(
    client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, other = deploy(client, "ours"), deploy(client, "other")
    own = ask(client, ours)
    runs = {
        "same": ask(client, ours),
        "for another reason": ask(client, ours, reason="drift"),
        "of other seeds": ask(client, ours, seeds=5),
        "due later": ask(client, ours, datetime.now(UTC) + HOUR),
        "of another deployment": ask(client, other),
    }
    client.set_flow_run_state(own, Running(), force=True)
    runs["asked for since"] = ask(client, ours)
    runs["asked for since, by a clock that is behind"] = ask(client, ours, datetime.now(UTC) - HOUR)
    monkeypatch.setattr(queued, "flow_run", SimpleNamespace(id=str(own)))
    monkeypatch.setattr(queued, "deployment", SimpleNamespace(id=None))
    assert answer_queued() == 0  # a command, which nothing waits for
    monkeypatch.setattr(queued, "deployment", SimpleNamespace(id=str(ours)))
    assert answer_queued() == 2
    assert answer_queued() == 0
    found = {what: client.read_flow_run(run).state for what, run in runs.items()}
    assert {what: state and state.name for what, state in found.items()} == {
        "same": "Skipped",
        "for another reason": "Skipped",
        "of other seeds": "Scheduled",
        "due later": "Scheduled",
        "of another deployment": "Scheduled",
        "asked for since": "Scheduled",
        "asked for since, by a clock that is behind": "Scheduled",
    }
    assert found["same"]
    assert "began after this one was asked for" in str(found["same"].message)


def test_a_server_that_is_away_fails_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queued, "flow_run", SimpleNamespace(id=str(UUID(int=1))))
    monkeypatch.setattr(queued, "deployment", SimpleNamespace(id=str(UUID(int=2))))
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert answer_queued() == 0
