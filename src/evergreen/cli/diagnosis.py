"""`evergreen diagnose`: why is the model bad?"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import click

from evergreen.cli.session import open_project
from evergreen.cli.table import show_table, titled

if TYPE_CHECKING:
    from evergreen.orchestration.diagnosis import Diagnosed

WIDTH = 100


@click.command()
@click.option(
    "--rows",
    type=click.IntRange(500, 10_000_000),
    default=20_000,
    show_default=True,
    help="How many rows learn at most, and how many judge.",
)
def diagnose(rows: int) -> None:
    """Say why the model is bad, the most important reason first, and what to do about it.

    Reads what `evergreen run` has prepared, and changes nothing. The newest batch is not looked at:
    what is chosen here, the gate judges.
    """
    from evergreen.orchestration.diagnosis import diagnose_project

    with open_project(lock=False) as (project, params):
        done = diagnose_project(
            project, params, rows, lambda what: click.echo(f"looking at {what}", err=True)
        )
    show(done)


def show(done: Diagnosed) -> None:
    """Print what was found, the most important first, and what was asked besides."""
    for number, fault in enumerate(done.found.faults, 1):
        click.secho(f"\n{number}. {fault.kind}", bold=True)
        _say("evidence", fault.says)
        _say("do", fault.remedy)
    if not done.found.faults:
        click.secho("\nnothing found", bold=True)
    click.echo()
    wide = WIDTH - 2 - max(len(question) for question, _ in done.found.answers)
    rows = [
        row
        for question, answer in done.found.answers
        for row in titled(question, textwrap.wrap(answer, wide))
    ]
    show_table(["asked besides", "answer"], rows)
    click.echo(f"\n{textwrap.fill(done.judged, WIDTH)}\npictures: reports/{done.page.name}")


def _say(what: str, words: str) -> None:
    indent = " " * 13
    click.echo(
        textwrap.fill(
            f"{what:>10}: {' '.join(words.split())}",
            WIDTH,
            initial_indent=" ",
            subsequent_indent=indent,
        )
    )
