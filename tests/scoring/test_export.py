"""Export: copies of predictions hold the same, name their rows, and overwrite nothing."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from conftest import begin
from polars.testing import assert_frame_equal

from evergreen.errors import InputError
from evergreen.features.row_numbers import ROW
from evergreen.features.split import CONTENT
from evergreen.params import Source
from evergreen.project import Project
from evergreen.scoring.export import check_export, export

SAID = pl.DataFrame(
    {"key_id": [3, 1, 2], "prediction": [0.25, 0.5, 0.75], "model": ["flights"] * 3}
)
FILES = Source(kind="files", path="inbox")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with a batch, a file to score in its inbox, and a table that git has."""
    root = tmp_path / "project"
    for name in ("data/raw/jan.parquet", "stores/runs.csv", "inbox/new.csv", "known.csv"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x\n1\n")
    (root / "params.yaml").touch()
    (root / ".gitignore").write_text("data\nstores\ninbox\n")
    begin(root)
    return Project(root)


def check(project: Project, name: str, source: Source = FILES) -> None:
    check_export(project, source, project.root / name, [str(project.root / "inbox" / "new.csv")])


# --- what it holds

READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    "said.csv": pl.read_csv,
    "said.tsv": lambda path: pl.read_csv(path, separator="\t"),
    "said.parquet": pl.read_parquet,
}


@pytest.mark.parametrize("name", READERS)
def test_a_copy_holds_the_same(name: str, project: Project) -> None:
    path = project.root / "new" / name
    check(project, f"new/{name}")
    assert export(SAID, path) == 0
    assert_frame_equal(READERS[name](path), SAID)


@pytest.mark.parametrize("name", READERS)
def test_without_a_key_the_number_of_the_row_and_its_columns_name_it(
    name: str, tmp_path: Path
) -> None:
    said = SAID.drop("key_id").insert_column(0, pl.Series(CONTENT, [7, 8, 9], pl.UInt64))
    said = said.with_columns(pl.Series(ROW, [3, 1, 4], pl.UInt32))
    given = pl.DataFrame({"place": ["a", "b", "c", "d"], "model": ["T", "U", "V", "W"]})
    export(said, tmp_path / name, given)
    copy = READERS[name](tmp_path / name)
    assert copy.columns == [ROW, "place", "model_", "prediction", "model"]
    assert copy.select(ROW, "place", "model_", "prediction").rows() == [
        (3, "c", "V", 0.25),
        (1, "a", "T", 0.5),
        (4, "d", "W", 0.75),
    ]


FORMULAS = {
    "=1+1": True,
    "+cmd|' /C calc'!A0": True,
    "-2+A1": True,
    "@SUM(A1)": True,
    "\t=1": True,
    "\r=1": True,
    "-5": False,
    "+49 (0)30 123/45": False,
    "-1,234.5": False,
    "a=b": False,
    "": False,
}


@pytest.mark.parametrize("escape", [False, True])
@pytest.mark.parametrize(("value", "risky"), FORMULAS.items())
def test_what_a_spreadsheet_would_run_is_counted_and_escaped_on_request(
    value: str, risky: bool, escape: bool, tmp_path: Path
) -> None:
    path, said = tmp_path / "said.csv", SAID.with_columns(key_id=pl.Series([value, "plain", None]))
    assert export(said, path, escape=escape) == risky
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == ["key_id", "'" * (risky and escape) + value, "plain", ""]


# --- where it may be written

REFUSED = {
    "said.xlsx": "predictions are written as .csv, .tsv, .parquet",
    "inbox/new.csv": "is the file to be scored",
    "inbox/hard.csv": "is the file to be scored",
    "data/raw/jan.parquet": "lies in data/",
    "data/new/said.csv": "lies in data/",
    "src/../data/said.csv": "lies in data/",
    "stores/runs.csv": "lies in stores/",
    ".git/said.csv": "lies in .git/",
    ".dvc/cache/said.csv": "lies in .dvc/",
    "linked/said.csv": "lies in data/",
    "linked.parquet": "is a link to",
    "dangling.csv": "is a link to",
    "inbox/said.csv": "would be ingested as a batch",
    "known.csv": "is tracked by git",
    "known.csv/said.csv": "is no folder that can be written to",
    "pipe.csv": "is no file",
    "folder.csv": "is no file",
}


@pytest.mark.parametrize(("name", "why"), REFUSED.items())
def test_nothing_of_the_project_is_written_over(name: str, why: str, project: Project) -> None:
    (project.root / "linked").symlink_to(project.root / "data" / "raw")
    (project.root / "linked.parquet").symlink_to(project.root / "known.csv")
    (project.root / "dangling.csv").symlink_to(project.root / "nowhere.csv")
    (project.root / "folder.csv").mkdir()
    os.mkfifo(project.root / "pipe.csv")
    (project.root / "inbox" / "hard.csv").hardlink_to(project.root / "inbox" / "new.csv")
    with pytest.raises(InputError, match=why):
        check(project, name)


@pytest.mark.parametrize(
    ("path", "name", "fine"),
    [
        ("drop/new-*.csv", "drop/new-said.csv", False),
        ("drop/new-*.csv", "drop/said.csv", True),
        ("drop/", "drop/said.csv", False),
        ("drop/", "drop/deeper/said.csv", True),
        ("s3://bucket/drop", "drop/said.csv", True),
    ],
)
def test_a_copy_never_becomes_a_batch(path: str, name: str, fine: bool, project: Project) -> None:
    (project.root / "drop").mkdir()
    source = Source(kind="files", path=path)
    if fine:
        check(project, name, source)
    else:
        with pytest.raises(InputError, match=r"where source.path .* finds batches"):
            check(project, name, source)


def test_a_place_of_ones_own_is_fine(project: Project, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.csv").write_text("written over\n")
    for name in ("said.csv", "reports/said.csv", "../elsewhere.csv", "../data/said.csv"):
        check(project, name)
