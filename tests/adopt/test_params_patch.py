"""Settle: params.yaml says what the table needs, loads, and keeps every comment."""

from __future__ import annotations

import difflib
import io
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from ruamel.yaml import YAML
from yaml import safe_dump

from evergreen.adopt.params_patch import patch_params
from evergreen.params import Params, Source, load

Through = Callable[..., Any]
OWN = (ROOT / "params.yaml").read_text(encoding="utf-8")  # of this project, whatever it is about
DEFAULTS = safe_dump(Params().model_dump(mode="json", by_alias=True))
EXAMPLE = """\
# what a project is told

task: binary      # binary | multiclass | regression
source:           # where from
  kind: python    # python | files | sql
  module: my.own
  until: 2013-06  # the last
  # kind: sql

train:
  max_depth: 6    # levels
"""


def settled(
    adopted: Any, tmp_path: Path, text: str = DEFAULTS, bad: float | None = None
) -> tuple[Params, str, list[str]]:
    written, changes = patch_params(
        text, adopted.table, adopted.found, adopted.plan, adopted.batches, bad
    )
    (tmp_path / "params.yaml").write_text(written, encoding="utf-8")
    return load(tmp_path / "params.yaml"), written, changes


@pytest.mark.slow
def test_only_values_change(work: Through, tmp_path: Path) -> None:
    _, written, changes = settled(work(), tmp_path, EXAMPLE, 0.12)
    assert (
        written
        == """\
# what a project is told

task: binary      # binary | multiclass | regression
source:           # where from
  kind: files     # python | files | sql
  path: inbox
  until: null     # the last
  # kind: sql

train:
  min_child_weight: 1.0
  colsample_bytree: 0.8
  max_depth: 3    # levels
validate:
  max_bad_rows: 0.12
prepare:
  min_level_rows: 5
split:
  train_batches: null
retrain:
  min_new_rows: 30
"""
    )
    assert changes[0] == "validate.max_bad_rows: 0.12"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "sql"])
def test_every_comment_of_this_projects_file_stays(
    kind: str, work: Through, tmp_path: Path
) -> None:
    given = {"origin": "${DATABASE_URL}", "table": "sales"} if kind == "sql" else {"separator": ";"}
    found, written, _ = settled(work(1200, 360, kind, **given), tmp_path, OWN)
    gone = [
        line[2:]
        for line in difflib.ndiff(OWN.splitlines(), written.splitlines())
        if line.startswith("- ")
    ]
    kept = found.source.model_fields_set
    for line in gone:
        key, comment = line.partition(":")[0].strip(), line.partition("#")[2]
        assert comment in written or (key in Source.model_fields and key not in kept), line


@pytest.mark.slow
def test_what_was_said_of_another_table_is_forgotten(work: Through, tmp_path: Path) -> None:
    old = (
        "leaks: {trusted: [distance]}\n"
        "drift: {columns: {distance: 0.1}, accepted: ['2013-05'], hold: 0.7}\n"
    )
    found, _, _ = settled(work(), tmp_path, old)
    assert (found.leaks.trusted, found.drift.columns, found.drift.accepted, found.drift.hold) == (
        (),
        {},
        (),
        0.7,
    )


SOURCES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {"kind": "files", "path": "inbox", "until": None, "separator": ",", "dates": ()}),
    "Windows": ({"encoding": "cp1252", "separator": ";"}, {"encoding": "cp1252", "separator": ";"}),
    "tabs": ({"kind": "tsv", "separator": "\t"}, {"separator": ","}),  # as the files' names say
    "numbers": (
        {"columns": {"spend": ["1.234,5"] * 150 + ["17,25"] * 150}},
        {"decimal": ",", "thousands": "."},
    ),
    "dates": (
        {"columns": {"day": [f"{1 + at % 28:02}.{1 + at % 12:02}.2024" for at in range(300)]}},
        {"dates": ("%d.%m.%Y",)},
    ),
    "database": (
        {
            "kind": "sql",
            "origin": "${URL}",
            "table": "a.sales",
            "period": "week",
            "rows": 600,
            "days": 60,
        },
        {
            "kind": "sql",
            "url": "${URL}",
            "query": "SELECT * FROM a.sales",
            "period": "week",
            "path": "inbox",
        },
    ),
    "marks for no value": ({"nulls": ("\\N", "#NULL!")}, {"nulls": ("\\N", "#NULL!")}),
    "marks in a database": (
        {
            "kind": "sql",
            "origin": "${URL}",
            "table": "sales",
            "nulls": (".",),
            "rows": 600,
            "days": 60,
        },
        {"kind": "sql", "nulls": (".",)},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", SOURCES)
def test_later_files_are_read_the_same_way(case: str, work: Through, tmp_path: Path) -> None:
    table, expected = SOURCES[case]
    found, _, _ = settled(work(**table), tmp_path)
    assert {key: getattr(found.source, key) for key in expected} == expected
    assert found.source.module is None


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "sql"])
def test_a_newest_batch_that_cannot_judge_waits_in_every_kind_of_source(
    kind: str, work: Through, tmp_path: Path
) -> None:
    given = {"origin": "${URL}", "table": "sales"} if kind == "sql" else {}
    days = [datetime(2023, 1, 1) + timedelta(days=at // 30) for at in range(5440)]  # noqa: DTZ001
    made = work(5440, kind=kind, columns={"day": [f"{day:%Y-%m-%d}" for day in days]}, **given)
    found, _, _ = settled(made, tmp_path)
    assert (found.source.kind, found.source.until) == (
        "sql" if kind == "sql" else "files",
        made.batches.until,
    )
    assert made.batches.until == "2023-06"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "days", "depth", "window", "new_rows"),
    [(300, 300, 3, None, 30), (1200, 360, 3, None, 100), (6000, 360, 6, None, 500)],
)
def test_small_tables_get_small_trees(
    rows: int,
    days: int,
    depth: int,
    window: int | None,
    new_rows: int,
    work: Through,
    tmp_path: Path,
) -> None:
    found, _, _ = settled(work(rows, days), tmp_path)
    assert (found.train.max_depth, found.split.train_batches) == (depth, window)
    assert found.retrain.min_new_rows == pytest.approx(new_rows, rel=0.15)


@pytest.mark.slow
def test_what_a_person_has_set_lower_stays(work: Through, tmp_path: Path) -> None:
    found, _, changes = settled(work(), tmp_path, DEFAULTS.replace("max_depth: 6", "max_depth: 2"))
    assert found.train.max_depth == 2
    assert not [change for change in changes if "max_depth" in change]


@pytest.mark.slow
def test_how_others_write_null_is_left_as_it_is(work: Through, tmp_path: Path) -> None:
    """DVC's record is written by the same library, in the same process."""
    settled(work(), tmp_path, EXAMPLE)
    written = io.StringIO()
    YAML().dump({"until": None}, written)
    assert written.getvalue() == "until:\n"
