"""DVC: a stage runs when it says so, is recorded as `dvc repro` would; no lock outlives a kill."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import warnings

import pytest
import yaml
from conftest import ROOT, copy_project, environment
from dvc.output import Output

from evergreen import code, recipes
from evergreen.errors import InputError
from evergreen.features.prepare import prepare
from evergreen.ingest.batches import ingest
from evergreen.project import Project
from evergreen.quality.held_batches import find_held
from evergreen.stores.dvc import (
    RECIPES,
    STAGES,
    changed_stages,
    data_versions,
    read_lock,
    run_stage,
)
from evergreen.validation.contract import Contract
from evergreen.validation.validate import validate

pytestmark = pytest.mark.slow  # real stores and servers
OUTPUTS = {
    "ingest": ("raw",),
    "validate": ("quarantine", "validated", "validation"),
    "prepare": ("features",),
}


def work_of(project, name, calls=None):
    """A stand-in for the stage `name`: writes a file into each of its folders, and counts calls."""

    def work(altered):
        for folder in OUTPUTS[name]:
            place = project.root / "data" / folder
            place.mkdir(parents=True, exist_ok=True)
            (place / "part.txt").write_text(f"{name} by {project.params.read_text()}")
        if calls is not None:
            calls.append(altered)
        return f"{name} done"

    return work


def rwlock_of(project):
    return project.root / ".dvc" / "tmp" / "rwlock"


def held_locks(project):
    return [
        holder
        for holders in json.loads(rwlock_of(project).read_text()).values()
        for holder in holders.values()
    ]


def lock_of(project):
    return (project.root / "dvc.lock").read_bytes()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    # Else DVC keeps a folder per project for good
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A project whose stages have all run."""
    project = Project(tmp_path_factory.mktemp("template") / "project")
    copy_project(project.root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(project.root.parent / "site"))
        for name in STAGES:
            assert run_stage(project, name, work_of(project, name)) == f"{name} done"
    subprocess.run(["git", "-C", str(project.root), "gc", "-q"], check=True)  # fewer files to copy
    return project


@pytest.fixture
def settled(template, tmp_path):
    """A copy of that project."""
    unused = shutil.ignore_patterns("hooks", "flows", "report", "*.sample")
    return Project(
        shutil.copytree(template.root, tmp_path / "project", symlinks=True, ignore=unused)
    )


@pytest.fixture
def fresh(tmp_path):
    """A project in which nothing has run."""
    copy_project(tmp_path / "fresh")
    return Project(tmp_path / "fresh")


def edit(project, section, **values):
    content = yaml.safe_load(project.params.read_text())
    content[section] = content.get(section, {}) | values
    project.params.write_text(yaml.safe_dump(content))


# --- running


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


# --- what has changed


def test_all_stages_are_to_run_at_first(fresh):
    assert changed_stages(fresh) == list(STAGES)
    assert not (fresh.root / "dvc.lock").exists()


@pytest.mark.parametrize(
    ("section", "values", "stages"),
    [
        ("source", {"until": "2013-02"}, ["ingest"]),
        ("validate", {"max_bad_rows": 0.5}, ["validate"]),
        ("prepare", {"min_level_rows": 3}, ["prepare"]),
        ("split", {"train_batches": 4}, ["prepare"]),
        ("split", {"min_share": 0.1}, []),
        ("train", {"refit": "none"}, ["prepare"]),
        ("train", {"max_depth": 3, "rounds": 10}, []),
    ],
)
def test_a_parameter_changes_the_stages_that_use_it(section, values, stages, settled):
    before = lock_of(settled)
    edit(settled, section, **values)
    assert changed_stages(settled) == stages
    assert lock_of(settled) == before


def test_no_other_parameter_changes_a_stage(settled):
    edit(settled, "sweep", seeds=3)
    edit(settled, "evaluate", resamples=100)
    edit(settled, "tracking", model="other")
    edit(settled, "ports", prefect=4999)
    assert changed_stages(settled) == []


