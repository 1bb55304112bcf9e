"""DVC: a stage runs where something changed, is recorded, and says what is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from dvc.output import Output
from staged import OUTPUTS, edit, held_locks, lock_of, work_of

from evergreen.errors import InputError
from evergreen.stores.dvc import (
    STAGES,
    changed_stages,
    data_versions,
    run_stage,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_cache")]  # real stores


def test_a_stage_runs_once_and_then_has_nothing_to_do(fresh):
    calls = []
    assert run_stage(fresh, "ingest", work_of(fresh, "ingest", calls)) == "ingest done"
    before = lock_of(fresh)
    assert run_stage(fresh, "ingest", work_of(fresh, "ingest", calls)) is None
    assert len(calls) == 1
    assert lock_of(fresh) == before
    assert list(yaml.safe_load(before)["stages"]) == ["ingest"]


@pytest.mark.parametrize("name", STAGES)
def test_force_runs_a_stage_that_has_not_changed(name, settled):
    before, calls = lock_of(settled), []
    assert run_stage(settled, name, work_of(settled, name, calls), force=True) == f"{name} done"
    assert calls == [False]
    assert lock_of(settled) == before
    assert changed_stages(settled) == []


def test_a_changed_parameter_runs_a_stage_again_even_back_to_one_that_was_there(settled):
    calls, locks = [], [lock_of(settled)]
    for rows in (7, 20):  # as at first
        edit(settled, "prepare", min_level_rows=rows)
        assert run_stage(settled, "prepare", work_of(settled, "prepare", calls)) == "prepare done"
        assert f"min_level_rows: {rows}" in (settled.features / "part.txt").read_text()
        locks.append(lock_of(settled))
    assert calls == [False, False]
    assert (
        yaml.safe_load(locks[1])["stages"]["prepare"]["params"]["params.yaml"]["prepare"][
            "min_level_rows"
        ]
        == 7
    )
    assert len(set(locks)) == 3


@pytest.mark.parametrize("kind", ["copy", "hardlink", "symlink"])
def test_files_are_linked_to_the_cache_as_a_person_has_set_it(kind, settled):
    """By default they are files of their own, so that whoever edits one does not edit the cache."""
    if kind != "copy":
        subprocess.run(
            [sys.executable, "-m", "dvc", "config", "cache.type", kind],
            cwd=settled.root,
            check=True,
        )
    edit(settled, "prepare", min_level_rows=7)
    run_stage(settled, "prepare", work_of(settled, "prepare"))
    part = settled.features / "part.txt"
    (out,) = yaml.safe_load(lock_of(settled))["stages"]["prepare"]["outs"]
    files = settled.root / ".dvc" / "cache" / "files" / "md5"
    entries = json.loads((files / out["md5"][:2] / out["md5"][2:]).read_text())
    (entry,) = (file for file in entries if file["relpath"] == "part.txt")
    cached = files / entry["md5"][:2] / entry["md5"][2:]
    assert cached.read_text() == part.read_text()
    assert (part.is_symlink(), part.samefile(cached)) == (kind == "symlink", kind != "copy")
    assert os.access(part, os.W_OK) or kind != "copy"


@pytest.mark.parametrize("due", [False, True])
@pytest.mark.parametrize(
    "how", ["altered", "of the same size", "added", "gone", "recorded otherwise"]
)
def test_work_is_told_that_outputs_were_altered(how, due, settled):
    part, before = settled.features / "part.txt", lock_of(settled)
    if how == "altered":
        part.write_text("something else")
    elif how == "of the same size":
        part.write_text(part.read_text().swapcase())
    elif how == "added":
        (settled.features / "more.txt").write_text("more")
    elif how == "gone":
        shutil.rmtree(settled.features)
    else:
        version = data_versions(settled)["data/features"]
        (settled.root / "dvc.lock").write_bytes(
            before.replace(version.encode(), b"0" * 32 + b".dir")
        )
    if due:
        edit(settled, "prepare", min_level_rows=9)
    calls = []

    def work(altered):
        shutil.rmtree(settled.features, ignore_errors=True)
        return work_of(settled, "prepare", calls)(altered)

    assert run_stage(settled, "prepare", work) == "prepare done"
    assert calls == [True]
    assert due or lock_of(settled) == before


def test_work_is_told_that_outputs_are_as_they_were_left_without_a_look_at_each(
    settled, monkeypatch
):
    looked, look, calls = [], Output.changed_checksum, []
    monkeypatch.setattr(
        Output, "changed_checksum", lambda out: looked.append(str(out)) or look(out)
    )
    for rows in (9, 10):
        edit(settled, "prepare", min_level_rows=rows)
        run_stage(settled, "prepare", work_of(settled, "prepare", calls))
    assert calls == [False, False]
    assert looked.count("data/features") == 1, "the first time, as the project is a copy"


def test_what_was_edited_while_it_was_recorded_is_looked_at(settled, monkeypatch):
    add = Output.add
    for rows in (9, 10):
        edit(settled, "prepare", min_level_rows=rows)
        run_stage(settled, "prepare", work_of(settled, "prepare"))

    def edited(out, *args, **kwargs):
        done = add(out, *args, **kwargs)
        (settled.features / "part.txt").write_text("edited")
        return done

    with monkeypatch.context() as patch:
        patch.setattr(Output, "add", edited)
        edit(settled, "prepare", min_level_rows=11)
        run_stage(settled, "prepare", work_of(settled, "prepare"))
    calls = []
    edit(settled, "prepare", min_level_rows=12)
    run_stage(settled, "prepare", work_of(settled, "prepare", calls))
    assert calls == [True]


def test_links_into_a_cache_that_is_gone_are_looked_at(settled):
    subprocess.run(
        [sys.executable, "-m", "dvc", "config", "cache.type", "symlink"],
        cwd=settled.root,
        check=True,
    )
    for rows in (9, 10):
        edit(settled, "prepare", min_level_rows=rows)
        run_stage(settled, "prepare", work_of(settled, "prepare"))
    shutil.rmtree(settled.root / ".dvc" / "cache")
    calls = []

    def work(altered):
        shutil.rmtree(settled.features)
        return work_of(settled, "prepare", calls)(altered)

    for folder in (settled.raw, settled.validated):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "part.txt").write_text("once more")
    edit(settled, "prepare", min_level_rows=11)
    assert run_stage(settled, "prepare", work) == "prepare done"
    assert calls == [True]


def test_a_stage_that_leaves_out_an_output_is_an_error(fresh):
    with pytest.raises(InputError, match="data/raw"):
        run_stage(fresh, "ingest", lambda altered: "nothing written")
    assert not (fresh.root / "dvc.lock").exists()


@pytest.mark.parametrize(
    "error", [InputError("a bad batch"), RuntimeError("a fault"), KeyboardInterrupt()]
)
def test_work_that_raises_leaves_the_record_as_it_was_and_no_lock(error, settled):
    before, calls = lock_of(settled), []

    def work(altered):
        (settled.features / "half.txt").write_text("half")
        raise error

    with pytest.raises(type(error)) as caught:
        run_stage(settled, "prepare", work, force=True)
    assert caught.value is error
    assert lock_of(settled) == before
    assert held_locks(settled) == []
    assert run_stage(settled, "prepare", work_of(settled, "prepare", calls)) == "prepare done"
    assert calls == [True]  # half of the work lies there


def test_dvc_is_held_while_a_stage_works(settled, monkeypatch):
    monkeypatch.setattr("dvc.lock.DEFAULT_TIMEOUT", 0.1)
    with pytest.raises(InputError, match="DVC is busy"):
        run_stage(settled, "prepare", lambda altered: changed_stages(settled), force=True)
    assert changed_stages(settled) == []


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("dvc.yaml", "stages: ["),
        ("dvc.yaml", "stages: {}"),
        ("dvc.lock", "<<<<<<< HEAD\nschema: '2.0'\n=======\n>>>>>>> other\n"),
        (".dvc/config", "[core"),
    ],
)
def test_what_dvc_cannot_read_is_an_error(file, content, settled):
    (settled.root / file).write_text(content)
    for ask in (
        changed_stages,
        lambda project: run_stage(project, "ingest", work_of(project, "ingest")),
    ):
        with pytest.raises(InputError, match="DVC"):
            ask(settled)


def test_a_project_without_dvc_is_an_error(settled):
    shutil.rmtree(settled.root / ".dvc")
    with pytest.raises(InputError, match="DVC cannot open"):
        changed_stages(settled)


def test_there_are_no_versions_before_the_first_run(fresh):
    assert data_versions(fresh) == {}


def test_every_output_has_a_version_that_follows_its_content(settled):
    before = data_versions(settled)
    assert sorted(before) == sorted(
        f"data/{folder}" for folders in OUTPUTS.values() for folder in folders
    )
    assert all(version.endswith(".dir") and len(version) == 36 for version in before.values())
    edit(settled, "prepare", min_level_rows=9)
    run_stage(settled, "prepare", work_of(settled, "prepare"))
    after = data_versions(settled)
    assert {path for path in before if before[path] != after[path]} == {"data/features"}


DAMAGED = {
    "dvc.lock": [b"", b"<<<<<<< HEAD\n", b"\xff", b"[]", b"stages: {}"],
    "dvc.yaml": [b"", b"stages: [ingest", b"\xff", b"stages: {}"],
    ".dvc/config": [b"[core", b"\xff\xfe\x00", b"[core]\nnonsense = 1\n"],
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_told_with_what_to_do(name, settled):
    for content in DAMAGED[name]:
        (settled.root / name).write_bytes(content)
        with pytest.raises(InputError, match=re.escape(f"`git checkout {name}`")):
            run_stage(settled, "ingest", work_of(settled, "ingest"))


def test_without_dvc_lock_what_is_there_is_recorded_anew(settled):
    recorded = lock_of(settled)
    (settled.root / "dvc.lock").unlink()
    for name in STAGES:
        assert run_stage(settled, name, work_of(settled, name))
    assert lock_of(settled) == recorded
