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
from polars.testing import assert_frame_equal

from evergreen.errors import InputError
from evergreen.files import sha256_of_file
from evergreen.ingest.batches import Ingested, Waiting, check_unchanged, ingest, look
from evergreen.ingest.manifest import Manifest
from evergreen.quality.held_batches import find_held
from late_flights import flights
from late_flights.dataset import dataset

MONTHS = ("2013-01", "2013-02", "2013-03")


def few(name: str, rows: int = 30) -> pl.DataFrame:
    """The first rows of a real month."""
    return month(name).head(rows)


@pytest.fixture
def filled(site: Any) -> Any:
    """An inbox with three small months."""
    site.deliver({name: few(name) for name in MONTHS})
    return site


def changed_files(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """The names of the files that differ."""
    return {Path(path).name for path in before | after if before.get(path) != after.get(path)}


def refusal(site: Any, *parts: str, source: dict[str, Any] | None = None, **options: Any) -> str:
    """What the InputError of an ingest says; it must hold all `parts`."""
    params = site.params(source=source) if source else site.params()
    with pytest.raises(InputError) as caught:
        ingest(site.project, site.dataset, params, **options)
    said = str(caught.value)
    assert [part for part in parts if part not in said] == [], said
    return said


def said_by(work: Callable[[], object]) -> str | None:
    """What the InputError of `work` says, None where it works."""
    try:
        work()
    except InputError as error:
        return str(error)
    return None


def test_everything_is_taken_and_recorded(filled: Any) -> None:
    assert ingest(filled.project, filled.dataset, filled.params()) == Ingested(MONTHS, MONTHS)
    entries = Manifest(filled.project.raw).entries
    assert sorted(path.name for path in filled.project.raw.iterdir()) == [
        *(f"{name}.parquet" for name in MONTHS), "manifest.json"]  # fmt: skip
    for name in MONTHS:
        path, rows = filled.project.raw / f"{name}.parquet", few(name)
        assert_frame_equal(pl.read_parquet(path), rows)
        assert entries[name]["files"] == {f"raw/{name}.parquet": sha256_of_file(path)}
        assert entries[name]["rows"] == rows.height
        assert entries[name]["start"] == str(rows[dataset.time].min())
        assert entries[name]["end"] == str(rows[dataset.time].max())


@pytest.mark.parametrize("names", [(), MONTHS], ids=["all", "by name"])
def test_again_changes_nothing(
    filled: Any, snapshot: Callable[..., Any], names: tuple[str, ...]
) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    before = snapshot(filled.project.raw)
    assert ingest(filled.project, filled.dataset, filled.params(), names) == Ingested((), MONTHS)
    assert snapshot(filled.project.raw) == before


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


def test_same_rows_in_a_new_file_leave_the_batch_alone(
    filled: Any, snapshot: Callable[..., Any]
) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    raw = filled.project.raw / "2013-01.parquet"
    before = snapshot(raw.parent)[str(raw)]
    (filled.inbox / "2013-01.parquet").unlink()
    few("2013-01").write_csv(filled.inbox / "2013-01.csv")
    assert [
        one.name for one in list(look(filled.project, filled.dataset, filled.params()).offers)
    ] == ["2013-01"]
    assert ingest(filled.project, filled.dataset, filled.params()) == Ingested((), MONTHS)
    assert snapshot(raw.parent)[str(raw)] == before
    assert [
        one.name for one in list(look(filled.project, filled.dataset, filled.params()).offers)
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
    assert list(look(filled.project, filled.dataset, filled.params()).offers) == []
    assert ingest(
        filled.project, filled.dataset, filled.params(), ["2013-02"], replace=True, check=True
    ).new == ("2013-02",)
    assert ingest(filled.project, filled.dataset, filled.params(), check=True) == Ingested(
        (), MONTHS
    )


def test_a_source_of_other_code_that_delivers_the_same_is_the_same(
    site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from late_flights import flights\nread = lambda name: flights.read(name).head(9)\norigin = lambda: 'a'\n"
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
    refusal(filled, "2013-04.csv", "CSV", check=True)
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


# --- which batches
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("until", "taken"),
    [(None, MONTHS), ("2013-02", MONTHS[:2]), ("2013-02-15", MONTHS[:2]), ("2013", ()), ("2013-01", MONTHS[:1]),
     ("9", ()), ("9999", MONTHS)],
)  # fmt: skip
def test_until_is_the_newest_batch(filled: Any, until: str | None, taken: tuple[str, ...]) -> None:
    source = {"kind": "files", "path": str(filled.inbox), "until": until}
    if taken:
        assert ingest(filled.project, filled.dataset, filled.params(source=source)).new == taken
    else:
        refusal(filled, repr(until), "source.until", "params.yaml", source=source)


def test_next_takes_one_at_a_time_and_past_until(filled: Any) -> None:
    params = filled.params(source={"kind": "files", "path": str(filled.inbox), "until": "2013-01"})
    for place, name in enumerate(MONTHS):
        assert ingest(filled.project, filled.dataset, params, following=True) == Ingested(
            (name,), MONTHS[: place + 1]
        )
    refusal(filled, "no batch after '2013-03'", following=True)


NUMBERED = [f"orders-{number}" for number in range(1, 13)]


@pytest.fixture
def numbered(site: Any) -> Any:
    """An inbox with twelve batches named by number, all from one month."""
    site.deliver({name: few("2013-01", 5) for name in NUMBERED})
    return site


def test_until_counts_as_people_do(numbered: Any) -> None:
    for until, taken in (("orders-9", 9), ("orders-10", 10), (None, 12)):
        source = {"kind": "files", "path": str(numbered.inbox), "until": until}
        assert (
            list(ingest(numbered.project, numbered.dataset, numbered.params(source=source)).batches)
            == NUMBERED[:taken]
        )


def test_next_counts_as_people_do(numbered: Any) -> None:
    params = numbered.params()
    for name in NUMBERED:
        assert ingest(numbered.project, numbered.dataset, params, following=True).new == (name,)
    refusal(numbered, "no batch after 'orders-12'", following=True)


def test_batches_without_a_time_arrive_in_the_order_of_their_numbers(numbered: Any) -> None:
    numbered.declare(time="")
    assert ingest(numbered.project, numbered.dataset, numbered.params()).new == tuple(NUMBERED)
    assert list(Manifest(numbered.project.raw).in_order()) == NUMBERED


def test_files_that_are_passed_over_are_told(filled: Any) -> None:
    (filled.inbox / "2013-04.xlsx").write_bytes(b"PK")
    os.mkfifo(filled.inbox / "2013-05.csv")
    told = ("2013-04.xlsx (a spreadsheet: export it as CSV)", "2013-05.csv (a named pipe)")
    assert look(filled.project, filled.dataset, filled.params()).passed_over == told
    done = ingest(filled.project, filled.dataset, filled.params())
    assert (done.new, done.passed_over) == (MONTHS, told)
    assert look(filled.project, filled.dataset, filled.params()) == Waiting((), told)


def test_names_choose_batches(filled: Any) -> None:
    assert ingest(filled.project, filled.dataset, filled.params(), ["2013-03", "2013-01"]).new == (
        "2013-03",
        "2013-01",
    )
    assert ingest(filled.project, filled.dataset, filled.params()) == Ingested(("2013-02",), MONTHS)


def test_unknown_name_says_what_there_is(filled: Any) -> None:
    refusal(filled, "'2013-09'", "3 batches", "2013-01 to 2013-03", names=["2013-01", "2013-09"])
    assert not filled.project.raw.exists()


def test_order_of_batches_is_by_event_time(site: Any) -> None:
    site.deliver({"a": few("2013-03"), "b": few("2013-01"), "c": few("2013-02")})
    assert ingest(site.project, site.dataset, site.params()).batches == ("b", "c", "a")


@pytest.fixture
def unfinished(tmp_path: Path) -> dict[str, str]:
    """A SQL source whose only period is not over yet."""
    from datetime import UTC, datetime

    now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ")
    with closing(sqlite3.connect(tmp_path / "sales.db")) as connection, connection:
        connection.execute(f"CREATE TABLE sales ({dataset.time} TEXT)")
        connection.execute("INSERT INTO sales VALUES (?)", [now])
    return {
        "kind": "sql",
        "url": f"sqlite:///{tmp_path}/sales.db",
        "query": "SELECT * FROM sales",
        "period": "year",
    }


@pytest.mark.parametrize(
    "options", [{}, {"following": True}, {"names": ["2013"]}], ids=["all", "next", "by name"]
)
def test_source_that_has_nothing_yet(
    site: Any, unfinished: dict[str, str], options: dict[str, Any]
) -> None:
    said = refusal(site, "the source", source=unfinished, **options)
    assert "None" not in said
    assert not site.project.raw.exists()


def test_periods_without_rows_are_passed_over(site: Any, tmp_path: Path) -> None:
    """A shop that is closed on Sunday sells nothing that day."""
    rows = few("2013-01", 2).with_columns(
        pl.Series(dataset.time, ["2013-01-05 10:00:00", "2013-01-07 10:00:00"]).alias(dataset.time)
    )
    with closing(sqlite3.connect(tmp_path / "sales.db")) as connection, connection:
        connection.execute(f"CREATE TABLE sales ({', '.join(dataset.columns)})")
        connection.executemany(
            f"INSERT INTO sales VALUES ({', '.join('?' * rows.width)})", rows.rows()
        )
    source = {
        "kind": "sql",
        "url": f"sqlite:///{tmp_path}/sales.db",
        "query": "SELECT * FROM sales",
        "period": "day",
    }
    params = site.params(source=source)
    assert [one.name for one in list(look(site.project, site.dataset, params).offers)] == [
        "2013-01-05",
        "2013-01-06",
        "2013-01-07",
    ]
    assert ingest(site.project, site.dataset, params).new == ("2013-01-05", "2013-01-07")
    # It is known that nothing happened on the 6th
    assert list(look(site.project, site.dataset, params).offers) == []
    assert ingest(site.project, site.dataset, params).new == ()
    assert ingest(site.project, site.dataset, params, ["2013-01-06"]).batches == (
        "2013-01-05",
        "2013-01-07",
    )


# --- batches do not change
# --------------------------------------------------------------------------------------------

CHANGES: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "a value": lambda frame: frame.with_columns(distance=pl.col("distance") + 1),
    "a row less": lambda frame: frame.head(29),
    "a row more": lambda frame: pl.concat([frame, frame.tail(1)]),
    "order": lambda frame: frame.reverse(),
    "a column less": lambda frame: frame.drop("visib"),
    "a column more": lambda frame: frame.with_columns(gate=pl.lit("B7")),
    "a value gone": lambda frame: frame.with_columns(distance=pl.lit(None, dtype=pl.Int32)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("names", [(), ("2013-01",)], ids=["all", "by name"])
def test_other_content_under_a_known_name_is_refused(
    filled: Any,
    snapshot: Callable[..., Any],
    change: Callable[[pl.DataFrame], pl.DataFrame],
    names: tuple[str, ...],
) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    before = snapshot(filled.project.raw)
    changed = change(few("2013-01"))
    filled.deliver({"2013-01": changed})
    refusal(
        filled,
        "'2013-01'",
        "30 rows then",
        f"{changed.height} now",
        "evergreen ingest 2013-01 --replace",
        names=names,
    )
    assert snapshot(filled.project.raw) == before


def test_replace_takes_the_new_content(filled: Any, snapshot: Callable[..., Any]) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    before = snapshot(filled.project.raw)
    filled.deliver({"2013-01": few("2013-01", 20), "2013-02": few("2013-02", 20)})
    assert ingest(
        filled.project, filled.dataset, filled.params(), ["2013-01"], replace=True
    ).new == ("2013-01",)
    after = snapshot(filled.project.raw)
    assert changed_files(before, after) == {"2013-01.parquet", "manifest.json"}
    entry = Manifest(filled.project.raw).entries["2013-01"]
    assert entry["rows"] == 20
    assert entry["files"] == {
        "raw/2013-01.parquet": sha256_of_file(filled.project.raw / "2013-01.parquet")
    }
    assert Manifest(filled.project.raw).altered() == []


def test_refused_batch_after_a_good_one_keeps_the_good_one(filled: Any) -> None:
    (filled.inbox / "2013-02.parquet").write_bytes(b"PAR1")
    refusal(filled, "2013-02.parquet", "cannot be read as Parquet")
    assert list(Manifest(filled.project.raw).entries) == ["2013-01"]
    assert Manifest(filled.project.raw).altered() == []
    filled.deliver({"2013-02": few("2013-02")})
    assert ingest(filled.project, filled.dataset, filled.params()) == Ingested(MONTHS[1:], MONTHS)


# --- what cannot be taken
# ---------------------------------------------------------------------------------------------

HEADER = ",".join(dataset.columns).encode()

BAD_FILES: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "no bytes": ("x.csv", b"", ("x.csv", "empty (0 bytes)", "deliver it again")),
    "header only": ("x.csv", HEADER + b"\n", ("'x'", "no rows", "deliver it again")),
    "header only, not ended": ("x.csv", HEADER, ("'x'", "no rows", "deliver it again")),
    "not UTF-8": ("x.csv", HEADER + b"\n\n\xe9", ("x.csv, line 3", "0xe9", "source.encoding")),
    "too many fields": ("x.csv", b"a,b\n1,2,3\n", ("x.csv", "CSV", "deliver it again")),
    "cut Parquet": ("x.parquet", b"PAR1\x15\x04", ("x.parquet", "Parquet", "deliver it again")),
    "same stem": ("2013-01.csv", HEADER, ("2013-01.csv", "2013-01.parquet", "rename one")),
    "odd name": ("my file.csv", HEADER, ("my file.csv", "letters, digits")),
}


@pytest.mark.parametrize(("file", "content", "parts"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files_are_refused_and_old_batches_stay(
    filled: Any, snapshot: Callable[..., Any], file: str, content: bytes, parts: tuple[str, ...]
) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    before = snapshot(filled.project.raw)
    (filled.inbox / file).write_bytes(content)
    refusal(filled, *parts)
    assert snapshot(filled.project.raw) == before


def test_batch_of_no_rows_in_parquet_is_refused(site: Any) -> None:
    site.deliver({"2013-01": few("2013-01").clear()})
    refusal(site, "'2013-01'", "no rows", "take it out of the source")
    assert not list(site.project.raw.glob("*"))


@pytest.mark.parametrize("path", ["{inbox}/nowhere", "{inbox}", "nosuch://bucket"])
def test_source_that_is_not_there_is_named(site: Any, path: str) -> None:
    path = path.format(inbox=site.inbox)
    refusal(site, "source.path", path, source={"kind": "files", "path": path})


@pytest.mark.parametrize(
    "column",
    [pl.Series("temp", [[1.0], [2.0]]), pl.Series("carrier", [b"\xff", b"a"])],
    ids=["list", "bytes"],
)
def test_nested_columns_end_in_no_other_error(site: Any, column: pl.Series) -> None:
    site.deliver({"2013-01": few("2013-01", 2).with_columns(column)})
    said = said_by(lambda: ingest(site.project, site.dataset, site.params()))
    if said is None:
        assert_frame_equal(
            pl.read_parquet(site.project.raw / "2013-01.parquet").select(column.name),
            column.to_frame(),
        )
    else:
        assert column.name in said


@pytest.mark.parametrize("name", ["manifest", "split", "encoder"])
def test_names_of_the_projects_own_files_do_no_harm(site: Any, name: str) -> None:
    """A store often holds a manifest.csv beside the data; later stages keep files of these names."""
    from evergreen.features.prepare import prepare
    from evergreen.features.split import Split

    site.deliver({"2013-01": few("2013-01", 60), name: few("2013-02", 60)})
    said = said_by(lambda: ingest(site.project, site.dataset, site.params()))
    if said is not None:
        assert name in said
        return
    site.accept(
        {one: pl.read_parquet(site.project.raw / f"{one}.parquet") for one in ("2013-01", name)}
    )
    prepare(site.project, site.dataset, site.params(), find_held)
    prepare(site.project, site.dataset, site.params(), find_held)
    assert sorted(Manifest(site.project.features).entries) == sorted(["2013-01", name])
    assert Split.read(site.project.features / "split.json").train.batches == ("2013-01", name)
    assert Manifest(site.project.features).altered() == []


# --- after a crash, and what was altered
# ------------------------------------------------------------------------------


def test_file_without_an_entry_is_a_leftover_and_is_written_anew(filled: Any) -> None:
    filled.project.raw.mkdir(parents=True)
    (filled.project.raw / "2013-01.parquet").write_bytes(b"half")
    (filled.project.raw / ".part-abc.parquet").write_bytes(b"half")
    assert ingest(filled.project, filled.dataset, filled.params()).new == MONTHS
    assert_frame_equal(pl.read_parquet(filled.project.raw / "2013-01.parquet"), few("2013-01"))
    assert not list(filled.project.raw.glob(".part-*"))


def test_missing_file_is_taken_again(filled: Any) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    (filled.project.raw / "2013-02.parquet").unlink()
    assert ingest(filled.project, filled.dataset, filled.params()).new == ("2013-02",)
    assert Manifest(filled.project.raw).altered() == []


@pytest.mark.parametrize(
    ("how", "says"), [("changed", "was changed after it was ingested"), ("removed", "is missing")]
)
def test_altered_raw_file_stops_a_checked_ingest(filled: Any, how: str, says: str) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    check_unchanged(filled.project)
    path = filled.project.raw / "2013-02.parquet"
    path.unlink() if how == "removed" else few("2013-02", 9).write_parquet(path)
    refusal(filled, str(path), says, "dvc checkout --force", check=True)
    with pytest.raises(InputError, match=says):
        check_unchanged(filled.project)
    assert ingest(
        filled.project, filled.dataset, filled.params(), ["2013-02"], replace=True, check=True
    ).new == ("2013-02",)
    check_unchanged(filled.project)


def test_full_disk_leaves_the_old_batch(
    filled: Any, snapshot: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(filled.project, filled.dataset, filled.params())
    before = snapshot(filled.project.raw)
    filled.deliver({"2013-01": few("2013-01", 20)})

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        ingest(filled.project, filled.dataset, filled.params(), ["2013-01"], replace=True)
    monkeypatch.undo()
    assert snapshot(filled.project.raw) == before


# --- elsewhere
# --------------------------------------------------------------------------------------------------


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
        one.name for one in list(look(filled.project, filled.dataset, filled.params()).offers)
    ] == list(MONTHS)
    ingest(filled.project, filled.dataset, filled.params(), ["2013-01", "2013-02"])
    assert [
        one.name for one in list(look(filled.project, filled.dataset, filled.params()).offers)
    ] == ["2013-03"]
    filled.deliver({"2013-02": few("2013-02", 5)})
    assert [
        one.name for one in list(look(filled.project, filled.dataset, filled.params()).offers)
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
    assert all(json.dumps(one, sort_keys=True) in text for one in entries.values())


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
    refusal(filled, "'2013-02'", "other content")
