"""The login: one per project, for its owner alone, whoever asks first."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment, refusal

from evergreen.orchestration.login import FORM, login_of, read_given, use_login
from evergreen.project import Project

ASK = """
from pathlib import Path
from evergreen.orchestration.login import *
print(login_of(Project(Path.cwd())))
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_login_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        login = login_of(Project(tmp_path / "a"))
    finally:
        os.umask(before)
    kept = tmp_path / "a" / "stores" / "login"
    assert mode(kept) == 0o600
    assert kept.read_text() == f"{login}\n"
    assert login_of(Project(tmp_path / "a")) == login
    assert login_of(Project(tmp_path / "b")) != login
    assert sorted(path.name for path in kept.parent.iterdir()) == ["login", "login.lock"]


def test_a_login_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    login = login_of(Project(tmp_path))
    kept = tmp_path / "stores" / "login"
    kept.chmod(0o644)
    assert login_of(Project(tmp_path)) == login
    assert mode(kept) == 0o600


DAMAGED = (b"", b"\n", b"evergreen:", b"evergreen:short", b"\xff\xfe\x00", b"x" * 5000)


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_login_is_replaced_never_used(tmp_path: Path, content: bytes) -> None:
    """An empty one would open the servers to everybody."""
    kept = tmp_path / "stores" / "login"
    kept.parent.mkdir()
    kept.write_bytes(content)
    login = login_of(Project(tmp_path))
    assert FORM.fullmatch(login)
    assert (mode(kept), kept.read_text()) == (0o600, f"{login}\n")


@pytest.mark.slow
def test_processes_that_begin_at_once_have_the_same(tmp_path: Path) -> None:
    asking = [
        subprocess.Popen(
            [sys.executable, "-c", ASK], cwd=tmp_path, env=environment(ROOT), stdout=subprocess.PIPE
        )
        for _ in range(6)
    ]
    assert len({process.communicate()[0] for process in asking}) == 1
    assert [process.returncode for process in asking] == [0] * 6


def test_prefect_is_told_by_the_environment(tmp_path: Path) -> None:
    use_login(Project(tmp_path))
    login = login_of(Project(tmp_path))
    assert [os.environ[f"PREFECT_{whose}_AUTH_STRING"] for whose in ("API", "SERVER_API")] == [
        login
    ] * 2


def test_what_servers_ask_for_may_lie_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "login").write_text("evergreen:swordfish\n")
    monkeypatch.setattr(os, "environ", {"PREFECT_API_AUTH_STRING_FILE": f"{tmp_path}/login"})
    read_given()
    assert os.environ["PREFECT_API_AUTH_STRING"] == "evergreen:swordfish"
    assert "MLFLOW_TRACKING_PASSWORD" not in os.environ
    os.environ["PREFECT_API_AUTH_STRING"] = "another"  # what is set itself counts
    read_given()
    assert os.environ["PREFECT_API_AUTH_STRING"] == "another"


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file or directory"), (b"\xff", "it is no text")]
)
def test_a_file_of_a_login_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, why: str
) -> None:
    file = tmp_path / "password"
    if content:
        file.write_bytes(content)
    monkeypatch.setattr(os, "environ", {"MLFLOW_TRACKING_PASSWORD_FILE": str(file)})
    refusal(read_given, f"the file that MLFLOW_TRACKING_PASSWORD_FILE names cannot be read ({why})")
