"""Memory: what does not fit is refused before it is made, and what fits is not."""

from __future__ import annotations

import gzip
import io
import resource
from pathlib import Path

import polars as pl
import pytest

from evergreen.errors import InputError
from evergreen.ingest import memory
from evergreen.ingest.memory import check_parquet, check_size, check_text, free_memory, unpack

SIZE = 1_000_000  # bytes that are free


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with little memory."""
    monkeypatch.setattr(memory, "free_memory", lambda: SIZE)


def packed(frame: pl.DataFrame) -> bytes:
    written = io.BytesIO()
    frame.write_parquet(written)
    return written.getvalue()


def test_there_is_memory_and_no_more_than_the_limits_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert free_memory() > SIZE
    (tmp_path / "memory.current").write_text("800\n")
    (tmp_path / "memory.stat").write_text("file 200\ninactive_file 100\nactive_file 100\n")
    monkeypatch.setattr(memory, "GROUPS", tmp_path)
    monkeypatch.setattr(memory, "OWN", tmp_path / "none")
    for limit, free in (("1000\n", 400), ("500\n", 0)):
        (tmp_path / "memory.max").write_text(limit)
        assert free_memory() == free
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory() > SIZE
    (tmp_path / "memory").mkdir()
    for name, text in (
        ("limit_in_bytes", "900"),
        ("usage_in_bytes", "700"),
        ("stat", "active_file 9\ntotal_inactive_file 20\ntotal_active_file 30\n"),
    ):
        (tmp_path / "memory" / f"memory.{name}").write_text(text)
    assert free_memory() == 250


OWN = {"": "1:name=systemd:/x\n0::/user.slice/a.service\n", "memory": "4:cpu,memory:/a\n0::/\n"}
NAMES = {
    "": ("memory.max", "memory.current"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes"),
}


@pytest.mark.parametrize("controller", OWN)
def test_the_least_of_the_own_group_and_those_around_it_counts(
    controller: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").write_text(OWN[controller])
    monkeypatch.setattr(memory, "GROUPS", tmp_path)
    monkeypatch.setattr(memory, "OWN", tmp_path / "own")
    outermost = tmp_path / controller
    groups = {"a": outermost / "a"} if controller else {
        "user.slice": outermost / "user.slice", "a": outermost / "user.slice" / "a.service",
    }  # fmt: skip
    for number, folder in enumerate(groups.values()):
        folder.mkdir(parents=True)
        (folder / "memory.stat").write_text("")
        for name, text in zip(NAMES[controller], (f"{1000 - 100 * number}", "700"), strict=True):
            (folder / name).write_text(text)
    assert free_memory() == (300 if controller else 200)
    for folder in groups.values():
        (folder / NAMES[controller][0]).write_text("800")
    assert free_memory() == 100


def test_a_limit_of_the_shell_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1, 1))
    assert free_memory() == 0


@pytest.mark.parametrize(
    ("rows", "fits"), [(1_000, True), (40_000, True), (60_000, False), (5_000_000, False)]
)
def test_rows_of_a_parquet_file_are_counted_before_they_are_read(
    small: None, rows: int, fits: bool
) -> None:
    content = packed(pl.DataFrame({"x": pl.zeros(rows, eager=True)}))
    assert len(content) < SIZE / 10  # packed, it looks small
    if fits:
        check_parquet(content, "a.parquet")
        return
    with pytest.raises(
        InputError,
        match=r"a\.parquet takes at least .* GB of memory as a table, and 0\.0 GB are free",
    ):
        check_parquet(content, "a.parquet")


def test_texts_of_a_parquet_file_are_counted(small: None, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(packed(pl.DataFrame({"x": ["text"] * 30_000})))
    with pytest.raises(InputError, match="GB are free"):
        check_parquet(path, "a.parquet")


def test_a_damaged_parquet_file_is_left_to_who_reads_it(small: None) -> None:
    check_parquet(b"PAR1", "a.parquet")


def test_fields_of_a_text_are_counted(small: None) -> None:
    check_text(b"1,2\n" * 9_000, ",", "a.csv")
    with pytest.raises(InputError, match=r"a\.csv takes"):
        check_text(b"1,2\n" * 50_000, ",", "a.csv")


def test_a_file_larger_than_the_memory_is_not_read(small: None) -> None:
    check_size(SIZE, "a.csv")
    with pytest.raises(InputError, match="smaller files, one for each batch"):
        check_size(SIZE + 1, "a.csv")


@pytest.mark.slow
def test_what_unpacks_to_too_much_is_given_up(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "STEP", 1_000)
    content = gzip.compress(bytes(100 * SIZE), compresslevel=1)
    assert len(content) < SIZE
    file = gzip.GzipFile(fileobj=io.BytesIO(content))
    with pytest.raises(InputError, match=r"a\.csv\.gz takes"):
        unpack(file, "a.csv.gz")  # type: ignore[arg-type]
    assert file.tell() < SIZE
