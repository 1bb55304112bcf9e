"""`evergreen status`: which data and which model are there, and what a run would do."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from evergreen.cli.session import open_project
from evergreen.cli.table import held_rows, show_table, warn

if TYPE_CHECKING:
    from evergreen.dataset import Dataset
    from evergreen.params import Params
    from evergreen.project import Project
    from evergreen.stores.registry import Registry


@click.command()
def status() -> None:
    """Show which data and which model are there, and what a run would do."""
    from evergreen.stores.outside import warnings
    from evergreen.stores.registry import Registry
    from evergreen.stores.tracking import Tracker

    with open_project(lock=False) as (project, params):
        rows = _folder_rows(project)
        rows += [[title, "", message] for title, message in held_rows(project)]
        rows += _source_rows(project, params)
        rows.append(["stages to run", ", ".join(_due_stages(project, params)) or "none", ""])
        tracker = Tracker(project, params)
        registry = Registry(tracker) if tracker.is_there else None
        with registry.versions.held() if registry else nullcontext():
            rows += _model_rows(registry, project, params)
            messages = warnings(registry) if registry else ()
        show_table(["what", "how many", "which"], rows)
        for message in messages:
            warn(message)


def _folder_rows(project: Project) -> list[list[str]]:
    from evergreen.finding import count, span
    from evergreen.ingest.manifest import Manifest

    rows = []
    for folder in (project.raw, project.validated, project.features):
        batches = list(Manifest(folder).in_order())
        rows.append([f"data/{folder.name}", count(len(batches), "batch", "batches"), span(batches)])
    return rows


def _source_rows(project: Project, params: Params) -> list[list[str]]:
    from evergreen.finding import count
    from evergreen.ingest.batches import find_waiting
    from evergreen.ingest.listing import few

    found = find_waiting(project, project.dataset, params)
    rows = [["new in the source", count(len(found.offers), "batch", "batches"), ""]]
    if ignored := found.passed_over:
        rows.append(["passed over there", count(len(ignored), "file"), few(ignored)])
    return rows


def _due_stages(project: Project, params: Params) -> list[str]:
    from evergreen.features import prepare
    from evergreen.stores.dvc import STAGES, changed_stages
    from evergreen.validation import validate

    due = {*changed_stages(project)}
    if validate.stale(project, params):
        due.add("validate")
    if prepare.stale(project, params):
        due.add("prepare")
    return [name for name in STAGES if name in due]


def _model_rows(registry: Registry | None, project: Project, params: Params) -> list[list[str]]:
    from evergreen.stores.registry import CHAMPION, FIRST

    rows = []
    held = registry.aliases() if registry else {}
    for alias, number in sorted(held.items()):
        rows.append([alias, f"version {number}", params.tracking.model])
        if registry and alias == CHAMPION:
            doubts = _doubts(registry, number, project.dataset, params.task)
            rows += [["", "", doubt] for doubt in doubts]
    if CHAMPION not in held:
        rows.append(["champion", "none yet", registry.why_no_champion() if registry else FIRST])
    return rows


def _doubts(registry: Registry, number: str, dataset: Dataset, task: str) -> list[str]:
    """Return why a version cannot be used, or what has changed since it was made."""
    from evergreen.errors import InputError
    from evergreen.features.definition import Definition, check_columns

    try:
        definition = registry.versions.open(number).definition
        check_columns(definition.expressions(dataset), list(dataset.columns))
        return list(definition.changes(Definition.of(dataset, task)))
    except (InputError, ValueError) as error:
        return [str(error)]
