"""What commands open: the project with its parameters, its registry, a flow with its server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from evergreen.cli.table import warn

if TYPE_CHECKING:
    from evergreen.params import Params
    from evergreen.project import Project
    from evergreen.stores.registry import Registry


@contextmanager
def open_project(*, lock: bool = True) -> Iterator[tuple[Project, Params]]:
    """Yield the project of the working directory and its parameters, with its lock held.

    `lock=False`: for what only reads, or waits for the lock itself. Raises InputError where there
    is no project, params.yaml has faults, or another run holds the lock.
    """
    from evergreen.orchestration.server import set_environment
    from evergreen.orchestration.turn import turn
    from evergreen.params import load
    from evergreen.project import Project

    project = Project.find()
    params = load(project.params)
    set_environment(project)
    with ExitStack() as held:
        if lock:
            held.enter_context(turn(project))
        yield project, params


@contextmanager
def open_registry(*, reading: bool = False) -> Iterator[Registry]:
    """Yield the registry, with the project's lock held and interrupted changes completed.

    `reading`: where another run holds the lock, go on without it.
    """
    from evergreen.errors import InputError
    from evergreen.orchestration.turn import turn
    from evergreen.stores.outside import warnings, write_down
    from evergreen.stores.registry import Registry
    from evergreen.stores.tracking import Tracker

    with open_project(lock=False) as (project, params), ExitStack() as held:
        registry, noted = Registry(Tracker(project, params)), list[str]()
        try:
            held.enter_context(project.lock() if reading else turn(project))
        except InputError:
            if not reading:
                raise
        else:
            for message in registry.recover():
                click.echo(message, err=True)
            noted = write_down(registry)
        for message in dict.fromkeys([*noted, *warnings(registry)]):
            warn(message)
        yield registry


def open_flow(
    project: Project, params: Params, name: str, load: Callable[[], object] | None = None
) -> Callable[..., Any]:
    """Return the project's flow `name`, connected to a Prefect server.

    The flow is imported, and `load` called, while a temporary server starts.
    """
    from evergreen.orchestration.server import connect

    def import_libraries() -> None:
        project.flow(name)
        if load:
            load()

    connect(project, params, import_libraries)
    from evergreen.orchestration import console

    console.install()
    flow: Callable[..., Any] = project.flow(name)
    return flow
