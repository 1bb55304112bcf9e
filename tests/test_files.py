"""Files are there whole or not at all; fingerprints tell contents apart and nothing else."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.files import (
    make_secret,
    read_secret,
    sha256_of,
    sha256_of_file,
    sha256_of_own,
    sweep_left,
    write_entries,
    write_json,
    write_whole,
)

SRC = Path(__file__).resolve().parents[1] / "src"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("old", [None, b"", b"old"])
def test_write_whole_puts_the_new_content(tmp_path: Path, old: bytes | None) -> None:
    path = tmp_path / "a" / "b" / "x.parquet"
    if old is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(old)
    write_whole(path, lambda part: part.write_bytes(b"new"))
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["x.parquet"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("mode", [0o600, 0o444])
def test_nobody_else_reads_a_file_before_it_may_be_read(tmp_path: Path, mode: int) -> None:
    path, seen = tmp_path / "login", list[int]()

    def write(part: Path) -> None:
        part.write_bytes(b"secret")
        seen.append(part.stat().st_mode & 0o777)

    write_whole(path, write, mode=mode)
    assert (seen, path.stat().st_mode & 0o777) == ([0o600], mode)


def test_old_content_stays_until_the_new_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("old")

    def write(part: Path) -> None:
        assert part.parent == path.parent
        assert part.name.startswith(".part-")
        assert part.suffix == ".json"
        part.write_text("half")
        assert path.read_text() == "old"

    write_whole(path, write)
    assert path.read_text() == "half"


class Interruption(BaseException):
    """None of Python's own."""


FAULTS = [
    ValueError("bad value"),
    OSError(errno.ENOSPC, "No space left on device"),
    KeyboardInterrupt(),
    SystemExit(1),
    MemoryError(),
    GeneratorExit(),
    Interruption(),
]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize("written", [b"", b"half"])
def test_any_fault_leaves_the_old_content_and_no_trace(
    tmp_path: Path, fault: BaseException, old: bytes | None, written: bytes
) -> None:
    path = tmp_path / "x.parquet"
    if old is not None:
        path.write_bytes(old)

    def write(part: Path) -> None:
        part.write_bytes(written)
        raise fault

    with pytest.raises(type(fault)):
        write_whole(path, write)
    assert names(tmp_path) == ([] if old is None else ["x.parquet"])
    assert old is None or path.read_bytes() == old


def fill(part: Path) -> None:
    part.write_text("new")


def remove(part: Path) -> None:
    part.unlink()


@pytest.mark.parametrize("step", ["fsync", "replace", "the file"])
def test_fault_after_writing_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "x.parquet"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    write = fill
    if step == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    elif step == "replace":
        monkeypatch.setattr(Path, "replace", fail)
    else:
        write = remove
    with pytest.raises(OSError, match=r"Input/output|No such file"):
        write_whole(path, write)
    assert names(tmp_path) == ["x.parquet"]
    assert path.read_text() == "old"


def test_folder_in_the_way_is_not_harmed(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "x", lambda part: part.write_text("new"))
    assert names(tmp_path) == ["x"]


