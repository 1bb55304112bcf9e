"""INGEST: what data/raw holds of files in every form, of a query and of a module."""

from __future__ import annotations

import gzip
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl
from recipes.plain import (
    a_project,
    entries,
    params_of,
    plain,
    refused,
)

from evergreen.dataset import ORDER, Dataset
from evergreen.ingest.batches import ingest
from evergreen.ingest.manifest import Manifest
from evergreen.project import Project

SHOP = Dataset(
    columns={
        "id": pl.Int64(), "at": pl.Datetime("us"), "day": pl.Date(), "amount": pl.Float64(),
        "kind": pl.String(), "ok": pl.Boolean(), "clock": pl.Time(), "size": pl.Int8(),
    },
    key=("id",), time="at", label=pl.col("ok"), known_later=("ok",),
    features={"amount": pl.col("amount")},
)  # fmt: skip
LINES = """id;at;day;amount;kind;ok;clock;size
1;05.01.2013 12:30;2013-01-05;1.234,50;plain;yes;12:30:00;5
 2 ;2013-01-06T08:00:00Z;06.01.2013;-3;"with; semicolon";F;08:00;5.0
3;07.01.2013 00:00;2013-01-07;12;"two
lines";1.0;00:00:01;300

4;;\\N;many;NA;perhaps;late;
23.0;08.01.2013 23:59;2013-01-08;1e3; padded ;TRUE;;-7
"""


def deliver(inbox: Path) -> None:
    """Fill an inbox with one batch in each form."""
    text = LINES.encode("cp1252")
    (inbox / "2013-01-a.csv").write_bytes(text)
    (inbox / "2013-01-b.csv.gz").write_bytes(gzip.compress(text.replace(b"2013", b"2014")))
    (inbox / "2013-01-c.tsv").write_bytes(
        "id\tat\tkind\n7\t2013-02-01 10:00\tM\u00fcller\n8\t03.02.2013 11:00\t?\n".encode("cp1252")
    )
    numbers = {
        "id": [9.0, 10.5],
        "at": ["2013-03-01", "2. 3. 2013"],
        "amount": ["1,5", None],
        "more": [[1], [2, 3]],
    }
    pl.DataFrame(numbers).write_parquet(inbox / "2013-10.parquet")
    pl.DataFrame(
        {"id": [11], "at": [date(2013, 4, 1)], "day": [datetime.fromisoformat("2013-04-01 10:00")]}
    ).write_parquet(inbox / "2013-9.parquet")
    clean = (
        "id;amount;ok;clock;size;day\n1;1.000,25;yes;12:30;5,0;05.01.2013\n"
        "2,0;NA;F;;n/a;-\n3;-2e2;0;23:59:59;-128;2013-01-06\n"
    )
    (inbox / "2013-11.csv").write_bytes(clean.encode())
    (inbox / "readme.md").write_text("no batch")
    (inbox / ".hidden.csv").write_text("id\n1\n")


def taken(project: Project, dataset: Dataset, done: Any) -> Any:
    """Return what an ingest said, and what data/raw holds."""
    raw = Manifest(project.raw)
    frames = {name: plain(pl.read_parquet(raw.file(name))) for name in raw.in_order()}
    listed = entries(raw) if dataset.has_time_column else list(frames)
    return [list(done.new), list(done.batches), len(done.passed_over), listed, frames]


def ingest_files() -> Any:
    with a_project() as (project, inbox):
        deliver(inbox)
        source = {"kind": "files", "path": str(inbox), "encoding": "cp1252", "separator": ";",
                  "decimal": ",", "thousands": ".",
                  "dates": ["%d.%m.%Y %H:%M", "%d.%m.%Y", "%d. %m. %Y"],
                  "nulls": ["\\N"]}  # fmt: skip
        params = params_of(source=source)
        first = taken(project, SHOP, ingest(project, SHOP, params, following=True))
        whole = taken(project, SHOP, ingest(project, SHOP, params))
        pl.DataFrame({"id": [99], "at": [date(2013, 4, 1)]}).write_parquet(inbox / "2013-9.parquet")
        changed = refused(lambda: ingest(project, SHOP, params))
        again = taken(project, SHOP, ingest(project, SHOP, params, ["2013-9"], replace=True))
        until = params_of(source=source | {"until": "2013-01-b"})
        return [
            first,
            whole,
            changed,
            again[0],
            again[4]["2013-9"],
            list(ingest(project, SHOP, until).new),
        ]


def ingest_query() -> Any:
    with a_project() as (project, inbox):
        with closing(sqlite3.connect(inbox / "shop.db")) as base, base:
            base.execute(
                "CREATE TABLE sales (id INTEGER, at TEXT, amount TEXT, kind TEXT, ok INTEGER)"
            )
            rows = [
                (
                    number,
                    f"2013-{number % 3 + 1:02}-{number + 1:02} 10:0{number}:00",
                    f"{number}.5",
                    "x" * number,
                    number % 2,
                )
                for number in range(10)
            ]
            base.executemany(
                "INSERT INTO sales VALUES (?, ?, ?, ?, ?)",
                [*rows, (10, "2013-06-01 00:00:00", None, None, None)],
            )
        query = "SELECT id, at, amount, kind, ok FROM sales;"
        found = []
        for period in ("month", "week", "day"):
            source = {
                "kind": "sql",
                "url": f"sqlite:///{inbox}/shop.db",
                "query": query,
                "period": period,
            }
            other = Project(project.root / period)
            found.append(taken(other, SHOP, ingest(other, SHOP, params_of(source=source))))
        return found


def ingest_module() -> Any:
    """Months of flights by a module; rows by number, by order and without any time."""
    with a_project() as (project, inbox):
        (inbox / "golden_source.py").write_text(
            "import polars as pl\ndef batches(): return ['b-10', 'b-9', 'b-1']\ndef origin(): "
            "return 'golden'\ndef read(name): return "
            "pl.DataFrame({'year': [3, 1, 2], 'id': [name, 'x', None], 'ok': ['t', '0', '?']})\n"
        )
        found = []
        columns = {"year": pl.Int32(), "id": pl.String(), "ok": pl.Boolean()}
        with mock.patch.object(sys, "path", [str(inbox), *sys.path]):
            for time in ("year", ORDER, ""):
                other = Project(project.root / (time.strip("<>") or "none"))
                dataset = replace(SHOP, columns=columns, key=(), time=time, known_later=())
                done = ingest(
                    other, dataset, params_of(source={"kind": "python", "module": "golden_source"})
                )
                found.append(taken(other, dataset, done))
        sys.modules.pop("golden_source", None)
        return found


CASES = {"files": ingest_files, "a query": ingest_query, "a module": ingest_module}
