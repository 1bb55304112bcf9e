"""DVC: which stages a change of parameters, files or recipes makes due."""

from __future__ import annotations

import pathlib
import re
import shutil

import pytest
import yaml
from conftest import ROOT
from staged import dvc_status, edit, lock_of, work_of

from evergreen import recipes
from evergreen.errors import InputError
from evergreen.stores.dvc import (
    RECIPES,
    STAGES,
    changed_stages,
    run_stage,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_cache")]  # real stores


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