def test_killed_writer_leaves_the_old_content_and_a_part_to_sweep(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_text("old")
    code = (
        "import sys, time; from pathlib import Path; from evergreen.files import write_whole\n"
        "def write(part): part.write_text('half'); print('writing', flush=True); time.sleep(60)\n"
        "write_whole(Path(sys.argv[1]), write)"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(SRC)}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.kill()
    assert path.read_text() == "old"
    assert len(names(tmp_path)) == 2
    sweep_left(tmp_path)
    assert names(tmp_path) == ["x.parquet"]


def test_what_live_processes_write_is_left_alone(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folder = tmp_path / f".part-{dead.pid}-folder"
    folder.mkdir()
    (folder / "big").write_text("")
    for name in (
        f".part-{os.getpid()}-x.json",
        f".part-{dead.pid}-y.json",
        ".part-old",
        ".partial",
        "part-3",
        "x.part-4",
    ):
        (tmp_path / name).write_text("")
    (tmp_path / f".part-{dead.pid}-link").symlink_to(tmp_path / "x.part-4")
    sweep_left(tmp_path)
    assert names(tmp_path) == [f".part-{os.getpid()}-x.json", ".partial", "part-3", "x.part-4"]
    sweep_left(tmp_path / "nowhere")


def test_a_number_that_another_process_has_now_protects_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f".part-{os.getpid()}-x.json").write_text("")
    # Began after the file was made
    monkeypatch.setattr("psutil.Process.create_time", lambda _: 4e9)
    sweep_left(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.slow
@given(old=st.none() | st.binary(max_size=50), new=st.binary(max_size=50), fails=st.booleans())
def test_content_is_the_old_or_the_new(old: bytes | None, new: bytes, fails: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        if old is not None:
            path.write_bytes(old)

        def write(part: Path) -> None:
            part.write_bytes(new)
            if fails:
                raise ValueError

        try:
            write_whole(path, write)
        except ValueError:
            assert fails
        found = path.read_bytes() if path.exists() else None
        assert found == (old if fails else new)
        assert names(path.parent) == ([] if found is None else ["x"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.slow
@given(JSON)
def test_json_reads_back(content: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.json"
        write_json(path, content)
        assert json.loads(path.read_text(encoding="utf-8")) == content
        assert path.read_bytes().endswith(b"\n")


def test_json_is_sorted_and_readable(tmp_path: Path) -> None:
    for content in ({"b": 1, "a": "Zürich"}, {"a": "Zürich", "b": 1}):
        write_json(tmp_path / "x.json", content)
        assert (tmp_path / "x.json").read_text(
            encoding="utf-8"
        ) == '{\n "a": "Zürich",\n "b": 1\n}\n'


@pytest.mark.parametrize("content", [{"a": object()}, {1, 2}, {"a": b"x"}, "\ud800"])
def test_json_that_cannot_be_written_leaves_the_old(tmp_path: Path, content: Any) -> None:
    write_json(tmp_path / "x.json", "old")
    with pytest.raises((TypeError, ValueError)):
        write_json(tmp_path / "x.json", content)
    assert names(tmp_path) == ["x.json"]
    assert json.loads((tmp_path / "x.json").read_text()) == "old"


def test_fingerprint_of_a_file_is_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert (
        sha256_of_file(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    before = sha256_of_file(path)
    os.utime(path, (time.time() - 99, time.time() - 99))
    assert sha256_of_file(path) == before
    path.write_bytes(b"abd")
    assert sha256_of_file(path) != before


@pytest.mark.slow
@given(JSON, JSON)
def test_fingerprints_differ_when_values_do(first: Any, other: Any) -> None:
    same = json.dumps(first, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (sha256_of(first) == sha256_of(other)) is same
    assert len(sha256_of(first)) == 64


@pytest.mark.parametrize(
    ("first", "other", "same"),
    [
        (({"a": 1, "b": 2},), ({"b": 2, "a": 1},), True),
        (("ab",), ("a", "b"), False),
        (("a", "b"), ("b", "a"), False),
        ((1,), ("1",), False),
        ((), (None,), False),
        (((1, 2),), ([1, 2],), True),
    ],
)
def test_fingerprint_of_values(first: tuple[Any, ...], other: tuple[Any, ...], same: bool) -> None:
    assert (sha256_of(*first) == sha256_of(*other)) is same


def test_fingerprint_of_own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "a.py", tmp_path / "b.py"
    first.write_text("x = 1")
    second.write_text("y = 2")
    before = sha256_of_own(first, second)
    assert sha256_of_own(second, first) == before
    assert sha256_of_own(first) != before
    second.write_text("y = 3")
    assert sha256_of_own(first, second) != before
    first.write_text("y = 3")
    second.write_text("x = 1")
    assert sha256_of_own(first, second) != before
    monkeypatch.setattr("evergreen.code.with_imports", lambda path: [path, second])
    assert sha256_of_own(first) == sha256_of_own(first, second)


@pytest.mark.slow
@given(
    st.dictionaries(
        st.text(max_size=5),
        st.dictionaries(st.text(max_size=5), st.integers() | st.text() | st.none()),
    )
)
def test_entries_are_one_json_object_with_an_entry_a_line(
    entries: dict[str, dict[str, Any]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "entries.json"
        write_entries(path, entries)
        text = path.read_text(encoding="utf-8")
    assert json.loads(text) == entries
    assert list(json.loads(text)) == sorted(entries)
    if entries:
        assert [json.loads("{" + line.rstrip(",") + "}") for line in text.split("\n")[1:-2]] == [
            {name: entries[name]} for name in sorted(entries)
        ]


def test_a_secret_is_drawn_once_and_is_its_owners(tmp_path: Path) -> None:
    path, form = tmp_path / "stores" / "secret", re.compile("[a-z]{4}")
    assert read_secret(path, form) is None
    assert make_secret(path, form, lambda: "abcd") == "abcd"
    assert make_secret(path, form, lambda: "efgh") == "abcd"
    path.chmod(0o644)
    assert read_secret(path, form) == "abcd"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("damaged")
    assert read_secret(path, form) is None
    assert make_secret(path, form, lambda: "efgh") == "efgh"
    assert names(path.parent) == ["secret", "secret.lock"]
