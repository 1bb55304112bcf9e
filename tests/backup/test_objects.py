"""Objects: what is copied between a store and a folder, once, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import refusal

from evergreen.backup.objects import copy_objects, main

FILES = {"0/run/artifacts/model.ubj": b"trees", "0/run/artifacts/a b.json": b"{}", "top": b""}


@pytest.fixture
def store():
    from fsspec.implementations.memory import MemoryFileSystem

    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    return MemoryFileSystem()


@pytest.fixture
def filled(tmp_path):
    for name, content in FILES.items():
        path = tmp_path / "filled" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "filled"


def held(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_there_and_back(store, filled, tmp_path, capsys):
    assert copy_objects(str(filled), "memory://artifacts") == (3, 3)
    assert copy_objects(str(filled), "memory://artifacts") == (0, 3)
    (filled / "later").write_bytes(b"more")
    assert copy_objects(str(filled), "memory://artifacts") == (1, 4)
    back = tmp_path / "back"
    assert copy_objects("memory://artifacts", str(back)) == (4, 4)
    assert held(back) == FILES | {"later": b"more"}
    (back / "later").write_bytes(b"cut")  # by a kill
    assert main(["memory://artifacts", str(back)]) == 0
    assert held(back) == FILES | {"later": b"more"}
    said = capsys.readouterr().out
    assert said == f"1 of 4 files copied from memory://artifacts to {back}\n"


def test_a_place_that_is_empty_or_not_there_is_no_error(store, tmp_path):
    assert copy_objects("memory://none", str(tmp_path / "out")) == (0, 0)
    assert not (tmp_path / "out").exists()


def test_a_name_that_leads_outside_is_refused_before_anything_is_written(store, tmp_path):
    store.store["/artifacts/a"] = store.store["/artifacts/../../evil"] = b""
    from fsspec.implementations.memory import MemoryFile

    for name in list(store.store):
        store.store[name] = MemoryFile(store, name, b"x")
    said = refusal(
        lambda: copy_objects("memory://artifacts", str(tmp_path / "out")),
        "'../../evil', which lies outside",
    )
    assert "remove it there" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("places", "says"),
    [
        (("nosuch://a", "out"), "nosuch://a is no folder and no URL that is known"),
        (("memory://a", "memory://b"), "one of the two must be a folder"),
    ],
)
def test_what_cannot_be_copied_is_one_sentence(store, places, says):
    store.pipe("/a/file", b"x")
    refusal(lambda: copy_objects(*places), says)


@pytest.mark.slow
def test_a_store_that_does_not_answer_is_one_sentence(tmp_path):
    (tmp_path / "model").write_text("x")
    command = [sys.executable, "-m", "evergreen.backup.objects", str(tmp_path), "s3://artifacts"]
    env = {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "name",
        "AWS_SECRET_ACCESS_KEY": "swordfish", "AWS_MAX_ATTEMPTS": "1",
    }  # fmt: skip
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {tmp_path} cannot be copied to s3://artifacts: ")
    assert "swordfish" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert main([]) == 2
