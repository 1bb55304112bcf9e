"""Spool: whole lines only, whatever a kill cut off, and none of another process."""

from __future__ import annotations

import os
import zlib
from datetime import date
from decimal import Decimal

import polars as pl
import pytest

from evergreen.serving.spool import Spool, read, stamp_of

ROWS = pl.DataFrame(
    {
        "n": [1, None],
        "s": ["a\nb", None],
        "d": [date(2020, 1, 2), None],
        "x": [Decimal("1.50"), None],
    }
)


def words(paths):
    return [word for path in paths for word, _ in read(path)]


def test_rows_come_back_as_they_were_and_once(tmp_path):
    spool = Spool(tmp_path / "new", "rows")
    assert spool.add([("1", ROWS), ("2", ROWS[:1])])
    assert spool.add([("3", ROWS.clear())], sync=True)
    (path,) = spool.take()
    found = list(read(path))
    assert [word for word, _ in found] == ["1", "2", "3"]
    for (_, rows), wanted in zip(found, (ROWS, ROWS[:1], ROWS.clear()), strict=True):
        assert rows.equals(wanted)
        assert rows.schema == wanted.schema
    path.unlink()
    assert spool.take() == []


def test_no_frame_that_another_thread_has_is_locked(tmp_path, monkeypatch):
    """Both would wait for ever: one for Python, and the other for the frame."""
    written, write = [], pl.DataFrame.write_ipc_stream
    monkeypatch.setattr(
        pl.DataFrame, "write_ipc_stream", lambda its, file: (written.append(its), write(its, file))
    )
    Spool(tmp_path, "rows").add([("1", ROWS)])
    assert len(written) == 1
    assert written[0] is not ROWS
    assert written[0]._df is not ROWS._df


@pytest.mark.parametrize("kept", [1, 9, 20, 200, -1])
def test_a_line_that_was_cut_off_takes_no_other_with_it(kept, tmp_path):
    spool = Spool(tmp_path, "rows")
    spool.add([("1", ROWS)])
    path = tmp_path / "rows.spool"
    whole = path.read_bytes()
    path.write_bytes(whole + whole.replace(b" 1 ", b" 9 ")[:kept])
    Spool(tmp_path, "rows").add([("2", ROWS)])
    assert words(spool.take()) == ["1", "2"]


@pytest.mark.parametrize("content", [b"9 bm90IEFycm93", b"9 x", b"9"])
def test_a_line_that_nobody_can_read_any_more_takes_no_other_with_it(content, tmp_path):
    spool = Spool(tmp_path, "rows")
    spool.add([("1", ROWS)])
    with (tmp_path / "rows.spool").open("ab") as file:
        file.write(b"\n%08x %s\n" % (zlib.crc32(content), content))
    spool.add([("2", ROWS)])
    assert words(spool.take()) == ["1", "2"]


def test_what_one_process_has_taken_another_finds(tmp_path):
    mine, other = (Spool(tmp_path, "rows") for _ in range(2))
    mine.add([("1", ROWS)])
    before = mine.take()
    other.add([("2", ROWS)])
    assert other.take()[:1] == before
    assert words(other.take()) == ["1", "2"]
    assert len({stamp_of(path) for path in other.take()}) == 2


def test_no_more_waits_than_may(tmp_path):
    spool = Spool(tmp_path, "rows", most=1000)
    added = [spool.add([("1", ROWS)]) for _ in range(9)]
    assert added[0]
    assert not added[-1]
    left = spool.take()  # what is taken and not done counts as well
    assert not spool.add([("1", ROWS)])
    left[0].unlink()
    assert spool.add([("1", ROWS)])


def test_labels_are_written_through_to_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    spool = Spool(tmp_path, "labels")
    spool.add([("1", ROWS)])
    assert not synced
    spool.add([("2", ROWS)], sync=True)
    assert synced
