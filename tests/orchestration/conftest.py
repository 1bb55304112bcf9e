"""What is tested here imports Prefect; and a job of a project without stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import settings_of
from isolation import _environment, project  # noqa: F401

from evergreen import params
from evergreen.orchestration.tasks.job import Job
from evergreen.stores.tracking import Tracker


@pytest.fixture
def make_job() -> Callable[..., Job]:
    """Make the job of the project at a folder; keyword arguments are sections of its parameters."""

    def make(root: Path, **sections: Any) -> Job:
        there, chosen = settings_of(root), params.parse(sections, "params.yaml")
        return Job(there, chosen, Tracker(there, chosen))

    return make
