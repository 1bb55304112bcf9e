"""Code: a process runs, and fingerprints, what it read at its start; which is the user's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, copy_tracked

from evergreen import code

PACKAGE = ROOT / "src" / "evergreen"
OWN = "prices"  # the package of a project

# --- what imports what


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A project of three modules: `dataset` imports a helper, and that one beside the package."""
    root = tmp_path / "project"
    copy_tracked(root, "src/evergreen/__init__.py", "src/evergreen/code.py")
    package = root / "src" / OWN
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "dataset.py").write_text(
        f"from evergreen import code as _\nfrom {OWN}.words import WORD\n"
    )
    (package / "words.py").write_text(
        "import beside.more as more\nfrom . import late as _\nWORD = 'old'\n"
    )
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
        *(f"{OWN}/{name}.py" for name in ("__init__", "dataset", "late", "words")),
    ]
    assert sorted(found.splitlines()) == sorted(f"src/{name}" for name in expected)


def test_the_library_does_not_count_with_what_imports_it(bare: Path) -> None:
    library = bare / "src" / PACKAGE.name
    (library / "features").mkdir()
    for name in ("errors", "features/__init__", "features/keys"):
        (library / f"{name}.py").write_text("")
    own = bare / "src" / OWN / "dataset.py"
    own.write_text(
        f"from {PACKAGE.name} import errors\nfrom {PACKAGE.name}.features.keys import KEY\n"
        + own.read_text()
    )
    counted = python(
        bare,
        "from evergreen import code",
        "print(*(path.stem for path in code.with_imports(code.SOURCES / '{name}' / 'dataset.py')))",
    )
    assert counted.split() == ["__init__", "more", "__init__", "dataset", "late", "words"]


def test_a_learner_of_ones_own_counts_beside_the_librarys() -> None:
    assert not code.is_users(PACKAGE / "training" / "learner.py")
    assert code.with_imports(PACKAGE / "training" / "xgboost.py") == [
        PACKAGE / "training" / "xgboost.py"
    ]


# --- what is edited while a process runs

EDITS = {
    "edited": "path.write_text(\"WORD = 'new'\")",
    "of the same length in the same second": (
        "path.write_text(path.read_text().replace('old', 'new'))"
    ),
    "broken": "path.write_text('not python (')",
    "removed": "path.unlink()",
    "removed with all others": "import shutil; shutil.rmtree(path.parent)",
}


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_next_process_runs_what_was_edited(bare: Path) -> None:
    show = "import {name}.dataset; print({name}.dataset.WORD)"
    assert python(bare, show) == "old"
    path = bare / "src" / OWN / "words.py"
    path.write_text(path.read_text().replace("old", "new"))  # as long, and in the same second
    assert python(bare, show) == "new"


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_link_to_nothing_is_passed_over(bare: Path) -> None:
    (bare / "src" / OWN / ".#dataset.py").symlink_to("nowhere")
    assert python(bare, "import {name}.dataset; print({name}.dataset.WORD)") == "old"
