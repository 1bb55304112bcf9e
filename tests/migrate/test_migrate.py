"""A project with a copied library: the template's goes, the owner's stays, or nothing changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import git, refusal
from migrate.conftest import NEW, OLD, commit, write

from evergreen.migrate.migrate import ASIDE, migrate
from evergreen.update import update

pytestmark = pytest.mark.slow  # each loads the project in a new process


def tree(root: Path) -> dict[str, str]:
    """Every file but those of git, by path."""
    found = (
        path
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(root).parts
    )
    return {path.relative_to(root).as_posix(): path.read_text() for path in found}


def named(files: dict[str, str]) -> dict[str, str]:
    return {
        name.replace("PACKAGE", "churn"): text.replace("PACKAGE", "churn")
        for name, text in files.items()
    }


def test_an_untouched_project_becomes_a_new_one(root: Path, template: Path) -> None:
    said = migrate(root)
    found = tree(root)
    answers = json.loads(found.pop(".template.json"))
    assert answers["_commit"] == git(template, "rev-parse", "new").strip()
    assert found.pop(".gitignore")
    shim = {name: found.pop(f"src/churn/model/{name}.py") for name in ("__init__", "package")}
    assert found == named(NEW)
    assert "from evergreen.scoring.package import _load_pyfunc" in shim["package"]
    assert "6 files of the library taken out" in said
    assert ASIDE not in said
    assert git(root, "diff", "--name-only") == ""  # all of it is staged


def test_what_its_owner_wrote_stays(root: Path) -> None:
    dataset = root / "src/churn/dataset.py"
    dataset.write_text(dataset.read_text() + "# ours\nSLICES = {}\n")
    expectations = root / "src/churn/expectations.py"
    expectations.write_text("# ours\n" + expectations.read_text())
    write(root, {
        "src/churn/words.py": "from churn.errors import InputError\n",
        "tests/test_ours.py": "import churn.life.gate\n",
        "params.yaml": OLD["params.yaml"].replace("0.01", "0.02").replace("0.003", "0.1"),
        "Makefile": named(OLD)["Makefile"] + "\nours:\n\ttrue\n",
    })  # fmt: skip
    commit(root, "ours")
    write(root, {"data/raw/manifest.json": "{}", "stores/x": "x"})
    said = migrate(root)
    found = tree(root)
    text = found["src/churn/dataset.py"]
    assert "# ours" in text
    assert "from evergreen.errors import InputError" in text
    assert text.endswith("    features=FEATURES,\n    slices=SLICES,\n)\n")
    assert found["src/churn/expectations.py"].startswith("# ours\nfrom churn import dataset\n")
    assert found["src/churn/words.py"] == "from evergreen.errors import InputError\n"
    assert "tests/test_ours.py imports churn.life.gate" in said
    assert found["Makefile"] == NEW["Makefile"] + "\nours:\n\ttrue\n"
    assert "min_loss: 0.02" in found["params.yaml"]
    assert "retrain.max_staleness (0.1) is dropped" in said
    assert (found["data/raw/manifest.json"], found["stores/x"]) == ("{}", "x")


EDITED = {  # a file that was edited -> what lies in its place
    "src/churn/life/gate.py": None,
    "tests/test_gate.py": None,
    "pyproject.toml": named(NEW)["pyproject.toml"],
}


@pytest.mark.parametrize(
    "name",
    ["src/churn/life/gate.py", "pyproject.toml",
     pytest.param("tests/test_gate.py", marks=pytest.mark.long)],
)  # fmt: skip
def test_what_was_edited_of_the_template_is_put_aside(name: str, root: Path) -> None:
    ours = (root / name).read_text().replace("MARGIN = 1", "MARGIN = 2").replace(
        '"old"', '"ours"'
    ) + "# ours\n"
    write(root, {name: ours})
    commit(root, "ours")
    said = migrate(root)
    assert f"1 file edited here, in {ASIDE}/" in said
    assert f"\n  {name}\n" in said
    found = tree(root)
    assert found[f"{ASIDE}/{name}"] == ours
    assert found.get(name) == EDITED[name]


def test_the_module_that_old_models_name_loads_them_by_the_library(root: Path) -> None:
    migrate(root)
    code = "from churn.model.package import _load_pyfunc as f; print(f.__module__)"
    env = os.environ | {"PYTHONPATH": str(root / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "evergreen.scoring.package\n"


# --- all or nothing

Spoil = Callable[[Path], object]
REFUSED: dict[str, tuple[Spoil, str]] = {  # what is wrong -> how it is made, what is said
    "a definition that is none": (
        lambda root: write(root, {"src/churn/dataset.py": "COLUMNS = {}\n"}),
        "dataset.py lacks LABEL",
    ),
    "a definition that cannot be loaded": (
        lambda root: write(
            root, {"src/churn/dataset.py": named(OLD)["src/churn/dataset.py"] + "1 / 0\n"}
        ),
        "nothing is changed: the project could not be loaded with the library: dataset.py, line",
    ),
    "a module that is gone": (
        lambda root: write(
            root, {"src/churn/expectations.py": "from churn.life.gate import MARGIN\n"}
        ),
        "No module named 'churn.life'",
    ),
    "a value that is none": (
        lambda root: write(root, {"params.yaml": "task: binary\nretrain:\n  min_loss: many\n"}),
        "retrain.min_loss",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_where_it_fails_all_is_as_it_was(kind: str, root: Path) -> None:
    spoil, said = REFUSED[kind]
    spoil(root)
    commit(root, "spoilt")
    before = tree(root)
    refusal(lambda: migrate(root), said)
    assert tree(root) == before
    assert git(root, "status", "--porcelain") == ""


def test_a_file_that_git_does_not_know_is_not_written_over(root: Path) -> None:
    write(root, {"vendor/evergreen.whl": "mine\n"})
    before = tree(root)
    refusal(lambda: migrate(root), "vendor/evergreen.whl")
    assert tree(root) == before


def test_changes_must_be_committed(root: Path) -> None:
    write(root, {"Makefile": "mine\n"})
    refusal(lambda: migrate(root), "not committed")


def test_a_project_that_has_a_wheel_is_refused(root: Path) -> None:
    migrate(root)
    commit(root, "migrated")
    refusal(lambda: migrate(root), "has the library as a wheel already", "`evergreen update`")


def test_a_template_that_copies_is_refused(root: Path) -> None:
    refusal(lambda: migrate(root, "old"), "the template copies the library itself")


def test_an_update_says_that_it_is_to_be_migrated(root: Path) -> None:
    refusal(lambda: update(root), "`evergreen migrate`")
    assert git(root, "status", "--porcelain") == ""


def test_after_it_updates_go_on(root: Path, template: Path) -> None:
    migrate(root)
    commit(root, "migrated")
    write(template / "files", {"vendor/evergreen.whl": "newer\n"})
    commit(template, "newer")
    assert "2 files merged" in update(root, tell=lambda said: None)
    assert (root / "vendor/evergreen.whl").read_text() == "newer\n"
