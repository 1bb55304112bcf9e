"""`evergreen papers`: the datasheet, the Croissant file, the champion's card, and the packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evergreen.cli.session import open_project
from evergreen.cli.table import show_table, warn

if TYPE_CHECKING:
    from evergreen.papers.datasheet import Datasheet
    from evergreen.params import Params
    from evergreen.project import Project

Line = list[str]


@click.command()
def papers() -> None:
    """Write the papers of data, model and packages; list what people have not answered."""
    from evergreen.errors import InputError
    from evergreen.finding import count
    from evergreen.papers.datasheet import FILE, read_datasheet, write_questions

    with open_project() as (project, params):
        written = write_questions(project)
        datasheet = read_datasheet(project)
        rows = [["questions", FILE, "written: answer them" if written else "as it is"]]
        rows += [*_data(project, params, datasheet), *_model(project, params, datasheet)]
        faults = list(_packages(project, rows))
        show_table(["paper", "file", ""], rows)
        for question in datasheet.tell():
            click.echo(f"unanswered: {question}")
        if faults:
            raise InputError(
                f"{count(len(faults), 'package')} of an unknown licence: {', '.join(faults)}: find "
                "out what they are under, and replace what may not be used"
            )


def _data(project: Project, params: Params, datasheet: Datasheet) -> Iterator[Line]:
    from evergreen.errors import InputError
    from evergreen.papers.croissant import write_croissant
    from evergreen.quality.bias import find_bias
    from evergreen.quality.bias_findings import Evidence
    from evergreen.stores.dvc import data_versions

    version = data_versions(project).get("data/validated", "")
    seed, dataset = params.sweep.first_seed, project.dataset
    prepared = (project.features / "split.json").is_file()
    try:
        bias = find_bias(Evidence.read(project, dataset), seed=seed) if prepared else None
        known = bias.findings if bias else ()
        path = write_croissant(project, params, datasheet, version, known)
    except InputError as error:
        yield ["data", "none", str(error)]
        return
    yield ["data", _place(project, path), "Croissant 1.1 with the fields of Responsible AI"]


def _model(project: Project, params: Params, datasheet: Datasheet) -> Iterator[Line]:
    """Write the card of the champion again, with the answers and the history of today."""
    from evergreen.papers.card import CARD, Card
    from evergreen.papers.sections import history, intended_use
    from evergreen.stores.artifacts import Artifacts
    from evergreen.stores.registry import Registry
    from evergreen.stores.tracking import Tracker

    tracker = Tracker(project, params)
    registry = Registry(tracker)
    number = registry.champion() if tracker.is_there else None
    if number is None:
        why = registry.why_no_champion() if tracker.is_there else "`evergreen run` trains one"
        yield ["model", "none", f"no champion: {why}"]
        return
    run_id, kept = registry.versions.run_of(number), Artifacts(tracker)
    if not kept.has(run_id, f"{CARD}.json"):
        yield ["model", "none", f"version {number} was registered before there were cards"]
        return
    past = (event.told for event in registry.events.history())
    card = Card.read(kept.read_json(run_id, f"{CARD}.json"))
    card = card.with_sections(intended_use(datasheet), history(past))
    for path in card.write(project):
        yield ["model", _place(project, path), f"the champion, version {number}"]


def _packages(project: Project, rows: list[Line]) -> Iterator[str]:
    """Write the bill of materials, add its `rows`, and yield the packages of unknown licence."""
    from evergreen.errors import InputError
    from evergreen.papers.bill import find_installed, look_up, read_locks, unknown, write_bill

    try:
        pins = read_locks(project)
    except InputError as error:
        rows.append(["packages", "none", str(error)])
        return
    parts = look_up(pins, find_installed())
    about = {"sbom.json": f"CycloneDX, {len(pins)} packages", "licences.md": "their licences"}
    rows += [
        ["packages", _place(project, path), about[path.name]]
        for path in write_bill(project, pins, parts)
    ]
    here = {part.pin.name for part in parts}
    if absent := [pin.name for pin in pins if pin.applies and pin.name not in here]:
        warn(f"pinned and not installed, so of no known licence: {', '.join(absent)}: `make setup`")
    yield from unknown(parts)


def _place(project: Project, path: Path) -> str:
    return path.relative_to(project.root).as_posix()
