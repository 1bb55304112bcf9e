"""`evergreen ingest`, `validate`, and the stages that `dvc repro` runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import click

from evergreen import code
from evergreen.cli.session import open_project
from evergreen.cli.table import show_table


@click.command()
@click.argument("batches", nargs=-1)
@click.option(
    "--next", "following", is_flag=True, help="Take the batch after the newest one there is."
)
@click.option(
    "--replace", is_flag=True, help="Take the named batches in place of the ones ingested before."
)
@click.option(
    "--drop", is_flag=True, help="Take the named batches out again; DVC's cache keeps their bytes."
)
def ingest(batches: tuple[str, ...], following: bool, replace: bool, drop: bool) -> None:
    """Take new batches from the source.

    Without BATCHES: all that are new, up to source.until in params.yaml.
    """
    from evergreen.finding import count
    from evergreen.ingest import batches as step
    from evergreen.ingest.listing import few
    from evergreen.stores.dvc import run_stage

    if (replace or drop) and not batches:
        raise click.UsageError("--replace and --drop need the names of the batches")
    with open_project() as (project, params):
        record = partial(run_stage, project, "ingest", force=True, params=params.text)
        if drop:
            record(lambda _: step.drop(project, batches))
            names = ", ".join(batches)
            click.echo(
                f"dropped {names}; `evergreen run` takes them again if the source still has them"
            )
            return
        dataset = project.dataset
        how = {"following": following, "replace": replace}
        done = record(
            lambda check: step.ingest(project, dataset, params, batches, check=check, **how)
        )
    assert done is not None
    there = count(len(done.batches), "batch", "batches")
    click.echo(f"{len(done.new)} new: {', '.join(done.new) or 'none'}; {there} in data/raw")
    if done.passed_over:
        click.echo(f"passed over in the source: {few(done.passed_over)}")


@click.command()
def validate() -> None:
    """Check the batches that are new, or whose expectations have changed."""
    from evergreen.ingest.batches import check_unchanged
    from evergreen.report.validation_page import write_validation_page
    from evergreen.stores.dvc import is_altered, run_step
    from evergreen.validation.contract import Contract
    from evergreen.validation.report import BadBatchError
    from evergreen.validation.validate import read_reports, stale
    from evergreen.validation.validate import validate as step

    with open_project() as (project, params):
        if is_altered(project, "ingest"):
            check_unchanged(project)
        write = partial(write_validation_page, project, model=params.tracking.model)
        try:
            work = partial(step, project, Contract.of(project, params))
            done = run_step(project, params, "validate", work, stale)
        except BadBatchError as error:
            write([*read_reports(project), error.report])
            raise
        if done is None:
            click.echo("nothing new: every batch is validated with the present expectations")
            return
        write(done.reports)
    rows = [
        [
            report.batch,
            f"{report.rows:,}",
            f"{report.quarantined:,}",
            "checked now" if report.batch in done.new else "",
        ]
        for report in done.reports
    ]
    show_table(["batch", "rows", "quarantined", ""], rows)


@click.command(hidden=True)
@click.argument("name", type=click.Choice(["ingest", "validate", "prepare"]))
def stage(name: str) -> None:
    """Do what `dvc repro` asks for: one stage, without DVC's own bookkeeping."""
    from evergreen.errors import InputError
    from evergreen.features import prepare
    from evergreen.finding import count
    from evergreen.ingest import batches
    from evergreen.quality.held_batches import find_held
    from evergreen.stores.dvc import link_recipes
    from evergreen.validation import validate as validation
    from evergreen.validation.contract import Contract

    with open_project() as (project, params):
        steps: dict[str, Callable[[], Any]] = {
            "ingest": lambda: batches.ingest(project, project.dataset, params, check=True),
            "validate": lambda: validation.validate(
                project, Contract.of(project, params), check=True
            ),
            "prepare": lambda: prepare.prepare(
                project, project.dataset, params, find_held, check=True
            ),
        }
        link_recipes(project)  # DVC records after this what ran
        done = steps[name]()
        if code.changed() or project.params.read_bytes() != params.text:
            # DVC would record what did not run
            raise InputError(f"code or params.yaml was edited while {name} ran: run it again")
    click.echo(f"{name}: {count(len(done.new), 'new batch', 'new batches')}")
