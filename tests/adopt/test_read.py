"""Read: every way a table comes, and one clear sentence for each that cannot be read."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from evergreen.adopt.read import read
from evergreen.errors import InputError
from evergreen.ingest import memory

ROWS = 40


def text(separator: str = ",", header: str = "id,größe,note", end: str = "\n") -> str:
    lines = [header, *(f'{at},{at / 4},"a {at}, b"' for at in range(ROWS))]
    if separator != ",":
        lines = [
            line.replace('"', "").replace(", b", " b").replace(",", separator) for line in lines
        ]
    return end.join([*lines, ""])


@pytest.mark.parametrize(
    ("name", "content", "encoding", "separator"),
    [
        ("plain.csv", text().encode(), "utf-8", ","),
        ("bom.csv", text().encode("utf-8-sig"), "utf-8", ","),
        ("windows.csv", text(end="\r\n").encode("cp1252"), "cp1252", ","),
        ("german.csv", text(";").encode(), "utf-8", ";"),
        ("bars.txt", text("|").encode(), "utf-8", "|"),
        ("tabs.tsv", text("\t").encode(), "utf-8", "\t"),
        ("tabs.csv", text("\t").encode(), "utf-8", "\t"),
        ("no_end.csv", text().encode().rstrip(), "utf-8", ","),
    ],
)
def test_text_is_read_in_the_dialect_it_is_written_in(
    name: str, content: bytes, encoding: str, separator: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    found = read(str(tmp_path / name))
    assert (found.encoding, found.separator, found.rows.columns) == (
        encoding,
        separator,
        ["id", "größe", "note"],
    )
    assert found.rows["größe"].to_list() == [str(at / 4) for at in range(ROWS)]
    assert found.place(3) == "line 5"
    assert [warning.kind for warning in found.warnings] == (
        ["encoding"] if encoding != "utf-8" else []
    )
    assert found.content == content


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("packing", PACK)
def test_a_packed_file_is_read_and_kept_unpacked(packing: str, tmp_path: Path) -> None:
    (tmp_path / f"a.CSV.{packing}").write_bytes(PACK[packing](text().encode()))
    found = read(str(tmp_path / f"a.CSV.{packing}"))
    assert (found.name, found.kind, found.content) == ("a", "csv", text().encode())


def test_texts_that_say_that_there_is_no_value_are_found_or_named(tmp_path: Path) -> None:
    content = text().replace("7,1.75", "7,\\N").replace("8,2.0", "8,-999")
    (tmp_path / "a.csv").write_text(content)
    for named, missing in (((), [7]), (("-999",), [7, 8])):
        found = read(str(tmp_path / "a.csv"), nulls=named)
        assert found.nulls == (*named, "\\N")
        assert found.rows["größe"].is_null().arg_true().to_list() == missing
        assert [warning.kind for warning in found.warnings] == ["no value"]
        assert found.content == content.encode()


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"a\.csv is a named pipe, not a readable file"):
        read(str(tmp_path / "a.csv"))


def test_what_does_not_fit_into_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 10_000)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text().encode() * 100))
    pl.DataFrame({"x": pl.zeros(10**6, eager=True)}).write_parquet(tmp_path / "a.parquet")
    for name in ("a.csv.gz", "a.parquet"):
        with pytest.raises(InputError, match=rf"{name} takes at least .* GB of memory"):
            read(str(tmp_path / name))


def test_fields_with_line_breaks_make_rows_of_lines(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text().replace("a 3, b", "a 3,\nb"))
    assert read(str(tmp_path / "a.csv")).place(3) == "row 4"


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": range(ROWS), "x": [0.5] * ROWS})
    frame.write_parquet(tmp_path / "a.parquet")
    found = read(str(tmp_path / "a.parquet"))
    assert found.kind == "parquet"
    assert found.rows.equals(frame)


REFUSED: dict[str, tuple[str, bytes | None, str]] = {
    "missing": ("gone.csv", None, "there is no such file"),
    "empty": ("a.csv", b"", "is empty"),
    "blank": ("a.csv", b"\n\n", "is empty"),
    "only a header": ("a.csv", b"a,b\n", "has 0 rows: at least 30"),
    "few rows": ("a.csv", b"a,b\n" + b"1,2\n" * 29, "has 29 rows: at least 30"),
    "spreadsheet": (
        "a.xlsx",
        b"PK\x03\x04rest",
        "is a spreadsheet or an archive: export the table as CSV",
    ),
    "renamed spreadsheet": ("a.csv", b"PK\x03\x04rest", "is a spreadsheet or an archive"),
    "binary": ("a.csv", b"a,b\n\0\1", "is no CSV, TSV or Parquet file"),
    "another suffix": ("a.json", b"{}", "is no CSV, TSV or Parquet file"),
    "one column": ("a.csv", b"a\n" + b"1\n" * 40, "line 1: no field separator"),
    "duplicate names": ("a.csv", text(header="id,id,note").encode(), "the header names 'id' twice"),
    "empty name": ("a.csv", text(header=",b,note").encode(), "column 1 has no name in the header"),
    "no header": ("a.csv", b"1.5,2.5,a\n" * 40, "line 1: 1.5, 2.5, a: these are values"),
    "pattern": (
        "a.csv",
        text(header="^id.*$,b,note").encode(),
        "a column cannot be called '^id.*$'",
    ),
    "too few fields": (
        "a.csv",
        text().replace("7,1.75", "7").encode(),
        "line 9: 2 fields where the header has 3",
    ),
    "too many fields": (
        "a.csv",
        text().replace("7,1.75", "7,8,9").encode(),
        "line 9: 4 fields where the header has 3",
    ),
    "cut Parquet": ("a.parquet", b"PAR1rest", "cannot be read as Parquet"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_in_one_sentence(case: str, tmp_path: Path) -> None:
    name, content, says = REFUSED[case]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(str(tmp_path / name))
    assert says in str(caught.value)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder: name one file of it"):
        read(str(tmp_path))


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE sales (id INTEGER, day TEXT)")
        connection.executemany(
            "INSERT INTO sales VALUES (?, ?)", [(at, "2024-01-05") for at in range(ROWS)]
        )
        connection.commit()
    return f"sqlite:///{path}"


def test_a_table_of_a_database_is_read(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP", database)
    for url in (database, "${SHOP}"):
        found = read(url, "sales")
        assert (found.kind, found.table, found.origin, found.rows.height) == (
            "sql",
            "sales",
            url,
            ROWS,
        )


@pytest.mark.parametrize(
    ("url", "table", "says"),
    [
        ("{}", None, "needs --table"),
        (
            "{}",
            "gone",
            "table gone: there is no such table or view (NAME or SCHEMA.NAME); there are 'sales'",
        ),
        (
            "{}",
            "sales; DROP TABLE sales",
            "there is no such table or view (NAME or SCHEMA.NAME); there are 'sales'",
        ),
        ("{}", "sales%", "a name with %, : or"),
        ("${NOT_THERE}", "sales", "the environment lacks NOT_THERE"),
        ("postgresql://me:secret@host/db", "sales", "holds a password"),
        ("nothing://host/db", "sales", "nothing://host/db, table sales"),
    ],
)
def test_a_database_that_cannot_be_read_is_refused(
    url: str, table: str | None, says: str, database: str
) -> None:
    with pytest.raises(InputError) as caught:
        read(url.replace("{}", database), table)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


NAMES = ("camelCase", "order", "two words", "größe", 'a"b', "sales")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("schema", ["", "main."])
def test_a_table_of_any_name_is_read(name: str, schema: str, tmp_path: Path) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute(f"CREATE TABLE {quoted} (id INTEGER, day TEXT)")
        connection.executemany(
            f"INSERT INTO {quoted} VALUES (?, ?)", [(at, "2024-01-05") for at in range(ROWS)]
        )
    found = read(f"sqlite:///{tmp_path}/shop.db", schema + name)
    assert (found.name, found.rows.height) == (name, ROWS)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        assert len(connection.execute(f"SELECT * FROM {found.table}").fetchall()) == ROWS


def test_a_name_in_other_capitals_is_the_tables(database: str) -> None:
    assert read(database, "Sales").rows.height == ROWS


def test_no_error_shows_what_the_environment_holds(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP", "postgresql+nodriver://me:secret@host/db")
    with pytest.raises(InputError) as caught:
        read("${SHOP}", "sales")
    assert "secret" not in str(caught.value)
    assert "${SHOP}, table sales" in str(caught.value)


def test_ids_of_a_kind_that_only_databases_have_are_read_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL's uuid comes from the driver as an object; here SQLite makes it."""
    uid = "89326063-e55d-4982-9130-159593b66ed5"
    monkeypatch.setitem(sqlite3.converters, "UUID", lambda held: uuid.UUID(held.decode()))
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE sales (uid UUID, day TEXT)")
        connection.executemany("INSERT INTO sales VALUES (?, '2024-01-05')", [(uid,)] * ROWS)
    url = f"sqlite:///{tmp_path}/shop.db?detect_types={sqlite3.PARSE_DECLTYPES}"
    assert read(url, "sales").rows["uid"].to_list() == [uid] * ROWS
