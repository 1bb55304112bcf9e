"""Ingest: each batch once, whole, unchanged; what is refused leaves the old batch as it was."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest
from conftest import month
from inbox import MONTHS, few, refusal_of_ingest
from polars.testing import assert_frame_equal

from evergreen.errors import InputError
from evergreen.files import sha256_of_file
from evergreen.ingest.batches import Ingested, check_unchanged, find_waiting, ingest
from evergreen.ingest.manifest import Manifest
from late_flights import flights
from late_flights.dataset import dataset


@pytest.mark.slow
def test_everything_is_taken_and_recorded(filled: Any) -> None:
    assert ingest(filled.project, filled.dataset, filled.params()) == Ingested(MONTHS, MONTHS)
    entries = Manifest(filled.project.raw).entries
    assert sorted(path.name for path in filled.project.raw.iterdir()) == [
        *(f"{name}.parquet" for name in MONTHS),
        "manifest.json",
    ]
    for name in MONTHS:
        path, rows = filled.project.raw / f"{name}.parquet", few(name)
        assert_frame_equal(pl.read_parquet(path), rows)
        assert entries[name]["files"] == {f"raw/{name}.parquet": sha256_of_file(path)}
        assert entries[name]["rows"] == rows.height
        assert entries[name]["start"] == str(rows[dataset.time].min())
        assert entries[name]["end"] == str(rows[dataset.time].max())


@pytest.mark.slow
@pytest.mark.parametrize("names", [(), MONTHS], ids=["all", "by name"])
def test_again_changes_nothing(
    filled: Any, snapshot: Callable[..., Any], names: tuple[str, ...]
) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    before = snapshot(filled.project.raw)
    assert ingest(filled.project, filled.dataset, filled.params(), names) == Ingested((), MONTHS)
    assert snapshot(filled.project.raw) == before


@pytest.mark.slow
def test_example_again_changes_nothing(site: Any, snapshot: Callable[..., Any]) -> None:
    params = site.params(
        source={"kind": "python", "module": "late_flights.flights", "until": "2013-01"}
    )
    assert ingest(site.project, site.dataset, params).new == ("2013-01",)
    assert_frame_equal(
        pl.read_parquet(site.project.raw / "2013-01.parquet"), flights.read("2013-01")
    )
    before = snapshot(site.project.raw)
    assert ingest(site.project, site.dataset, params).new == ()
    assert snapshot(site.project.raw) == before


@pytest.mark.slow
def test_same_rows_in_a_new_file_leave_the_batch_alone(
    filled: Any, snapshot: Callable[..., Any]
) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    raw = filled.project.raw / "2013-01.parquet"
    before = snapshot(raw.parent)[str(raw)]
    (filled.inbox / "2013-01.parquet").unlink()
    few("2013-01").write_csv(filled.inbox / "2013-01.csv")
    assert [
        offer.name
        for offer in list(find_waiting(filled.project, filled.dataset, filled.params()).offers)
    ] == ["2013-01"]
    assert ingest(filled.project, filled.dataset, filled.params()) == Ingested((), MONTHS)
    assert snapshot(raw.parent)[str(raw)] == before
    assert [
        offer.name
        for offer in list(find_waiting(filled.project, filled.dataset, filled.params()).offers)
    ] == []


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_every_format_gives_the_same_raw_batch(site: Any, suffix: str) -> None:
    few("2013-01").write_csv(
        site.inbox / f"text{suffix}", separator="\t" if suffix == ".tsv" else ","
    )
    few("2013-01").write_parquet(site.inbox / "binary.parquet")
    ingest(site.project, site.dataset, site.params())
    text, binary = (
        pl.read_parquet(site.project.raw / f"{name}.parquet") for name in ("text", "binary")
    )
    assert_frame_equal(text, binary)
    assert binary.schema == dataset.columns


def test_raw_keeps_what_does_not_fit_and_what_is_not_declared(site: Any) -> None:
    third = pl.int_range(pl.len()) == 2
    frame = few("2013-01").with_columns(
        temp=pl.when(third).then(pl.lit("warm")).otherwise(pl.col("temp").cast(pl.String)),
        gate=pl.lit("B7"),
    )
    site.deliver({"2013-01": frame.drop("visib")})
    ingest(site.project, site.dataset, site.params())
    assert_frame_equal(pl.read_parquet(site.project.raw / "2013-01.parquet"), frame.drop("visib"))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["touched", "written anew", "in another format"])
@pytest.mark.parametrize("names", [(), ("2013-02",)], ids=["all", "by name"])
def test_a_file_whose_time_alone_changed_stays_as_it_was_recorded(
    filled: Any, how: str, names: tuple[str, ...]
) -> None:
    """Copies, restores and rsync do that; what is there is then still what was ingested."""
    ingest(filled.project, filled.dataset, filled.params())
    path = filled.inbox / "2013-02.parquet"
    if how == "touched":
        os.utime(path, (0, 0))
    elif how == "written anew":
        path.write_bytes(path.read_bytes())
    else:
        path.unlink()
        few("2013-02").write_csv(path.with_suffix(".csv"))
    assert ingest(filled.project, filled.dataset, filled.params(), names).new == ()
    check_unchanged(filled.project)
    assert list(find_waiting(filled.project, filled.dataset, filled.params()).offers) == []
    assert ingest(
        filled.project, filled.dataset, filled.params(), ["2013-02"], replace=True, check=True
    ).new == ("2013-02",)
    assert ingest(filled.project, filled.dataset, filled.params(), check=True) == Ingested(
        (), MONTHS
    )


@pytest.mark.slow
def test_a_source_of_other_code_that_delivers_the_same_is_the_same(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "from late_flights import flights\n"
        "read = lambda name: flights.read(name).head(9)\n"
        "origin = lambda: 'a'\n"
    )
    (tmp_path / "own_months.py").write_text(
        code + "batches = lambda: ['2013-1', '2013-10', '2013-2']\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    params = site.params(source={"kind": "python", "module": "own_months"})
    assert ingest(site.project, site.dataset, params).new == ("2013-1", "2013-2", "2013-10")
    with (tmp_path / "own_months.py").open("a") as file:
        file.write("# other code\n")
    assert ingest(site.project, site.dataset, params, check=True).new == ()
    check_unchanged(site.project)


def test_a_broken_file_after_a_touched_one_stops_and_then_is_gone(filled: Any) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    (filled.inbox / "2013-02.parquet").touch()
    (filled.inbox / "2013-04.csv").write_text("a,b\n1\n")
    refusal_of_ingest(filled, "2013-04.csv", "CSV", check=True)
    (filled.inbox / "2013-04.csv").unlink()
    assert ingest(filled.project, filled.dataset, filled.params(), check=True) == Ingested(
        (), MONTHS
    )


def test_a_changed_manifest_names_the_batch_and_the_way_back(filled: Any) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    path = filled.project.raw / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 30', '"rows": 31', 1))
    with pytest.raises(
        InputError,
        match=r"manifest.json was changed .*batch '2013-01'.*dvc checkout --force data/raw",
    ):
        check_unchanged(filled.project)
    assert ingest(
        filled.project, filled.dataset, filled.params(), ["2013-01"], replace=True, check=True
    ).new == ("2013-01",)
    check_unchanged(filled.project)


# --- elsewhere


def test_ingest_from_a_url(site: Any) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/2013-01.csv", few("2013-01").write_csv().encode())
    params = site.params(source={"kind": "files", "path": "memory://bucket/*.csv"})
    try:
        assert ingest(site.project, site.dataset, params).new == ("2013-01",)
        assert ingest(site.project, site.dataset, params).new == ()
        assert_frame_equal(pl.read_parquet(site.project.raw / "2013-01.parquet"), few("2013-01"))
    finally:
        memory.rm("/bucket", recursive=True)


@pytest.mark.slow
def test_ingest_from_a_query(
    make_project: Callable[..., Any], read_params: Callable[..., Any], tmp_path: Path
) -> None:
    content = pl.concat([month(name) for name in MONTHS]).with_columns(
        pl.col(dataset.time).cast(pl.String)
    )
    with closing(sqlite3.connect(tmp_path / "flights.db")) as connection, connection:
        connection.execute(f"CREATE TABLE flights ({', '.join(dataset.columns)})")
        connection.executemany(
            f"INSERT INTO flights VALUES ({', '.join('?' * content.width)})", content.rows()
        )
    url = f"sqlite:///{tmp_path}/flights.db"
    project = make_project(source={"kind": "sql", "url": url, "query": "SELECT * FROM flights"})
    assert ingest(project, dataset, read_params(project)).new == MONTHS
    for name in MONTHS:
        found = pl.read_parquet(project.raw / f"{name}.parquet")
        assert_frame_equal(found, month(name), check_row_order=False)
    assert ingest(project, dataset, read_params(project), MONTHS).new == ()


def test_waiting_names_new_and_changed_batches(filled: Any) -> None:
    assert [
        offer.name
        for offer in list(find_waiting(filled.project, filled.dataset, filled.params()).offers)
    ] == list(MONTHS)
    ingest(filled.project, filled.dataset, filled.params(), ["2013-01", "2013-02"])
    assert [
        offer.name
        for offer in list(find_waiting(filled.project, filled.dataset, filled.params()).offers)
    ] == ["2013-03"]
    filled.deliver({"2013-02": few("2013-02", 5)})
    assert [
        offer.name
        for offer in list(find_waiting(filled.project, filled.dataset, filled.params()).offers)
    ] == [
        "2013-02",
        "2013-03",
    ]


def test_manifest_is_plain_sorted_json(filled: Any) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    text = (filled.project.raw / "manifest.json").read_text()
    entries = json.loads(text)
    assert list(entries) == sorted(entries)
    assert text.count("\n") == len(entries) + 2  # one a line
    assert all(json.dumps(entry, sort_keys=True) in text for entry in entries.values())


def test_a_file_touched_after_a_column_was_declared_otherwise_is_the_same_batch(filled):
    ingest(
        filled.project,
        replace(dataset, columns={**dataset.columns, "distance": pl.String()}),
        filled.params(),
    )
    (filled.inbox / "2013-02.parquet").touch()
    assert ingest(filled.project, filled.dataset, filled.params()).new == ()
    few("2013-02").with_columns(pl.col("distance") + 1).write_parquet(
        filled.inbox / "2013-02.parquet"
    )
    refusal_of_ingest(filled, "'2013-02'", "other content")
