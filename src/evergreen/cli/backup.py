"""`evergreen backup` and `restore`: what git does not have, kept elsewhere, and brought back."""

from __future__ import annotations

from pathlib import Path

import click

from evergreen.cli.session import open_project
from evergreen.cli.table import show_table, warn


@click.command()
@click.argument("folder", type=click.Path())
def backup(folder: str) -> None:
    """Copy models, runs, data and code into FOLDER, as a snapshot; runs may go on.

    What has not changed since the snapshot before takes no space. Keep FOLDER on another disk, and
    as safe as the project: the login of its servers is in it.
    """
    from evergreen.backup.take import take

    with open_project(lock=False) as (project, _):
        taken = take(project, Path(folder))
    for what in taken.lacking:
        warn(f"not in the backup: {what}")
    found = f"{taken.files:,} files, {taken.size / 1e6:,.1f} MB, of them new {taken.new / 1e6:,.1f}"
    show_table(["what", "found"], [["snapshot", str(taken.snapshot)], ["holds", found]])


@click.command()
@click.argument("folder", type=click.Path(exists=True))
def restore(folder: str) -> None:
    """Bring back the newest snapshot in FOLDER, or the one that FOLDER is.

    Into a project without models and data, such as a new clone of the snapshot's code.bundle.
    """
    from evergreen.backup.restore import restore as step

    with open_project() as (project, _):
        done = step(project, Path(folder))
    if done.left:
        warn(done.left)
    rows = [["from", str(done.snapshot)], ["made", done.about.made], ["of", done.about.root]]
    show_table(["what", "found"], rows)
    click.echo("next: `evergreen status`, and `evergreen doctor`")
