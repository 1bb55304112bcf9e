"""`evergreen up`: services start with the project and its parameters, without the lock."""

from __future__ import annotations

import pytest
from commands import error_of, invoke, output_of

from evergreen.params import Params
from evergreen.project import Project


@pytest.mark.slow
def test_two_servers_cannot_share_a_port(two_batches: Project) -> None:
    said = error_of(invoke(two_batches.root, "up"))
    assert "ports.prefect and ports.mlflow are both 5000" in said


def test_services_are_started_without_the_lock(
    two_batches: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[Project, Params]] = []
    monkeypatch.setattr(
        "evergreen.orchestration.services.run_services", lambda *given: started.append(given)
    )
    with two_batches.lock():
        assert output_of(two_batches.root, "up") == ""
    assert [(project.root, params.ports.prefect) for project, params in started] == [
        (two_batches.root, 5000)
    ]
