"""`evergreen reproduce`: a version made again from what is recorded, and compared."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evergreen.cli.session import open_project
from evergreen.cli.table import show_table, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.reproduce.compare import Verdict
    from evergreen.reproduce.reproduce import Ready

DIFFERENT, NOT_RESTORED = 3, 4  # exit codes


@click.command()
@click.argument("version")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to make it, and keep it; default: stores/reproduced/VERSION, kept where different.",
)
def reproduce(version: str, folder: Path | None) -> None:
    """Make a version again from what is recorded of it, and say equal or different.

    In a folder of its own: the project's data, models and stores stay as they are. Exit code 0:
    equal, 3: different, 4: it cannot be restored, and nothing was trained.
    """
    from evergreen.errors import InputError
    from evergreen.reproduce.reproduce import own_folder, prepare, train
    from evergreen.stores.registry import Registry
    from evergreen.stores.tracking import Tracker

    with open_project(lock=False) as (project, params):
        registry = Registry(Tracker(project, params))
        if not registry.tracker.is_there:
            raise InputError("there is no model here: `evergreen run` makes one")
        registry.versions.find(version)
        place = (folder or project.stores / "reproduced" / version).resolve()
        with own_folder(place) as lock:
            ready = prepare(registry, version, place, lock)
            _tell(ready)
            verdicts = ready.without_training() if ready.stops else train(ready)
            code = _show(ready, verdicts)
            if folder is None and code != DIFFERENT:
                shutil.rmtree(place)
    sys.exit(code)


def _tell(ready: Ready) -> None:
    """Say, before anything runs, what is made again, and what is not as it was then."""
    for said in ready.apart:
        warn(f"not as then: {said}")
    for said in ready.stops:
        warn(f"cannot be restored: {said}")
    if ready.stops:
        return
    recorded = ready.recorded
    seeds = f"{len(recorded.seeds)} seed(s) on {ready.device}"
    click.echo(
        f"version {recorded.number}: commit {recorded.commit[:12]}, {seeds}, "
        f"{ready.restored.data.files} files of data, in {ready.folder}"
    )


def _show(ready: Ready, verdicts: Sequence[Verdict]) -> int:
    """Show what is equal and what is not, and why; return the exit code."""
    rows = [[verdict.what, verdict.word, verdict.says] for verdict in verdicts]
    show_table(["what", "verdict", ""], rows)
    number = ready.recorded.number
    if ready.stops:
        click.echo(f"\nversion {number} cannot be restored: nothing was trained")
        return NOT_RESTORED
    if all(verdict.equal for verdict in verdicts):
        click.echo(f"\nequal: version {number} is made again from what is recorded of it")
        return 0
    click.echo(f"\ndifferent: version {number} is not made again; what may be the reason:")
    for said in ready.apart or ("nothing that is recorded is otherwise than it was then",):
        click.echo(f"- {said}")
    click.echo(f"what was made again: {ready.folder / 'made'}")
    return DIFFERENT