def test_the_task_changes_the_features(settled):
    text = settled.params.read_text()
    other = "task: multiclass" if "task: multiclass" not in text else "task: binary"
    settled.params.write_text(re.sub("^task: [a-z]+", other, text, flags=re.MULTILINE))
    assert changed_stages(settled) == ["prepare"]


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("src/late_flights/dataset.py", ["ingest", "validate", "prepare"]),
        ("src/late_flights/expectations.py", ["validate"]),
        ("src/evergreen/ingest/sources.py", []),  # the library's: its recipes count
        ("src/evergreen/recipes.py", []),
        ("src/evergreen/training/xgboost.py", []),
        ("data/raw/part.txt", ["ingest", "validate"]),
        ("data/quarantine/part.txt", ["validate"]),
        ("data/validated/part.txt", ["validate", "prepare"]),
        ("data/features/part.txt", ["prepare"]),
    ],
)
def test_a_file_changes_the_stages_that_use_it(file, stages, settled):
    with (settled.root / file).open("a") as content:
        content.write("\n# more\n")
    assert changed_stages(settled) == stages


STAGE_OF = {"INGEST": "ingest", "VALIDATE": "validate", "PREPARE": "prepare", "HOLD": "prepare"}


def release(project, monkeypatch, name):
    """Let this process run a release of the library that has raised the recipe `name`."""
    path = project.root.parent / "recipes.py"
    text = pathlib.Path(recipes.__file__).read_text()
    path.write_text(
        re.sub(rf"^{name} = \d+", lambda found: f"{found[0]}99", text, flags=re.MULTILINE)
    )
    monkeypatch.setattr(recipes, "__file__", str(path))
    monkeypatch.setattr(recipes, name, int(f"{getattr(recipes, name)}99"))
    return path


@pytest.mark.parametrize("name", [name for name in vars(recipes) if name.isupper()])
def test_a_recipe_that_moved_changes_its_stage(name, settled, monkeypatch):
    release(settled, monkeypatch, name)
    due = [STAGE_OF[name]] if name in STAGE_OF else []
    assert changed_stages(settled) == due
    ran = [stage for stage in STAGES if run_stage(settled, stage, work_of(settled, stage))]
    assert ran == due
    assert changed_stages(settled) == []
    kept = yaml.safe_load(lock_of(settled))["stages"]
    numbers = {
        key: value
        for stage in kept.values()
        for key, value in stage["params"][".dvc/tmp/recipes.py"].items()
    }
    assert numbers == {key: getattr(recipes, key) for key in STAGE_OF}


def dvc_status(project):
    """The stages that `dvc status` calls changed; what it says where it cannot tell."""
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    done = subprocess.run(
        command, cwd=project.root, env=environment(project.root), capture_output=True, text=True
    )
    return done.stderr if done.returncode else set(json.loads(done.stdout))


def test_dvc_itself_sees_a_release_that_was_installed_since(settled, monkeypatch):
    path = pathlib.Path(shutil.copy2(recipes.__file__, settled.root.parent))
    monkeypatch.setattr(recipes, "__file__", str(path))
    assert changed_stages(settled) == []
    path.write_text(f"{path.read_text().replace('step', 'stepp')}# a typo mended\n")
    assert dvc_status(settled) == set()
    path.write_text(path.read_text().replace("PREPARE = ", "PREPARE = 9"))
    assert dvc_status(settled) == {"prepare"}
    # As when an environment was made anew elsewhere: what is not known is not up to date
    path.unlink()
    assert "No such file or directory" in dvc_status(settled)
    (settled.root / RECIPES).unlink()
    assert dvc_status(settled) == set(STAGES)


