"""`evergreen migrate`: a project that is a copy of the whole library gets it as a wheel."""

from __future__ import annotations

import click


@click.command()
@click.argument("ref", required=False)
def migrate(ref: str | None) -> None:
    """Turn a project that is a copy of the whole library into one that has it as a wheel.

    For projects made before the library was apart. REF is a commit, tag or branch of the template;
    default: its newest commit. Nothing is committed; `git reset --hard` gives it up.
    """
    from evergreen.migrate.migrate import migrate as step
    from evergreen.project import Project

    click.echo(step(Project.find().root, ref))
