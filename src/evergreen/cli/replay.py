"""`evergreen replay`: history once more, under several retraining policies."""

from __future__ import annotations

import click

from evergreen.cli.session import open_flow, open_project
from evergreen.cli.table import show_table


@click.command()
@click.option(
    "--until", metavar="BATCH", help="The last batch; default: the newest that the source has."
)
@click.option("--seeds", type=int, help="How many seeds, in place of sweep.seeds.")
@click.option(
    "--every",
    type=click.IntRange(1, 1000),
    default=3,
    show_default=True,
    help="Train after so many batches.",
)
def replay(until: str | None, seeds: int | None, every: int) -> None:
    """Replay history under several retraining policies: what each would have gained and cost.

    In a workspace of its own: the project's data and models stay as they are.
    """
    from evergreen.replay.outcome import Options
    from evergreen.replay.scope import find_batches

    with open_project(lock=False) as (project, params):
        params.override(sweep={"seeds": seeds})  # wrong values end here, before a server is started
        find_batches(project.dataset, params, Options(until=until))
        outcome = open_flow(project, params, "replay")(until=until, seeds=seeds, every=every)
    rows = outcome.as_table()
    show_table(list(rows[0]), [list(row.values()) for row in rows])
    click.echo(f"\n{outcome.finding}\npicture and numbers: reports/replay.png, reports/replay.json")