def test_another_environments_library_is_looked_up_by_the_next_command(settled):
    link = settled.root / RECIPES
    for spoil in (
        lambda: None,
        lambda: link.symlink_to("/nowhere"),
        lambda: link.write_text("PREPARE = 7\n"),
    ):
        link.unlink(missing_ok=True)
        spoil()
        assert changed_stages(settled) == []
        assert link.samefile(recipes.__file__)


# --- versions of data


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


# --- locks that a crash left


@pytest.fixture
def living():
    """A process that does nothing but live."""
    process = subprocess.Popen(["sleep", "600"])
    yield process.pid
    process.kill()
    process.wait()


@pytest.fixture
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def leave_lock(project, content, *, age=0.0):
    """Write what a `dvc` process leaves while it works, `age` seconds ago."""
    path = rwlock_of(project)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    moment = time.time() - age
    os.utime(path, (moment, moment))


def held(project, pid, mode):
    """A lock on `data/features` by process `pid`."""
    path, holder = str(project.features), {"pid": pid, "cmd": "dvc repro"}
    return {
        "read": {path: [holder]} if mode == "read" else {},
        "write": {path: holder} if mode == "write" else {},
    }


def run_again(project):
    return run_stage(project, "prepare", work_of(project, "prepare"), force=True)


@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_lock_of_a_dead_process_is_dropped(mode, settled, dead):
    leave_lock(settled, held(settled, dead, mode))
    assert run_again(settled) == "prepare done"
    assert held_locks(settled) == []


