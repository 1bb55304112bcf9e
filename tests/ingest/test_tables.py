"""Tables: damaged files and wrong encodings are refused, with what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from conftest import refusal
from inbox import files
from polars.testing import assert_frame_equal

from evergreen.ingest.tables import read_csv


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "utf8"])
def test_byte_order_mark_is_no_part_of_a_name(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfname,price\nx,1\n")
    assert files(tmp_path, encoding=encoding).read("a").columns == ["name", "price"]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "not ended"])
def test_line_ends(tmp_path: Path, ending: str, last: bool) -> None:
    text = ending.join(["name,price", "x,1", "y,2"]) + (ending if last else "")
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert files(tmp_path).read("a").rows() == [("x", "1"), ("y", "2")]


def test_quoted_text_keeps_separators_and_line_ends(tmp_path: Path) -> None:
    frame = pl.DataFrame({"name": ['a, "b"\nc', "d"], "price": ["1", "2"]})
    frame.write_csv(tmp_path / "a.csv")
    assert_frame_equal(files(tmp_path).read("a"), frame)


PARQUET_MAGIC = b"PAR1"
DAMAGED: list[tuple[str, bytes, tuple[str, ...]]] = [
    ("a.csv", b"", ("a.csv", "empty (0 bytes)", "deliver it again")),
    ("a.parquet", b"", ("a.parquet", "empty (0 bytes)", "deliver it again")),
    ("a.parquet", b"x,y\n1,2\n", ("a.parquet", "Parquet", "deliver it again")),
    ("a.parquet", PARQUET_MAGIC, ("a.parquet", "Parquet", "deliver it again")),
    ("a.csv", b"\n", ("a.csv", "CSV", "deliver it again")),
    ("a.csv", b"x,y\n1,2\n1,2,3\n", ("a.csv", "CSV", "deliver it again")),
    ("a.csv", b"x,y,z\n1,2,3\n1,2\n4,5,6\n", ("a.csv", "CSV", "deliver it again")),
    ("a.csv", b"x,y,z\n1,2,3\n1,", ("a.csv", "CSV", "deliver it again")),
    ("a.csv", b'x,y\n1,"2\n3,4\n', ("a.csv", "CSV", "deliver it again")),
]
DAMAGES = [
    "empty csv",
    "empty parquet",
    "csv as parquet",
    "magic only",
    "blank line",
    "long row",
    "short row",
    "cut in a row",
    "open quote",
]


@pytest.mark.parametrize(("file", "content", "parts"), DAMAGED, ids=DAMAGES)
def test_damaged_files_are_refused(
    tmp_path: Path, file: str, content: bytes, parts: tuple[str, ...]
) -> None:
    (tmp_path / file).write_bytes(content)
    refusal(lambda: files(tmp_path).read("a"), str(tmp_path), *parts)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_parquet_cut_short_is_refused(tmp_path: Path, rows: pl.DataFrame, share: float) -> None:
    path = tmp_path / "a.parquet"
    rows.write_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refusal(
        lambda: files(tmp_path).read("a"),
        str(path),
        "Parquet",
        "incomplete or damaged",
        "deliver it again",
    )


@pytest.mark.parametrize(
    ("content", "line", "byte"),
    [
        (b"name\nok\ncaf\xe9\n", 3, "0xe9"),
        (b"na\xefve\nok\n", 1, "0xef"),
        (b"name\r\nok\r\nok\r\n\xff\r\n", 4, "0xff"),
        (b"\xef\xbb\xbfname\nok\n\xe9\n", 3, "0xe9"),
    ],
    ids=["third line", "header", "windows ends", "byte order mark"],
)
def test_wrong_encoding_names_line_and_byte(
    tmp_path: Path, content: bytes, line: int, byte: str
) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    refusal(
        lambda: files(tmp_path).read("a"),
        f"{tmp_path}/a.csv, line {line}:",
        f"byte {byte} is not utf-8",
        "source.encoding",
        "cp1252",
    )


@pytest.mark.parametrize("encoding", ["klingon", "base64", "rot13"])
def test_unknown_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    refusal(lambda: files(tmp_path, encoding=encoding).read("a"), "source.encoding", repr(encoding))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name,size\nx,1\nann@x.org,2,3\n", "Row #3: Expected 2 columns, got 3)"),
        (b"name,size\nx,1\nann@x.org\n", "Row #3: Expected 2 columns, got 1)"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_not_shown(content: bytes, said: str) -> None:
    assert "ann@" not in refusal(lambda: read_csv(content, "a.csv", ","), "a.csv", said)


def test_a_first_row_is_not_shown_as_names_unless_they_are_known() -> None:
    rows = b"ann@x.org,ann@x.org\n1,2\n"
    refusal(lambda: read_csv(rows, "a.csv", ","), "names 'ann@x.org' twice")
    assert "ann@" not in refusal(lambda: read_csv(rows, "a.csv", ",", ["size"]), "a column twice")
    refusal(lambda: read_csv(b"size,size\n1,2\n", "a.csv", ",", ["size"]), "'size' twice")


THREADS = """
import os
import sys
import pyarrow.csv
from evergreen.errors import InputError
from evergreen.ingest.tables import read_csv

before = len(os.listdir("/proc/self/task"))
try:
    read_csv(b"id,day\\n1\\n", "a.csv", ",")
except InputError:
    print(len(os.listdir("/proc/self/task")) - before)
    sys.exit(1)
"""


@pytest.mark.slow
def test_no_thread_that_parses_is_left_where_a_file_is_refused() -> None:
    """One that still runs when the process ends aborts it now and then, with code 134."""
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert int(done.stdout) <= 1  # which hands the bytes over, and waits
