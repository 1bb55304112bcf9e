"""`evergreen up`: all services of a project."""

from __future__ import annotations

import click

from evergreen.cli.session import open_project


@click.command()
def up() -> None:
    """Run the project's services until Ctrl-C: Prefect and MLflow pages, schedules, a worker."""
    from evergreen.orchestration.services import run_services

    with open_project(lock=False) as (project, params):
        run_services(project, params)