@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_lock_is_dropped_whose_process_number_was_given_to_another(mode, settled, living):
    leave_lock(settled, held(settled, living, mode), age=3600)
    assert run_again(settled) == "prepare done"
    assert held_locks(settled) == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"read": {"/a/b": [{"pi',
        "[]",
        "null",
        '{"read": {}, "write": {"/a": {}}}',
        pytest.param("\0" * 99, id="zeros"),
    ],
)
def test_a_lock_that_was_cut_short_is_dropped(content, settled):
    leave_lock(settled, content)
    assert run_again(settled) == "prepare done"
    assert held_locks(settled) == []


@pytest.mark.parametrize("mode", ["read", "write"])
@pytest.mark.parametrize("empty", ["kept", "left out"])  # DVC writes an empty part, or none
def test_a_lock_of_a_process_at_work_is_respected(mode, empty, settled, living):
    content = held(settled, living, mode)
    if empty == "left out":
        content = {mode: content[mode]}
    leave_lock(settled, content, age=-5)  # the process is older than the file
    before = lock_of(settled)
    with pytest.raises(InputError, match="DVC is busy with this project: wait"):
        run_again(settled)
    assert lock_of(settled) == before
    assert json.loads(rwlock_of(settled).read_text()).items() >= content.items()


def test_a_living_lock_beside_a_dead_one_is_respected(settled, living, dead):
    content = held(settled, living, "write")
    content["write"]["/somewhere/else"] = {"pid": dead, "cmd": "dvc add"}
    leave_lock(settled, content, age=-5)
    with pytest.raises(InputError, match="DVC is busy"):
        run_again(settled)


def test_a_living_lock_on_other_data_does_not_stop_a_stage(settled, living):
    leave_lock(
        settled,
        {"read": {}, "write": {"/somewhere/else": {"pid": living, "cmd": "dvc add"}}},
        age=-5,
    )
    assert run_again(settled) == "prepare done"
    assert [lock["pid"] for lock in held_locks(settled)] == [living]


# --- as `dvc repro` does it


@pytest.mark.slow
def test_the_record_equals_that_of_dvc_repro_byte_for_byte(make_project, read_params, tmp_path):
    project = make_project()
    other = Project(shutil.copytree(project.root, tmp_path / "other", symlinks=True))
    params = read_params(project)
    steps = {
        "ingest": lambda project, **how: ingest(project, project.dataset, params, **how),
        "validate": lambda project, **how: validate(project, Contract.of(project, params), **how),
        "prepare": lambda project, **how: prepare(
            project, project.dataset, params, find_held, **how
        ),
    }

    def run_all(project):
        return [
            run_stage(project, name, lambda altered, step=step: step(project, check=altered))
            for name, step in steps.items()
        ]

    def repro(*args):
        command = [sys.executable, "-m", "dvc", "repro", *args]
        done = subprocess.run(
            command,
            cwd=other.root,
            env=environment(other.root),
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the age of what Great Expectations uses
        importlib.import_module("great_expectations.expectations")
    assert all(run_all(project))
    repro()
    assert lock_of(other) == lock_of(project)
    repro("--force")
    assert lock_of(other) == lock_of(project)
    assert run_all(other) == [None, None, None]  # each takes the other's record for its own
    shutil.rmtree(other.root)
    shutil.copytree(project.root, other.root, symlinks=True)
    assert repro().count("didn't change, skipping") == 3


@pytest.mark.parametrize("first", [True, False], ids=["the first record", "a later one"])
def test_a_record_that_was_cut_as_it_was_written_is_undone(first, fresh, settled, monkeypatch):
    """DVC empties dvc.lock before it writes it: a kill then leaves a file that it cannot read."""
    project, name = (fresh, "ingest") if first else (settled, "prepare")
    before = None if first else lock_of(project)
    if not first:
        edit(project, "prepare", min_level_rows=7)

    def cut(self, **_):
        (project.root / "dvc.lock").write_bytes(b"")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dvc.stage.PipelineStage.dump", cut)
        with pytest.raises(KeyboardInterrupt):
            run_stage(project, name, work_of(project, name))
    assert lock_of(project) == b""
    assert name in changed_stages(project)
    assert ((project.root / "dvc.lock").exists(), data_versions(project) != {}) == (
        not first,
        not first,
    )
    if before:
        assert lock_of(project) == before
    assert run_stage(project, name, work_of(project, name)) == f"{name} done"
    assert name not in changed_stages(project)


# --- what runs, and what lies there by now


def dep_of(lock, stage, name):
    """The hash that is recorded of a dependency."""
    return next(
        dep["md5"]
        for dep in yaml.safe_load(lock)["stages"][stage]["deps"]
        if dep["path"].endswith(name)
    )


def runs(monkeypatch, project, **sources):
    """Let this process have taken these sources of the project's at its start."""
    package = project.root / "src" / "late_flights"
    for name, content in sources.items():
        monkeypatch.setitem(code._KEPT, os.path.realpath(package / f"{name}.py"), content)
    return package


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_of_code_that_was_edited_since_what_ran_is_recorded(settled, monkeypatch):
    path = settled.root / "src" / "late_flights" / "dataset.py"
    old, recorded = path.read_bytes(), lock_of(settled)
    runs(monkeypatch, settled, dataset=old)
    path.write_bytes(b"# another branch\n")
    # For this process nothing has changed
    assert run_stage(settled, "prepare", work_of(settled, "prepare")) is None
    assert run_stage(settled, "prepare", work_of(settled, "prepare"), force=True)
    assert lock_of(settled) == recorded
    assert "prepare" in changed_stages(settled)  # for the next one it has
    monkeypatch.undo()
    assert run_stage(settled, "prepare", work_of(settled, "prepare"))
    assert dep_of(lock_of(settled), "prepare", "dataset.py") == md5(path)
    assert "prepare" not in changed_stages(settled)


def test_code_that_runs_and_is_not_there_any_more(settled, monkeypatch):
    path = settled.root / "src" / "late_flights" / "dataset.py"
    recorded = lock_of(settled)
    runs(monkeypatch, settled, dataset=path.read_bytes())
    path.unlink()
    assert run_stage(settled, "prepare", work_of(settled, "prepare"), force=True)
    assert lock_of(settled) == recorded


def test_of_code_that_runs_and_is_not_what_was_recorded(settled, monkeypatch):
    """An older process on a newer `dvc.lock`, as after a checkout."""
    runs(monkeypatch, settled, dataset=b"old = 1\n")
    assert run_stage(settled, "prepare", work_of(settled, "prepare"))
    assert (
        dep_of(lock_of(settled), "prepare", "dataset.py") == hashlib.md5(b"old = 1\n").hexdigest()
    )


def test_parameters_count_as_they_were_read(settled):
    params, recorded = settled.params.read_bytes(), lock_of(settled)
    edit(settled, "prepare", min_level_rows=7)
    assert run_stage(settled, "prepare", work_of(settled, "prepare"), params=params) is None
    assert run_stage(settled, "prepare", work_of(settled, "prepare"), params=params, force=True)
    stage = yaml.safe_load(lock_of(settled))["stages"]["prepare"]
    assert stage["params"] == yaml.safe_load(recorded)["stages"]["prepare"]["params"]
    assert run_stage(
        settled, "prepare", work_of(settled, "prepare"), params=settled.params.read_bytes()
    )
    assert (
        yaml.safe_load(lock_of(settled))["stages"]["prepare"]["params"]["params.yaml"]["prepare"][
            "min_level_rows"
        ]
        == 7
    )


# What is no longer written, whether its value was the default, and which stages have to run then
LEFT = {
    "a default": ({}, ("drift", "hold"), []),
    "another value": ({"drift": {"hold": 0.25}}, ("drift", "hold"), ["prepare"]),
    "a section of defaults": ({}, ("split",), []),
    "a section with another value": ({"split": {"train_batches": 3}}, ("split",), ["prepare"]),
}


def leave_out(project, section, key=None):
    content = yaml.safe_load(project.params.read_text())
    del (content if key is None else content[section])[section if key is None else key]
    project.params.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize("case", LEFT)
def test_a_parameter_that_is_not_written_counts_as_its_default(case, settled):
    values, left, due = LEFT[case]
    for section, changed in values.items():
        edit(settled, section, **changed)
    text = settled.params.read_bytes()
    run_stage(settled, "prepare", work_of(settled, "prepare"), params=text, force=True)
    leave_out(settled, *left)
    assert changed_stages(settled) == due
    done = run_stage(
        settled, "prepare", work_of(settled, "prepare"), params=settled.params.read_bytes()
    )
    assert done == ("prepare done" if due else None)
    assert changed_stages(settled) == []


def test_another_default_of_a_later_release_runs_a_stage_again(settled):
    leave_out(settled, "drift", "hold")
    assert changed_stages(settled) == []
    recorded = lock_of(settled)
    assert b"drift.hold: 0.5" in recorded
    (settled.root / "dvc.lock").write_bytes(
        recorded.replace(b"drift.hold: 0.5", b"drift.hold: 0.4")
    )
    assert changed_stages(settled) == ["prepare"]


def test_a_key_that_is_no_parameter_is_named(settled):
    dvc_yaml = settled.root / "dvc.yaml"
    dvc_yaml.write_text(dvc_yaml.read_text().replace("drift.hold,", "drift.holds,"))
    with pytest.raises(InputError, match=r"dvc\.yaml names drift\.holds, which is no parameter"):
        run_stage(settled, "prepare", work_of(settled, "prepare"), params=b"{}")


def test_dvc_by_itself_finds_all_that_it_asks_for_in_the_file_of_the_project():
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    for stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values():
        for key in (param for param in stage["params"] if isinstance(param, str)):
            section, _, name = key.partition(".")
            assert section in content
            assert not name or name in content[section]


def test_a_dvc_lock_that_is_checked_out_meanwhile_is_not_what_ran(settled):
    run_stage(settled, "prepare", work_of(settled, "prepare"), force=True)
    expected, lock = data_versions(settled), lock_of(settled)
    (settled.root / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    assert data_versions(settled) == expected
    assert read_lock(settled) == lock


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
