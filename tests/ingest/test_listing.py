"""Listing: every file of a source is taken, or named with the reason, or known to be nothing."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from evergreen.dataset import Dataset
from evergreen.errors import InputError
from evergreen.ingest.folder import Files
from evergreen.ingest.listing import few, form_of, special
from evergreen.ingest.values import typed
from evergreen.params import Source

dataset = Dataset(
    columns={"id": pl.Int64(), "size": pl.Float64(), "late": pl.Boolean()},
    label=pl.col("late"),
    known_later=("late",),
    features={},
)


ROWS = pl.DataFrame({"id": [1, 2], "size": [0.5, 1.5], "late": [True, False]})
TEXT = ROWS.write_csv().encode()


def files(path: Path, **options: Any) -> Files:
    return Files(Source(kind="files", path=str(path), **options), dataset)


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


def parquet(path: Path) -> bytes:
    ROWS.write_parquet(path.parent / "made")
    return (path.parent / "made").read_bytes()


TAKEN: dict[str, Callable[[Path], bytes]] = {
    "a.csv": lambda _: TEXT,
    "a.CSV": lambda _: TEXT,
    "a.Csv": lambda _: TEXT,
    "a.TSV": lambda _: TEXT.replace(b",", b"\t"),
    "a.tab": lambda _: TEXT.replace(b",", b"\t"),
    "a.txt": lambda _: TEXT,
    "a.TXT": lambda _: TEXT.replace(b",", b"\t"),
    "a.txt.gz": lambda _: gzip.compress(TEXT.replace(b",", b";")),
    "a.csv.gz": lambda _: gzip.compress(TEXT),
    "a.CSV.GZ": lambda _: gzip.compress(TEXT),
    "a.csv.bz2": lambda _: bz2.compress(TEXT),
    "a.csv.xz": lambda _: lzma.compress(TEXT),
    "a.csv.zst": lambda _: zstd(TEXT),
    "a.tsv.gz": lambda _: gzip.compress(TEXT.replace(b",", b"\t")),
    "a.parquet": parquet,
    "a.PARQUET": parquet,
    "a.parq": parquet,
    "a.pq": parquet,
    "a.parquet.gz": lambda path: gzip.compress(parquet(path)),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_can_be_read_is_taken(name: str, tmp_path: Path) -> None:
    content = TAKEN[name](tmp_path / name)
    for path in tmp_path.iterdir():
        path.unlink()
    (tmp_path / name).write_bytes(content)
    source = files(tmp_path)
    assert [offer.name for offer in source.offers()] == ["a"]
    assert source.passed_over == ()
    assert_frame_equal(typed(source.read("a"), dataset.columns), ROWS)


PASSED_OVER = {
    "a.xlsx": "a spreadsheet: export it as CSV",
    "a.XLS": "a spreadsheet",
    "a.json": "save it as CSV or Parquet",
    "a.jsonl": "save it as CSV or Parquet",
    "a.feather": "save it as CSV or Parquet",
    "a.orc": "save it as CSV or Parquet",
    "a.zip": "an archive: unpack it",
    "a.gz": "rename it to NAME.csv.gz",
    "a.zst": "rename it to NAME.csv.gz",
    "a.csv.part": "not finished",
    "a.csv.crdownload": "not finished",
    "a.csv.filepart": "not finished",
    "a.csv~": "not finished, or an editor's copy",
    "a.csv.swp": "an editor's copy",
    ".a.csv": "hidden",
    "a.pdf": "no CSV, TSV or Parquet file",
    "README": "no CSV, TSV or Parquet file",
    "notes.txt": "its first line does not name the columns of dataset.py",
    "notes.txt.gz": "cannot be read: Not a gzipped file",
}


@pytest.mark.parametrize("name", PASSED_OVER)
def test_what_cannot_be_read_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(TEXT)
    (tmp_path / name).write_bytes(b"id of a note\nsize,late\n")
    source = files(tmp_path)
    assert [offer.name for offer in source.offers()] == ["b"]
    (said,) = source.passed_over
    assert said.startswith(f"{name} (")
    assert PASSED_OVER[name] in said


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "Thumbs.db",
        "._a.csv",
        ".gitkeep",
        "_SUCCESS",
        ".a.csv.Xy12z",
        "~$a.xlsx",
        ".~lock.a.csv#",
    ],
)
def test_marks_of_other_tools_are_not_worth_a_word(name: str, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_bytes(TEXT)
    (tmp_path / name).write_bytes(b"")
    source = files(tmp_path)
    assert [offer.name for offer in source.offers()] == ["b"]
    assert source.passed_over == ()


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


SPECIAL: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (lambda path: os.mkfifo(path), "a named pipe"),
    "socket": (make_socket, "a socket"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "a device"),
    "folder": (lambda path: path.mkdir(), "a folder: source.path can be a pattern"),
    "link to a folder": (lambda path: path.symlink_to("/tmp"), "a folder"),
    "dangling link": (lambda path: path.symlink_to("nowhere"), "a link to nothing"),
    "link to itself": (lambda path: path.symlink_to(path.name), "a link that leads in a circle"),
}


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.parquet"])
@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_is_named_and_stops_nothing(
    kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, why = SPECIAL[kind]
    (tmp_path / "b.csv").write_bytes(TEXT)
    monkeypatch.chdir(tmp_path)
    make(tmp_path / name)
    source = files(tmp_path)
    assert [offer.name for offer in source.offers()] == ["b"]
    (said,) = source.passed_over
    assert said.startswith(f"{name} ({why}")


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_file_that_becomes_something_else_is_not_waited_for(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT)
    source = files(tmp_path)
    source.offers()
    (tmp_path / "a.csv").unlink()
    SPECIAL[kind][0](tmp_path / "a.csv")
    with pytest.raises(InputError, match=rf"a\.csv is {SPECIAL[kind][1]}, not a readable file"):
        source.read("a")


def test_a_link_out_of_the_folder_is_followed(tmp_path: Path) -> None:
    for folder in ("inbox", "elsewhere"):
        (tmp_path / folder).mkdir()
    there = tmp_path / "elsewhere" / "x.csv"
    there.write_bytes(TEXT)
    (tmp_path / "inbox" / "a.csv").symlink_to(there)
    source = files(tmp_path / "inbox")
    (before,) = source.offers()
    assert source.read("a").height == 2
    there.write_bytes(TEXT + b"3,2.5,true\n")
    (after,) = source.offers()
    assert before.origin != after.origin


def test_a_file_that_vanishes_while_it_is_listed_is_not_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.local import LocalFileSystem

    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_bytes(TEXT)
    ukey = LocalFileSystem.ukey

    def vanish(self: LocalFileSystem, path: str) -> Any:
        (tmp_path / "a.csv").unlink(missing_ok=True)
        return ukey(self, path)

    monkeypatch.setattr(LocalFileSystem, "ukey", vanish)
    assert [offer.name for offer in files(tmp_path).offers()] == ["b"]


def test_a_store_that_fails_while_files_are_looked_at_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.local import LocalFileSystem

    def fail(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.csv").write_bytes(TEXT)
    monkeypatch.setattr(LocalFileSystem, "ukey", fail)
    with pytest.raises(InputError, match=r"a\.csv cannot be read \(.*Permission denied"):
        files(tmp_path).offers()


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.bz2", "a.csv.xz", "a.csv.zst", "a.parquet.gz"])
@pytest.mark.parametrize("how", ["cut", "no such format"])
def test_damaged_packings_are_named(name: str, how: str, tmp_path: Path) -> None:
    content = TAKEN[name](tmp_path / name)
    (tmp_path / name).write_bytes(content[: len(content) // 2] if how == "cut" else TEXT)
    with pytest.raises(
        InputError,
        match=rf"{name} cannot be read as .*: it is incomplete or damaged; deliver it again",
    ):
        files(tmp_path / name).read("a")


def test_a_name_twice_is_refused_in_any_packing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(TEXT)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(TEXT))
    with pytest.raises(InputError, match="would both be the batch 'a': rename one"):
        files(tmp_path).offers()


def test_nothing_that_can_be_read_says_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(
        InputError, match=r"holds no file that ends in .*; passed over: a\.xlsx \(a spreadsheet"
    ):
        files(tmp_path).offers()


@pytest.mark.parametrize(
    ("path", "batch", "kind", "packed"),
    [
        ("/x/v1.2.csv", "v1.2", "csv", ""),
        ("2024-07.CSV.gz", "2024-07", "csv", ".gz"),
        ("s3://b/2024.parquet", "2024", "parquet", ""),
        (".csv", "", "csv", ""),
    ],
)
def test_a_name_says_what_is_in_it(path: str, batch: str, kind: str, packed: str) -> None:
    form = form_of(path)
    assert form
    assert (form.batch, form.kind, form.packed) == (batch, kind, packed)
    assert form_of(f"{path}.doc") is None


def test_what_is_special_about_a_path(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    assert special(str(tmp_path / "a")) is None
    assert special(str(tmp_path / "gone")) == ""
    assert special(str(tmp_path)) == "a folder"


def test_a_long_list_is_cut() -> None:
    assert few(["a", "b"]) == "a, b"
    assert few("abcdefg") == "a, b, c, d, e and 2 more"
