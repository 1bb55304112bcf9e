"""`evergreen adopt`, `doctor` and `update`: what makes a project, checks it, and renews it."""

from __future__ import annotations

import sys
from typing import Any

import click

from evergreen.cli.session import open_project
from evergreen.cli.table import show_table

WRONG = 1  # exit code of a check that found something wrong


@click.command()
@click.argument("source")
@click.option("--target", required=True, help="The column to predict.")
@click.option(
    "--time",
    help="The column of times, or `order`: rows, and later files, come in the order of time.",
)
@click.option(
    "--dates",
    multiple=True,
    metavar="FORMAT",
    help="How dates are written, such as %d.%m.%Y, or epoch_ms.",
)
@click.option(
    "--no-time", "timeless", is_flag=True, help="No column says when, whatever dates there are."
)
@click.option(
    "--key", multiple=True, help="A column that names a row, or one of several that do so together."
)
@click.option(
    "--known-later",
    multiple=True,
    help="A column that is known only after the event: no feature. May be repeated.",
)
@click.option(
    "--task",
    type=click.Choice(["binary", "multiclass", "regression"]),
    help="What kind of label it is.",
)
@click.option("--table", help="The table, where SOURCE is a database.")
@click.option(
    "--period", type=click.Choice(["day", "week", "month", "year"]), help="What one batch spans."
)
@click.option(
    "--null",
    "nulls",
    multiple=True,
    metavar="TEXT",
    help="A text that says that there is no value.",
)
@click.option(
    "--max-bad-rows",
    type=click.FloatRange(0, 1),
    help="Share of rows that may be put aside as unreadable.",
)
def adopt(source: str, table: str | None, **wishes: Any) -> None:
    """Make this project about your own table: declare its columns, take it as batches.

    Writes dataset.py, expectations.py and the source in params.yaml.
    SOURCE is a CSV, TSV or Parquet file, or a SQLAlchemy URL such as '${DATABASE_URL}'.
    """
    from evergreen.adopt.adopt import adopt as step
    from evergreen.adopt.wishes import Wishes
    from evergreen.adopt.write import check_fresh, take_first_batches, write

    with open_project() as (project, params):
        check_fresh(project)
        found = step(project, params, source, Wishes(**wishes), table)
        write(project, found)
    click.echo(found.report)
    click.echo(take_first_batches(project))
    click.echo(
        f"\nwritten: src/{project.package}/dataset.py, expectations.py, params.yaml, "
        "reports/adopt.md\nnext: read them, edit what you know better, then `evergreen run`"
    )


@click.command()
@click.option(
    "--parity", is_flag=True, help="Train the same seeds on CPU and GPU, and compare; nothing else."
)
def doctor(parity: bool) -> None:
    """Check versions, device, stores and ports; show what to do about what is wrong."""
    from evergreen.doctor import check_parity, examine
    from evergreen.orchestration.login import read_given
    from evergreen.project import Project

    project = Project.find()
    read_given()
    findings = [check_parity(project)] if parity else examine(project)
    rows = [
        ["ok" if finding.fine else "WRONG", finding.what, finding.found, finding.advice]
        for finding in findings
    ]
    show_table(["", "what", "found", "what to do"], rows)
    if not all(finding.fine for finding in findings):
        sys.exit(WRONG)


@click.command()
@click.argument("words", nargs=-1, metavar="[REF] [QUESTION=ANSWER]...")
def update(words: tuple[str, ...]) -> None:
    """Merge what is new in the template that this project was made from.

    REF is a commit, tag or branch of the template; default: its newest commit.
    QUESTION=ANSWER gives another answer than the project was made with, such as ci=gitlab.
    """
    from evergreen.project import Project
    from evergreen.update import update as step

    refs = [word for word in words if "=" not in word]
    if len(refs) > 1:
        raise click.UsageError(
            f"one commit, tag or branch of the template, not {len(refs)}: {', '.join(refs)}"
        )
    answers = dict(word.split("=", 1) for word in words if "=" in word)
    click.echo(step(Project.find().root, next(iter(refs), None), answers))
