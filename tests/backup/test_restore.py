"""Restore: all is there again, in this folder or another; or nothing has changed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from backup.backed import registered

from evergreen.backup import restore as restoring
from evergreen.backup.restore import restore
from evergreen.backup.take import take
from evergreen.errors import InputError
from evergreen.project import Project

pytestmark = pytest.mark.slow  # real stores


def files(project: Project) -> dict[str, bytes]:
    return {
        str(path.relative_to(project.root)): path.read_bytes()
        for path in sorted(project.root.rglob("*"))
        if path.is_file() and ".git" not in path.parts and "tmp" not in path.parts
    }


def clone(backup: Path, folder: Path) -> Project:
    bundle = next(backup.glob("*/code.bundle"))
    subprocess.run(["git", "clone", "-q", str(bundle), str(folder)], check=True)
    return Project(folder)


@pytest.mark.parametrize("moved", [False, True], ids=["the same folder", "another folder"])
def test_all_that_was_lost_is_there_again(moved: bool, project: Project, tmp_path: Path) -> None:
    take(project, tmp_path / "backup")
    before, versions = files(project), registered(project.root)
    shutil.rmtree(project.root)
    there = clone(tmp_path / "backup", tmp_path / "other" if moved else project.root)
    done = restore(there, tmp_path / "backup")
    assert done.left == ""
    after = files(there)
    gone = {*before} - {*after}
    left = ("run.lock", "replay", "reproduced", ".part-")
    assert all(any(part in name for part in left) for name in gone), gone
    database = "stores/mlflow.db"
    assert {name: after[name] for name in after if name != database} == {
        name: before[name] for name in before if name != database and name not in gone
    }
    own = {
        number: place.replace(str(project.root), str(there.root))
        for number, place in versions.items()
    }
    assert registered(there.root) == own
    assert all(Path(place, "model.ubj").is_file() for place in own.values())


def test_data_that_the_cache_of_dvc_lacks_is_there_again(project: Project, tmp_path: Path) -> None:
    shutil.rmtree(project.root / ".dvc" / "cache")
    take(project, tmp_path / "backup")
    there = clone(tmp_path / "backup", tmp_path / "other")
    restore(there, tmp_path / "backup")
    wanted = (project.root / "data" / "raw" / "part.txt").read_bytes()
    assert (there.root / "data" / "raw" / "part.txt").read_bytes() == wanted


def test_the_cache_is_where_the_projects_own_settings_have_it(
    project: Project, tmp_path: Path
) -> None:
    shutil.move(project.root / ".dvc" / "cache", tmp_path / "cache")
    settings = f"[cache]\n    dir = {tmp_path / 'cache'}\n"
    (project.root / ".dvc" / "config.local").write_text(settings)
    take(project, tmp_path / "backup")
    shutil.rmtree(tmp_path / "cache")
    there = clone(tmp_path / "backup", tmp_path / "other")
    restore(there, tmp_path / "backup")
    assert (there.root / "data" / "raw" / "part.txt").is_file()
    assert (tmp_path / "cache" / "files").is_dir()


def test_a_folder_whose_name_mlflow_misreads_is_refused(project: Project, tmp_path: Path) -> None:
    take(project, tmp_path / "backup")
    there = clone(tmp_path / "backup", tmp_path / "a%20b")
    with pytest.raises(InputError, match="MLflow cannot work in"):
        restore(there, tmp_path / "backup")
    assert not there.stores.exists()


def with_models(project: Project, snapshot: Path) -> None:
    (project.stores).mkdir()
    (project.stores / "mlflow.db").write_bytes(b"mine")


def with_data(project: Project, snapshot: Path) -> None:
    project.raw.mkdir(parents=True)
    (project.raw / "manifest.json").write_text("{}")


def with_a_link(project: Project, snapshot: Path) -> None:
    elsewhere = project.root.with_name("elsewhere")
    elsewhere.mkdir()
    (elsewhere / "new.csv").write_text("newer")
    (project.root / "inbox").symlink_to(elsewhere)


def with_what_a_run_made_since(project: Project, snapshot: Path) -> None:
    with_models(project, snapshot)
    (project.stores / restoring.MARK).touch()


def in_another_repository(project: Project, snapshot: Path) -> None:
    shutil.rmtree(project.root / ".git")
    who = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
    for words in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "other"]):
        subprocess.run(["git", "-C", str(project.root), *words], check=True)


def damaged(project: Project, snapshot: Path) -> None:
    path = snapshot / "project/stores/mlflow/models/m-1/model.ubj"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")


REFUSED: dict[str, tuple[Callable[[Project, Path], None], str]] = {
    "models are there": (with_models, r"stores/mlflow\.db .* would be overwritten: move"),
    "data are there": (with_data, r"data/raw/manifest\.json .* would be overwritten: move"),
    "a link to files elsewhere": (
        with_a_link,
        "inbox is a link to .* would be overwritten: remove",
    ),
    "killed, and then a run": (with_what_a_run_made_since, r"mlflow\.db .* would be overwritten"),
    "of another project": (in_another_repository, "is of .*, which the repository of .* not have"),
    "a byte of the backup": (damaged, r"model\.ubj is not as it was written"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_restored_changes_nothing(
    case: str, project: Project, tmp_path: Path
) -> None:
    spoil, says = REFUSED[case]
    snapshot = take(project, tmp_path / "backup").snapshot
    there = clone(tmp_path / "backup", tmp_path / "other")
    spoil(there, snapshot)
    before = files(there)
    with pytest.raises(InputError, match=says):
        restore(there, tmp_path / "backup")
    assert files(there) == before


def test_one_that_was_killed_is_done_again(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(project, tmp_path / "backup")
    there = clone(tmp_path / "backup", tmp_path / "other")

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("_copy", "_place_database"):
        with monkeypatch.context() as patch:
            patch.setattr(restoring, step, kill)
            with pytest.raises(KeyboardInterrupt):
                restore(there, tmp_path / "backup")
        assert not (there.stores / "mlflow.db").exists()
    assert restore(there, tmp_path / "backup").left == ""
    assert len(registered(there.root)) == 2
    assert not (there.stores / restoring.MARK).exists()


def commit(there: Project) -> None:
    (there.root / "params.yaml").write_text("mine: 1\n")
    who = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
    subprocess.run(["git", "-C", str(there.root), *who, "commit", "-qam", "mine"], check=True)


def edit(there: Project) -> None:
    (there.root / "params.yaml").write_text("mine: 1\n")


LATER: dict[str, tuple[Callable[[Project], None], str]] = {
    "another commit": (commit, "it is at commit"),
    "an edit": (edit, "it has changes that are not committed"),
}


@pytest.mark.parametrize("case", LATER)
def test_code_that_is_not_the_snapshots_is_left_as_it_is(
    case: str, project: Project, tmp_path: Path
) -> None:
    change, says = LATER[case]
    take(project, tmp_path / "backup")
    there = clone(tmp_path / "backup", tmp_path / "other")
    change(there)
    assert says in restore(there, tmp_path / "backup").left
    assert (there.root / "params.yaml").read_text() == "mine: 1\n"
    assert not (there.root / "notes.md").exists()
    assert len(registered(there.root)) == 2
    assert (there.root / "data" / "raw" / "part.txt").is_file()
