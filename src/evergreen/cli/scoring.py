"""`evergreen score`: predictions for rows whose labels are not known yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evergreen.cli.session import open_flow, open_project
from evergreen.cli.table import show_table

if TYPE_CHECKING:
    from evergreen.params import Params
    from evergreen.project import Project


@click.command()
@click.argument("files", nargs=-1)
@click.option("--batch", help="A batch of data/raw, in place of files.")
@click.option("--name", help="What the batch is called, in place of its file's name.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    help="Write a copy of the predictions: .csv, .tsv or .parquet.",
)
@click.option(
    "--escape",
    is_flag=True,
    help="With --out: a quote before text that a spreadsheet takes for a formula.",
)
@click.option(
    "--engine",
    type=click.Choice(["package", "onnx"]),
    default="package",
    show_default=True,
    help="What computes the predictions: onnx is the graph that `evergreen export` writes.",
)
def score(
    files: tuple[str, ...],
    batch: str | None,
    name: str | None,
    out: str | None,
    escape: bool,
    engine: str,
) -> None:
    """Predict with the champion for rows whose labels are not known yet.

    FILES are read as source in params.yaml says (CSV, TSV, Parquet); each is one batch, kept in
    data/predictions.
    """
    from evergreen.scoring.export import check_export
    from evergreen.scoring.unlabelled import find_given

    if bool(files) == bool(batch):
        raise click.UsageError("name files to score, or a batch of data/raw with --batch")
    if (name or out) and len(files) > 1:
        raise click.UsageError("--name and --out are for one file at a time")
    with open_project(lock=False) as (project, params):
        paths = [_absolute(file) for file in files]
        if batch:
            paths = [str(project.raw / f"{batch}.parquet")]
        for path in paths:  # wrong names end here, before a server is started
            find_given(project, path)
        if out:
            check_export(project, params.source, Path(out), paths)
        scoring = open_flow(project, params, "scoring")
        scored = [scoring(path, name, **_how(engine)) for path in paths]
        rows = [_row(project, batch) for batch in scored]
        formulas = 0
        if out:
            formulas = _export(project, params, scored[-1], paths[0], name, Path(out), escape)
            rows[-1][-1] += f", {out}"
    show_table(["batch", "rows", "quarantined", "by", "", "predictions"], rows)
    if formulas and not escape:
        click.echo(formula_warning(out or "", formulas))


def _how(engine: str) -> dict[str, str]:
    """Return what a flow is told of the engine: nothing of the usual one, which any flow takes."""
    if engine == "package":
        return {}
    from evergreen.export.graph import load_library

    load_library("onnx")
    load_library("onnxruntime")
    return {"engine": engine}


def formula_warning(out: str, formulas: int) -> str:
    """Return the hint about values that a spreadsheet would run as formulas."""
    from evergreen.finding import count

    values = count(formulas, "value")
    return f"{out}: a spreadsheet would take {values} for formulas: --escape makes text of them"


def _row(project: Project, scored: Any) -> list[str]:
    return [
        scored.batch,
        f"{scored.rows:,}",
        f"{scored.quarantined:,}",
        f"version {scored.version}",
        "scored now" if scored.fresh else "scored before, nothing to do",
        str(scored.path.relative_to(project.root)),
    ]


def _export(
    project: Project,
    params: Params,
    scored: Any,
    source: str,
    name: str | None,
    out: Path,
    escape: bool,
) -> int:
    """Write the predictions to `out`, beside the given rows where no key names them.

    Returns how many values a spreadsheet would take for formulas.
    """
    from evergreen.scoring.export import export
    from evergreen.scoring.predictions import read
    from evergreen.scoring.unlabelled import read_given

    dataset, given = project.dataset, None
    if not dataset.key:
        given = read_given(project, dataset, params.source, source, name).rows
    return export(read(project, scored.batch, scored.version), out, given, escape=escape)


def _absolute(file: str) -> str:
    return file if "://" in file else str(Path(file).resolve())
