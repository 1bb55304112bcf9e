"""Snapshot: the newest is chosen, and any file that is not as it was written is named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evergreen.backup.snapshot import (
    About,
    choose_snapshot,
    find_snapshots,
    read_about,
    verify,
    write_about,
)
from evergreen.errors import InputError

CONTENT = b"a model"
SUM = hashlib.sha256(CONTENT).hexdigest()


def made(backup: Path, name: str, **files: tuple[int, str]) -> Path:
    snapshot = backup / name
    (snapshot / "project").mkdir(parents=True)
    (snapshot / "project" / "model").write_bytes(CONTENT)
    known = {"project/model": (len(CONTENT), SUM)} | files
    write_about(snapshot, About(name, "0.3", "/home/me/churn", "none", known))
    return snapshot


def test_the_newest_is_chosen_or_the_one_that_is_named(tmp_path: Path) -> None:
    old, new = made(tmp_path, "2026-01-02"), made(tmp_path, "2026-01-10")
    (tmp_path / ".part-7-2026-01-11").mkdir()
    (tmp_path / "unfinished").mkdir()
    assert find_snapshots(tmp_path) == [old, new]
    assert choose_snapshot(tmp_path) == new
    assert choose_snapshot(old) == old
    with pytest.raises(InputError, match="holds no backup: name the folder"):
        choose_snapshot(tmp_path / "unfinished")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    snapshot = made(tmp_path, "2026")
    about = read_about(snapshot)
    assert about == About("2026", "0.3", "/home/me/churn", "none", {"project/model": (7, SUM)})
    verify(snapshot, about)


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a byte": (lambda path: path.write_bytes(b"b model"), "project/model is not as it was written"),
    "its end": (lambda path: path.write_bytes(b"a mode"), "project/model is not as it was written"),
    "gone": (lambda path: path.unlink(), "project/model is missing"),
    "a link": (link, "project/model is missing"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_file_that_changed_is_named(case: str, tmp_path: Path) -> None:
    snapshot, (change, says) = made(tmp_path, "2026"), CHANGES[case]
    change(snapshot / "project" / "model")
    with pytest.raises(InputError, match=f"is damaged: {says}: restore from another snapshot"):
        verify(snapshot, read_about(snapshot))


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "project/../../../.ssh/authorized_keys",
        "project//etc/passwd",
        "project/.dvc/cache//tmp/elsewhere",
    ],
)
def test_a_name_that_leads_outside_is_refused(name: str, tmp_path: Path) -> None:
    snapshot = made(tmp_path, "2026", **{name: (1, SUM)})
    with pytest.raises(InputError, match="lies outside of it"):
        verify(snapshot, read_about(snapshot))


def test_a_folder_of_it_that_leads_outside_is_refused(tmp_path: Path) -> None:
    snapshot = made(tmp_path, "2026")
    (snapshot / "project").rename(tmp_path / "elsewhere")
    (snapshot / "project").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="lies outside of it"):
        verify(snapshot, read_about(snapshot))


@pytest.mark.parametrize("name", ["project/\0", "project/\ud800", "project/" + "x" * 300])
def test_a_name_that_no_file_can_have_is_one_sentence(name: str, tmp_path: Path) -> None:
    snapshot = made(tmp_path, "2026")
    about = replace(read_about(snapshot), files={name: (1, SUM)})
    with pytest.raises(InputError, match="is damaged") as raised:
        verify(snapshot, about)
    str(raised.value).encode()


@pytest.mark.parametrize(
    "text",
    [
        '{"files": {"a": [1e999, ""]}}',
        "[" * 100_000,
        "",
        "[]",
        "{}",
        '{"files": [1]}',
        '{"files": {"a": 1}}',
        "\0",
        json.dumps({"made": 1}),
    ],
)
def test_a_damaged_list_is_one_sentence(text: str, tmp_path: Path) -> None:
    snapshot = made(tmp_path, "2026")
    (snapshot / "backup.json").write_text(text)
    with pytest.raises(InputError, match=r"backup\.json is damaged"):
        read_about(snapshot)


def test_one_of_a_later_library_is_told(tmp_path: Path) -> None:
    snapshot = made(tmp_path, "2026")
    content = json.loads((snapshot / "backup.json").read_text())
    (snapshot / "backup.json").write_text(json.dumps(content | {"format": 99}))
    with pytest.raises(InputError, match="written by a newer evergreen"):
        read_about(snapshot)
