"""Code: a process runs, and fingerprints, what it read at its start; and no module that a step imports is forgotten."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, copy_tracked

from evergreen import code
from evergreen.data import hold, prepare, validate
from evergreen.model import sweep

PACKAGE = ROOT / "src" / "evergreen"
OWN = "prices"  # the package of a project
BOOKKEEPING = {
    "code",
    "errors",
    "files",
    "params",
    "project",
    "redact",
    "data/manifest",
    "data/memory",
    "dataset",
}  # no number depends on these


def in_package(*names: str, base: str = "") -> set[str]:
    """The modules that files of the package are, such as data/keys."""
    paths = ((PACKAGE / base / name).resolve() for name in names)
    return {path.relative_to(PACKAGE).with_suffix("").as_posix() for path in paths}


imports_of = cache(lambda path: tuple(code._imports(path)))  # each file is parsed once for all lists


def reached(*modules: str) -> set[str]:
    """What `modules` import, one through another, less bookkeeping."""
    found, ahead = set[Path](), {PACKAGE / f"{module}.py" for module in modules}
    while ahead:
        found |= ahead
        ahead = {path for one in ahead for path in imports_of(one)} - found
    inside = {path for path in found if path.is_relative_to(PACKAGE) and path.name != "__init__.py"}
    return in_package(*map(str, inside)) - BOOKKEEPING


def stage(name: str) -> set[str]:
    deps = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][name]["deps"]
    return in_package(*(str(ROOT / dep) for dep in deps if dep.startswith("src/evergreen/")))


def monitoring() -> set[str]:
    from flows.tasks.monitoring import CODE

    return in_package(*CODE, base="life")


NAMES_ONLY = {"data/keys", "data/split"}  # of columns: rows made otherwise have another checksum
SKETCH_ONLY = {"data/grid", "data/hold", "data/suspects"}  # a file's ending
SHOWN_ONLY = SKETCH_ONLY | {"data/contrast", "data/profile", "data/shift", "data/sketch"}  # by the page on bias
LISTS = {  # what is listed, what does the work, what of its imports does not count
    "dvc.yaml ingest": (lambda: stage("ingest"), ["data/batches"], set()),
    "dvc.yaml validate": (lambda: stage("validate"), ["data/validate"], set()),
    "dvc.yaml prepare": (lambda: stage("prepare"), ["data/prepare"], set()),
    "validate": (lambda: in_package(*validate.CODE, base="data"), ["data/validate"]  , set()),
    "prepare": (
        lambda: in_package(*prepare.CODE, *hold.CODE, base="data"),
        ["data/prepare"],
        set(),
    ),
    "hold": (lambda: in_package(*hold.CODE, base="data"), ["data/hold"], NAMES_ONLY),
    "training": (  # the learner itself counts besides
        lambda: in_package(*sweep.TRAINS, base="model"),
        ["model/train", "model/tables"],
        {"model/train"},
    ),
    "gate": (
        lambda: in_package(*sweep.TRAINS, *sweep.JUDGES, base="model"),
        ["data/bias", "data/label_noise", "life/compare", "life/decide", "life/judge", "life/leaks", "model/baselines",
         "model/evaluate", "model/package", "model/sweep"],
        SHOWN_ONLY,
    ),
    "monitoring": (
        monitoring,
        ["life/monitor", "life/retrain"],
        NAMES_ONLY | SKETCH_ONLY | {"life/fairness", "model/device", "model/tables", "model/train"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_every_module_that_a_step_imports_is_in_its_list(name: str) -> None:
    listed, works, besides = LISTS[name]
    assert reached(*works) - listed() - besides == set()


def test_what_a_list_leaves_out_is_told() -> None:
    assert "data/keys" in reached("data/prepare") - in_package("data/prepare.py")
    assert reached("data/dialect") == {"data/dialect"}


# --- what imports what ------------------------------------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A project of three modules: `dataset` imports a helper, and that one beside the package."""
    root = tmp_path / "project"
    copy_tracked(root, "src/evergreen/__init__.py", "src/evergreen/code.py")
    package = root / "src" / OWN
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "dataset.py").write_text(f"from evergreen import code as _\nfrom {OWN}.words import WORD\n")
    (package / "words.py").write_text("import beside.more as more\nfrom . import late as _\nWORD = 'old'\n")
    (package / "late.py").write_text("")
    (root / "src" / "beside").mkdir()
    (root / "src" / "beside" / "__init__.py").write_text("")
    (root / "src" / "beside" / "more.py").write_text("import json, polars\n")
    return root


def python(root: Path, *lines: str) -> str:
    """Run lines in a process of the project at `root`; `{name}` is its package."""
    words = "\n".join(lines).replace("{name}", OWN)
    command = [sys.executable, "-c", words]
    env = {"PYTHONPATH": str(root / "src")}
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_helpers_count_wherever_they_lie(bare: Path) -> None:
    found = python(
        bare,
        "from evergreen import code",
        "for path in code.with_imports(code.SOURCES / '{name}' / 'dataset.py'):",
        "    print(path.relative_to(code.HOME))",
    )
    expected = [
        "beside/__init__.py",
        "beside/more.py",
        *(f"{OWN}/{one}.py" for one in ("__init__", "dataset", "late", "words")),
    ]
    assert sorted(found.splitlines()) == sorted(f"src/{one}" for one in expected)


# --- what is edited while a process runs ------------------------------------------------------------------------------

EDITS = {
    "edited": "path.write_text(\"WORD = 'new'\")",
    "of the same length in the same second": "path.write_text(path.read_text().replace('old', 'new'))",
    "broken": "path.write_text('not python (')",
    "removed": "path.unlink()",
    "removed with all others": "import shutil; shutil.rmtree(path.parent)",
}


@pytest.mark.parametrize("how", EDITS)
def test_what_is_edited_later_is_not_what_runs(bare: Path, how: str) -> None:
    found = python(
        bare,
        "from evergreen import code",
        "path = code.SOURCES / '{name}' / 'words.py'",
        "print(len(code.changed()))",
        EDITS[how],
        "import {name}.dataset",
        "print({name}.dataset.WORD, b'old' in code.read(path), path in code.changed())",
    )
    assert found.splitlines() == ["0", "old True True"]


def test_the_next_process_runs_what_was_edited(bare: Path) -> None:
    show = "import {name}.dataset; print({name}.dataset.WORD)"
    assert python(bare, show) == "old"
    path = bare / "src" / OWN / "words.py"
    path.write_text(path.read_text().replace("old", "new"))  # as long, and in the same second
    assert python(bare, show) == "new"


def test_a_child_can_be_given_the_code_of_its_parent(bare: Path, tmp_path: Path) -> None:
    show = "import {name}.dataset as d; print(d.WORD)".replace("{name}", OWN)
    found = python(
        bare,
        "import os, pathlib, subprocess, sys",
        "from evergreen import code",
        f"folder = pathlib.Path({str(tmp_path / 'copy')!r})",
        "print(dict(code.environment(folder)))",
        "(code.SOURCES / '{name}' / 'words.py').write_text('WORD = 1')",
        f"given = [sys.executable, '-c', {show!r}]",
        "sys.stdout.flush()",
        "subprocess.run(given, env=os.environ | code.environment(folder), check=True)",
    )
    assert found.splitlines() == ["{}", "old"]


def test_a_link_to_nothing_is_passed_over(bare: Path) -> None:
    (bare / "src" / OWN / ".#dataset.py").symlink_to("nowhere")
    assert python(bare, "import {name}.dataset; print({name}.dataset.WORD)") == "old"
