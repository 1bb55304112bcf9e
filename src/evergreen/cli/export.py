"""`evergreen export`: the champion in an open format."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evergreen.cli.session import open_project
from evergreen.cli.table import show_table

if TYPE_CHECKING:
    from evergreen.params import Params
    from evergreen.project import Project
    from evergreen.scoring.package import Model

FORMS = ("onnx", "json", "ubj")
FOLDER = "exports"  # of the project, which git ignores


@click.command()
@click.option(
    "--format", "form", type=click.Choice(FORMS), default="onnx", show_default=True,
    help="One graph of the whole scoring path, or XGBoost's own files.",
)  # fmt: skip
@click.option("--version", "number", help="Another version of the registry than the champion.")
@click.option("--out", type=click.Path(), help="A file (onnx) or a folder (json, ubj).")
def export(form: str, number: str | None, out: str | None) -> None:
    """Write the champion in an open format, compared with the package on real rows."""
    from evergreen.errors import InputError
    from evergreen.files import sweep_left

    with open_project(lock=False) as (project, params):
        number, run_id, model = _open(project, params, number)
        sweep_left(project.root / FOLDER)
        name = f"{params.tracking.model}-{number}"
        ending = ".onnx" if form == "onnx" else f"-{form}"
        place = Path(out) if out else project.root / FOLDER / f"{name}{ending}"
        about = {"model": params.tracking.model, "version": number, "run": run_id}
        try:
            if form == "onnx":
                rows = _write_onnx(project, model, place, about)
            else:
                rows = _write_own(model, place, form, about)
        except OSError as error:
            raise InputError(f"{place} cannot be written: {error.strerror or error}") from None
    show_table(["what", "found"], [["version", number], *rows])


def _open(project: Project, params: Params, number: str | None) -> tuple[str, str, Model]:
    """Return a version's number, its run and its model. Raises InputError where there is none."""
    from evergreen.stores.outside import find_live
    from evergreen.stores.registry import Registry
    from evergreen.stores.tracking import Tracker

    tracker = Tracker(project, params)
    registry = Registry(tracker)
    if not (number and tracker.is_there):
        number = find_live(tracker, registry).version
    return number, registry.versions.run_of(number), registry.versions.open(number)


def _write_onnx(
    project: Project, model: Model, place: Path, about: dict[str, str]
) -> list[list[str]]:
    from evergreen.errors import InputError
    from evergreen.export.onnx_file import is_export, make_onnx, real_rows
    from evergreen.files import write_whole

    if place.exists() and not is_export(place):
        raise InputError(f"{place} is there, and no export: name another place with --out")
    content, agreement = make_onnx(model, real_rows(project, model), about)
    write_whole(place, lambda part: part.write_bytes(content))
    return [["file", f"{place} ({len(content):,} bytes)"], ["compared", agreement.says]]


def _write_own(model: Model, place: Path, form: str, about: dict[str, str]) -> list[list[str]]:
    """Write a folder whole or not at all; what an earlier export wrote there goes."""
    from evergreen.errors import InputError
    from evergreen.export.own_files import DESCRIPTION, write_own

    if place.exists() and not (place / DESCRIPTION).is_file():
        raise InputError(f"{place} is there, and no export: name another place with --out")
    part = place.with_name(f".part-{os.getpid()}-{place.name}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        files = write_own(model, part, form, about)
        shutil.rmtree(place, ignore_errors=True)
        part.replace(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return [["folder", str(place)], ["files", ", ".join(file.name for file in files)]]
