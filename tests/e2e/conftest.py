"""For whole jobs: commands run by the process and the Prefect server of `shared_server.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
import yaml
from cars import drive, make_cars
from conftest import SMALL, copy_project, git, once
from forking import FORKS, LOGIN, SHARED, Forks

from evergreen.params import Params
from evergreen.project import Project


@contextmanager
def sharing(server: str, forks: Forks) -> Iterator[None]:
    """Run commands by that process, and tell them of that server."""
    with mock.patch.dict(SHARED, PREFECT_API_URL=server, PREFECT_API_AUTH_STRING=LOGIN):
        FORKS.append(forks)
        yield
        FORKS.pop()


@pytest.fixture(scope="session")
def settled(
    settled: Callable[[str], Path], prefect_server: str, forks: Forks
) -> Callable[[str], Path]:
    """As everywhere; made by that process."""

    def settle(upto: str) -> Path:
        with sharing(prefect_server, forks):
            return settled(upto)

    return settle


@pytest.fixture(scope="session")
def cars_that_ran(
    tmp_path_factory: pytest.TempPathFactory, prefect_server: str, forks: Forks
) -> Path:
    """The folder of a project about cars with a champion; not to be changed."""

    def make(folder: Path) -> None:
        ((_, code, said),) = drive(make_cars(folder), prefect_server, forks, "run")
        assert code == 0, said
        assert "version 1 is champion" in said, said

    return once(tmp_path_factory, "cars", make)


@pytest.fixture(autouse=True)
def _shared(prefect_server: str, forks: Forks) -> Iterator[None]:
    with sharing(prefect_server, forks):
        yield


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A project as it is made, that trains little."""
    root = tmp_path / "project"
    copy_project(root)
    content = Params().model_dump(mode="json", by_alias=True)
    for section, values in SMALL.items():
        content[section] = content[section] | values
    content["source"] = {"kind": "python", "module": "late_flights.flights"}
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    git(root, "commit", "-qam", "small")
    return Project(root)
