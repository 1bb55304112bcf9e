"""`evergreen backup` and `restore`: what they say, and their one sentence where they cannot."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from commands import error_of, invoke, output_of

from evergreen.project import Project

pytestmark = pytest.mark.slow  # DVC and git


def test_what_was_kept_is_told_and_comes_back(two_batches: Project, tmp_path: Path) -> None:
    backup, there = tmp_path / "backup", tmp_path / "there"
    said = output_of(two_batches.root, "backup", str(backup))
    assert str(next(backup.iterdir())) in said
    again = output_of(two_batches.root, "backup", str(backup))
    assert "of them new 0.0" in again
    newest = max(backup.iterdir())
    subprocess.run(["git", "clone", "-q", str(newest / "code.bundle"), str(there)], check=True)
    assert str(newest) in output_of(there, "restore", str(backup))
    (there / "data" / "raw").mkdir(parents=True)
    (there / "data" / "raw" / "manifest.json").write_text("{}")
    refused = error_of(invoke(there, "restore", str(newest)))
    assert refused.startswith("data/raw/manifest.json of ")


def test_neither_works_outside_of_a_project(tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    for command in ("backup", "restore"):
        assert "no project here" in error_of(invoke(tmp_path, command, "backup"))


def test_a_folder_without_a_backup_is_told(two_batches: Project, tmp_path: Path) -> None:
    assert "holds no backup" in error_of(invoke(two_batches.root, "restore", str(tmp_path)))


def test_code_that_was_changed_meanwhile_is_warned_of(two_batches: Project, tmp_path: Path) -> None:
    backup, there = tmp_path / "backup", tmp_path / "there"
    output_of(two_batches.root, "backup", str(backup))
    bundle = next(backup.glob("*/code.bundle"))
    subprocess.run(["git", "clone", "-q", str(bundle), str(there)], check=True)
    (there / "dvc.yaml").write_text((there / "dvc.yaml").read_text() + "# mine\n")
    done = invoke(there, "restore", str(backup))
    assert done.exit_code == 0
    assert "warning: the code is left as it is: it has changes" in done.stderr
