"""How commands present what they found: tables with aligned columns, and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from evergreen.project import Project


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print `rows` below `head`, each column as wide as its longest cell."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    for number, row in enumerate([head, *rows]):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.secho("  ".join(cells).rstrip(), bold=number == 0)


def titled(title: str, lines: Sequence[str]) -> list[list[str]]:
    """Return a row for each line; only the first has the title."""
    return [[title if number == 0 else "", line] for number, line in enumerate(lines)]


def held_rows(project: Project) -> list[list[str]]:
    """Return a row for each batch that is held back, and why."""
    from evergreen.ingest.manifest import Manifest
    from evergreen.quality.held_batches import describe_held

    return titled("held back", describe_held(Manifest(project.features)))


def warn(message: str) -> None:
    """Print a warning to standard error."""
    click.secho("warning: ", fg="yellow", bold=True, nl=False, err=True)
    click.echo(message, err=True)
