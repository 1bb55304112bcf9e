"""`evergreen compare ...`: losses, schedules and rates, on rows before the newest batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from evergreen.cli.session import open_project
from evergreen.cli.table import show_table, titled
from evergreen.cli.tuning import change_train

if TYPE_CHECKING:
    from evergreen.params import Params
    from evergreen.project import Project
    from evergreen.tuning.alternatives import Alternatives
    from evergreen.tuning.cuts import Cut

SEEDS = click.option(
    "--seeds", type=click.IntRange(2, 100), default=5, show_default=True, help="How many seeds."
)
CUTS = click.option(
    "--cuts", type=click.IntRange(2, 24), default=4, show_default=True, help="Cuts in time at most."
)


@click.group()
def compare() -> None:
    """Compare ways of training on rows before the newest batch, which only the gate looks at."""


@compare.command()
@SEEDS
@CUTS
def losses(seeds: int, cuts: int) -> None:
    """Compare the losses of the task by the metrics that decide, with the same seeds and cuts."""
    from evergreen.tuning.alternatives import each_loss

    with _open() as (project, params):
        _compare("loss", project, params, each_loss(params), seeds, cuts)


@compare.command()
@SEEDS
@CUTS
@click.option(
    "--rate",
    type=click.FloatRange(0, 1, min_open=True),
    help="Learning rate that those which fall begin with, in place of train.learning_rate.",
)
def schedules(seeds: int, cuts: int, rate: float | None) -> None:
    """Compare the schedules of the learning rate, with the same seeds and cuts."""
    from evergreen.tuning.alternatives import each_schedule

    with _open() as (project, params):
        _compare("schedule", project, params, each_schedule(params, rate), seeds, cuts)


@compare.command()
@CUTS
@click.option("--write", is_flag=True, help="Write the rate to start from into params.yaml.")
def rates(cuts: int, write: bool) -> None:
    """Raise the learning rate until the loss diverges, and say which one to start from."""
    from evergreen.report.alternatives import draw_range
    from evergreen.training.learner import watched_by
    from evergreen.tuning.rates import find_range

    with _open() as (project, params):
        found = find_range(_cut(project, params, cuts), params)
        watched = watched_by(params.train.learner, params.task, params.train)
        rounds = len(found.tried[0].losses) - 1
        head = ["learning rate", f"{watched}, half way", f"after {rounds} rounds", ""]
        rows = [
            [f"{way.rate:g}", f"{way.losses[len(way.losses) // 2]:.5f}", f"{way.losses[-1]:.5f}",
             "rises" if way.diverges else "start" if way.rate == found.start else ""]
            for way in found.tried
        ]  # fmt: skip
        show_table(head, rows)
        title = f"{params.tracking.model}: range test of the learning rate"
        picture = draw_range(found, watched, title, project.reports / "learning_rate.png")
        click.echo(f"\n{found.says()}")
        if found.start:
            click.echo(
                "that is the largest to start from, for a schedule that falls (`evergreen compare "
                f"schedules --rate {min(found.start, 1.0):g}`); a constant one does better below it"
            )
        click.echo(f"picture: {picture.relative_to(project.root)}")
        if found.start:
            start = {"learning_rate": float(f"{min(found.start, 1.0):.3g}")}
            change_train(project, params, start, "compare rates", write=write)


@contextmanager
def _open() -> Iterator[tuple[Project, Params]]:
    """Yield the project and its parameters, which know its own metrics."""
    with open_project(lock=False) as (project, params):
        yield project, params.choosing_from(project.extensions)


def _cut(project: Project, params: Params, most: int) -> tuple[Cut, ...]:
    from evergreen.orchestration.turn import turn
    from evergreen.tuning.cuts import find_cuts

    with turn(project):  # while the rows are read; a run may go on beside what follows
        return find_cuts(project, params, most)


def _compare(
    key: str, project: Project, params: Params, ways: Any, seeds: int, most_cuts: int
) -> None:
    from evergreen.report.alternatives import draw_alternatives
    from evergreen.tuning.alternatives import try_each

    first = params.sweep.first_seed
    cuts = _cut(project, params, most_cuts)
    found = try_each(key, ways, cuts, range(first, first + seeds))
    head, rows = table_of(found)
    show_table(head, rows)
    click.echo()
    says = [*found.says()]
    show_table(["", ""], titled("how", says[:-1]) + titled("so", says[-1:]))
    name = {"loss": "losses", "schedule": "schedules"}[key]
    title = f"{params.tracking.model}: {name}, before the newest batch"
    picture = draw_alternatives(found, title, project.reports / f"{name}.png")
    click.echo(f"picture: {picture.relative_to(project.root)}")


def table_of(found: Alternatives) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of the table: values by metric, and the verdict in words."""
    head = [found.key, "stops by", *found.metrics, "rounds", "beside what is set"]
    rows = []
    for way in found.tried:
        values = [f"{way.values[name]:.4f}" if way.trial else "" for name in found.metrics]
        cells = [way.name, way.stops_by, *values, str(way.rounds) if way.trial else ""]
        rows.append([*cells, _verdict(found, way)[0]])
        rows += [[*[""] * len(cells), more] for more in _verdict(found, way)[1:]]
    return head, rows


def _verdict(found: Alternatives, way: Any) -> list[str]:
    if way.refused:
        return [f"not tried: {way.refused}"]
    now = found.now.name
    leads = [lead for lead in (way.lead, way.own) if lead]
    return [lead.says(now, way.name) for lead in leads] or ["what is set"]
