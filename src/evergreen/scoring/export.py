"""Export: a copy of predictions for others, as CSV, TSV or Parquet, in a safe place."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import Path

import polars as pl

from evergreen.errors import InputError
from evergreen.features.row_numbers import ROW
from evergreen.features.split import AT, CONTENT
from evergreen.files import write_whole
from evergreen.params import Source
from evergreen.project import Project

EXPORTS = (".csv", ".tsv", ".parquet")
# Folders of a project that nobody exports into
OWN = ("data", "stores", ".git", ".dvc", "src", "flows", "tests")
# What a spreadsheet takes for one; a number or a telephone number is none
FORMULA = r"^[=@\t\r]|^[+-].*[^\d\s.,()/+-]"


def check_export(project: Project, source: Source, path: Path, given: Collection[str]) -> None:
    """Raise InputError where no copy may be written to `path`.

    That is where its ending is unknown, and where it is a file to be scored, one that git tracks,
    in a folder of the project's own, or in the folder that batches come from; links are followed.
    """
    if path.suffix not in EXPORTS:
        raise InputError(
            f"{path}: predictions are written as {', '.join(EXPORTS)}: choose one of these endings"
        )
    real, root = path.resolve(), project.root.resolve()
    if any(_is_same(real, Path(file)) for file in given):
        raise InputError(f"{path} is the file to be scored: choose another for its predictions")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no file: choose another name for the predictions")
    if path.is_symlink():
        raise InputError(f"{path} is a link to {real}: name a file of its own for the predictions")
    if folder := next((name for name in OWN if _is_within(real, root / name)), ""):
        raise InputError(
            f"{path} lies in {folder}/, which is the project's own: choose a place outside it"
        )
    if _feeds(source, root, real):
        raise InputError(
            f"{path} lies where source.path ({source.path}) finds batches: "
            "it would be ingested as a batch; choose another place"
        )
    if _is_tracked(root, real):
        raise InputError(f"{path} is tracked by git: choose another name for the predictions")
    _check_room(path, real)


def export(
    predictions: pl.DataFrame,
    path: Path,
    given: pl.DataFrame | None = None,
    *,
    escape: bool = False,
) -> int:
    """Write a copy of `predictions` to `path`; return how many values look like formulas.

    `path`: see `check_export`. Without a key, the row's number and the columns of `given`, the rows
    as delivered, name each row. With `escape` a quote before such a value makes text of it, as
    spreadsheets read it; a Parquet file is opened by none.
    """
    whole = (
        predictions
        if given is None or ROW not in predictions.columns
        else _with_given(predictions, given)
    )
    if path.suffix == ".parquet":
        write_whole(path, whole.write_parquet)
        return 0
    texts = [name for name, kind in whole.schema.items() if kind == pl.String()]
    found = (
        whole.select(pl.col(texts).str.contains(FORMULA).sum()).sum_horizontal()
        if texts
        else pl.Series([0])
    )
    if escape:
        risky = pl.col(texts).str.contains(FORMULA)
        whole = whole.with_columns(
            pl.when(risky).then("'" + pl.col(texts)).otherwise(pl.col(texts)).name.keep()
        )
    separator = "\t" if path.suffix == ".tsv" else ","
    write_whole(path, lambda part: whole.write_csv(part, separator=separator))
    return int(found.sum() or 0)


def _with_given(predictions: pl.DataFrame, given: pl.DataFrame) -> pl.DataFrame:
    said = predictions.drop(CONTENT, AT, strict=False)
    names = {name: name if name not in said.columns else f"{name}_" for name in given.columns}
    nested = [name for name, kind in given.schema.items() if kind.is_nested()]
    rows = given.drop(nested).rename(names, strict=False).with_row_index(ROW, 1)
    return rows.join(said, on=ROW, how="inner", maintain_order="right")


def _is_same(path: Path, other: Path) -> bool:
    return path == other.resolve() or (path.exists() and other.exists() and path.samefile(other))


def _is_within(path: Path, folder: Path) -> bool:
    """Return whether `path` lies in `folder`, by name or by the file system (links, case)."""
    real = folder.resolve()
    if path.is_relative_to(real):
        return True
    return real.exists() and any(
        parent.exists() and parent.samefile(real) for parent in path.parents
    )


def _feeds(source: Source, root: Path, path: Path) -> bool:
    if source.kind != "files" or not source.path or "://" in source.path:
        return False
    place = Path(root, os.path.expandvars(source.path))
    if place.is_dir():
        return path.parent == place.resolve()
    return fnmatch(str(path), str(place.parent.resolve() / place.name))


def _is_tracked(root: Path, path: Path) -> bool:
    asked = ["git", "-C", str(root), "ls-files", "--error-unmatch", "--", str(path)]
    try:
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _check_room(path: Path, real: Path) -> None:
    """Raise InputError where the folder cannot be written to, before rows are scored."""
    there = next(parent for parent in real.parents if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InputError(
            f"{path}: {there} is no folder that can be written to: choose another place"
        )
