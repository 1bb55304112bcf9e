"""Bytes of DVC: pushed once, brought back from wherever they are, and compared on the way."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import time
from pathlib import Path

import pytest
from conftest import refusal

from evergreen.project import Project
from evergreen.stores import dvc_bytes
from evergreen.stores.dvc_bytes import Brought, bring_back, push

pytestmark = pytest.mark.slow  # DVC is imported
FILES = {"data/raw/a": b"one", "data/raw/deep/b": b"two"}
CONFIG = "[core]\n    no_scm = true\n    remote = local\n['remote \"local\"']\n    url = {url}\n"


@pytest.fixture(autouse=True)
def _site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))


def put(store: Path, content: bytes, suffix: str = "") -> str:
    """Put an object into a store of DVC's; return its hash."""
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest() + suffix
    path = place(store, digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o444)  # as DVC does, and then takes it for whole
    return digest


def place(store: Path, digest: str) -> Path:
    return store / "files" / "md5" / digest[:2] / digest[2:]


def alter(store: Path, content: bytes) -> None:
    """Let the object of `content` hold something else."""
    path = place(store, hashlib.md5(content, usedforsecurity=False).hexdigest())
    path.chmod(0o644)
    path.write_bytes(content.swapcase())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose data are in its cache, and nowhere else."""
    root = tmp_path / "project"
    (root / ".dvc" / "tmp").mkdir(parents=True)
    (root / ".dvc" / "config").write_text(CONFIG.format(url="../stores/dvc"))
    cache = root / ".dvc" / "cache"
    entries = [
        {"md5": put(cache, content), "relpath": name.removeprefix("data/raw/")}
        for name, content in FILES.items()
    ]
    tree = put(cache, json.dumps(entries, sort_keys=True).encode(), ".dir")
    outs = {"ingest": {"outs": [{"path": "data/raw", "hash": "md5", "md5": tree}]}}
    (root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": outs}))
    return Project(root)


def cache_of(project: Project) -> Path:
    return project.root / ".dvc" / "cache"


def remote_of(project: Project) -> Path:
    return project.root / "stores" / "dvc"


def back(project: Project, folder: Path, *roots: Path) -> Brought:
    lock = (project.root / "dvc.lock").read_text()
    return bring_back(lock, folder, roots or (project.root,))


def files_in(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def nothing(project: Project) -> None:
    pass


def no_cache(project: Project) -> None:
    push(project, only_local=True)
    shutil.rmtree(cache_of(project))


def altered_cache(project: Project) -> None:
    push(project, only_local=True)
    alter(cache_of(project), b"one")


@pytest.mark.parametrize("change", [nothing, no_cache, altered_cache])
def test_bytes_come_back_from_cache_or_remote(change, project: Project, tmp_path: Path) -> None:
    change(project)
    assert back(project, tmp_path / "w") == Brought(2)
    assert files_in(tmp_path / "w") == FILES


def test_bytes_come_back_from_the_project_that_made_them(project: Project, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(project.root / ".dvc", clone / ".dvc", ignore=lambda *_: ["cache"])
    nowhere = tmp_path / "nowhere"
    assert back(project, tmp_path / "w", clone, nowhere).missing == ("data/raw",)
    assert back(project, tmp_path / "w", clone, project.root) == Brought(2)


def test_an_altered_byte_is_named_and_not_written(project: Project, tmp_path: Path) -> None:
    alter(cache_of(project), b"two")
    assert back(project, tmp_path / "w") == Brought(1, altered=("data/raw/deep/b",))
    assert [*files_in(tmp_path / "w")] == ["data/raw/a"]


def test_what_is_missing_is_named(project: Project, tmp_path: Path) -> None:
    put(cache_of(project), b"kept")
    place(cache_of(project), hashlib.md5(b"two", usedforsecurity=False).hexdigest()).unlink()
    assert back(project, tmp_path / "w") == Brought(1, missing=("data/raw/deep/b",))


def test_an_altered_list_is_as_good_as_none(project: Project, tmp_path: Path) -> None:
    (tree,) = cache_of(project).rglob("*.dir")
    tree.chmod(0o644)
    tree.write_text("[]")
    assert back(project, tmp_path / "w").missing == ("data/raw",)


@pytest.mark.parametrize("url", ["nothing://here", "ssh://needs.a.plugin.invalid/data"])
def test_a_remote_that_does_not_answer_is_told(url: str, project: Project, tmp_path: Path) -> None:
    shutil.rmtree(cache_of(project))
    (project.root / ".dvc" / "config").write_text(CONFIG.format(url=url))
    found = back(project, tmp_path / "w")
    assert found.missing == ("data/raw",)
    assert len(found.unread) == 1


def test_a_remote_that_refuses_is_named(project: Project) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/dvc"
        (project.root / ".dvc" / "config").write_text(CONFIG.format(url=url))
        refusal(lambda: push(project, only_local=False), f"3 file(s) did not arrive in {url}")
    assert push(project, only_local=True) == 0  # it is not of this machine


def test_a_remote_that_hangs_holds_nobody_up(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dvc_bytes, "PATIENCE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/dvc"
        (project.root / ".dvc" / "config").write_text(CONFIG.format(url=url))
        clock = time.monotonic()
        refusal(lambda: push(project, only_local=False), f"{url} gives no answer for 1 s")
        assert time.monotonic() - clock < 50  # DVC itself waits a minute for each try


@pytest.mark.parametrize(
    ("lock", "part"),
    [
        ("stages: [1", "damaged"),
        ("stages: {ingest: {outs: [{path: data}]}}", "damaged"),
        ("stages: {ingest: {outs: [{path: ../w2, md5: 12}]}}", "../w2, which is outside"),
    ],
)
def test_an_odd_lock_writes_nothing(lock: str, part: str, project: Project, tmp_path: Path) -> None:
    refusal(lambda: bring_back(lock, tmp_path / "w", [project.root]), part)
    assert not (tmp_path / "w2").exists()


# --- push


def test_what_is_new_is_pushed_once(project: Project) -> None:
    assert [push(project, only_local=True) for _ in range(2)] == [3, 0]
    assert files_in(remote_of(project)) == files_in(cache_of(project))


def test_a_remote_that_is_gone_is_filled_again(project: Project) -> None:
    push(project, only_local=True)
    shutil.rmtree(remote_of(project))
    assert push(project, only_local=True) == 3


def test_what_was_pushed_is_not_even_looked_at(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(project, only_local=True)
    monkeypatch.setattr(dvc_bytes, "_open", lambda *_: pytest.fail("DVC was opened"))
    assert push(project, only_local=True) == 0
    (project.root / "dvc.lock").write_text("{}")
    with pytest.raises(pytest.fail.Exception):
        push(project, only_local=True)


@pytest.mark.parametrize(("only_local", "pushed"), [(True, 0), (False, 3)])
def test_a_remote_elsewhere_is_only_asked_where_it_may_be(
    only_local: bool, pushed: int, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvc.fs import LocalFileSystem

    monkeypatch.setattr(LocalFileSystem, "protocol", "elsewhere")
    assert push(project, only_local=only_local) == pushed


def test_a_project_without_a_remote_pushes_nothing(project: Project) -> None:
    (project.root / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    assert push(project, only_local=True) == 0


def test_a_remote_that_takes_nothing_is_told(project: Project) -> None:
    remote_of(project).parent.mkdir()
    remote_of(project).write_text("a file")
    refusal(lambda: push(project, only_local=True), str(remote_of(project)))


def test_a_cache_that_lacks_the_list_is_told(project: Project) -> None:
    shutil.rmtree(cache_of(project))
    refusal(lambda: push(project, only_local=True), "DVC: ")
