"""The manifest: what a folder holds, what was altered there, and what a damaged one says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evergreen.errors import InputError
from evergreen.files import sha256_of, sha256_of_file
from evergreen.ingest.manifest import Manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with two batches, the newer one recorded first."""
    folder = tmp_path / "data" / "raw"
    folder.mkdir(parents=True)
    manifest = Manifest(folder)
    for name, start in (("b", "2013-02-01 00:00:00"), ("a", "2013-01-01 00:00:00")):
        manifest.file(name).write_text(name)
        manifest.record(name, manifest.file(name), middle=start, rows=1)
    return folder


def test_record_is_read_back(folder: Path) -> None:
    again = Manifest(folder)
    entry = dict(again.entries["a"])
    assert entry.pop("sum") == sha256_of(entry)
    assert entry == {
        "files": {"raw/a.parquet": sha256_of_file(folder / "a.parquet")},
        "middle": "2013-01-01 00:00:00",
        "rows": 1,
    }
    assert again.version("a") == sha256_of_file(folder / "a.parquet")


def test_new_folder_has_no_entries(tmp_path: Path) -> None:
    assert Manifest(tmp_path / "nothing").entries == {}


def test_order_is_by_event_time(folder: Path) -> None:
    assert list(Manifest(folder).in_order()) == ["a", "b"]
    assert list(json.loads((folder / "manifest.json").read_text())) == ["a", "b"]


def test_order_among_equal_times_is_by_name(folder: Path) -> None:
    manifest = Manifest(folder)
    manifest.record("B", manifest.file("b"), middle="2013-01-01 00:00:00")
    manifest.record("A", manifest.file("b"), middle="2013-01-01 00:00:00")
    assert list(manifest.in_order()) == ["A", "B", "a", "b"]


def test_an_update_keeps_the_entry_whole(folder: Path) -> None:
    Manifest(folder).update("a", origin="elsewhere")
    again = Manifest(folder)
    assert again.entries["a"]["origin"] == "elsewhere"
    assert again.entries["a"]["rows"] == 1
    assert again.altered() == []


def test_batches_of_one_time_are_in_the_order_people_count(folder: Path) -> None:
    manifest = Manifest(folder)
    for name in ("orders-10", "orders-9"):
        manifest.record(name, manifest.file("b"), middle="2014-01-01 00:00:00")
    assert list(manifest.in_order())[-2:] == ["orders-9", "orders-10"]


def test_an_edited_entry_is_altered(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace("2013-02-01", "2013-01-15"))
    manifest = Manifest(folder)
    assert manifest.altered() == [path]
    assert list(manifest.altered_by_batch()) == [("b", path)]
    manifest.forget_altered()
    assert list(manifest.entries) == ["a"]


@pytest.mark.parametrize("name", ["2013-01", "v1.2", "week.of.2013-01-01", "A_b-c"])
def test_file_keeps_every_part_of_the_name(tmp_path: Path, name: str) -> None:
    assert Manifest(tmp_path).file(name).name == f"{name}.parquet"
    assert Manifest(tmp_path).file(name, ".json").name == f"{name}.json"


@pytest.mark.parametrize("how", ["intact", "changed", "cut", "removed"])
def test_altered_files_are_found_and_forgotten(folder: Path, how: str) -> None:
    path = folder / "a.parquet"
    {
        "intact": lambda: None,
        "changed": lambda: path.write_text("z"),
        "cut": lambda: path.write_text(""),
        "removed": path.unlink,
    }[how]()
    manifest = Manifest(folder)
    assert manifest.altered() == ([] if how == "intact" else [path])
    manifest.forget_altered()
    assert sorted(manifest.entries) == (["a", "b"] if how == "intact" else ["b"])


def test_a_batch_is_altered_when_any_of_its_files_is(folder: Path) -> None:
    beside = folder.parent / "quarantine" / "c.parquet"
    beside.parent.mkdir()
    beside.write_text("bad rows")
    manifest = Manifest(folder)
    manifest.file("c").write_text("good rows")
    manifest.record("c", manifest.file("c"), beside)
    beside.write_text("changed")
    assert Manifest(folder).altered() == [beside]


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": ', b"\xff\xfe\x00"])
def test_damaged_manifest_says_how_to_restore_it(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(
        InputError, match=r"manifest\.json is damaged: restore .*`dvc checkout --force data/raw`"
    ):
        Manifest(folder)


def test_writing_sweeps_what_a_killed_run_left(folder: Path) -> None:
    (folder / ".part-xyz.parquet").write_text("half")
    Manifest(folder).write()
    assert sorted(path.name for path in folder.iterdir()) == [
        "a.parquet",
        "b.parquet",
        "manifest.json",
    ]
