"""The library as a wheel: valid, the same bytes each time, pinned by its hash, and installed."""

from __future__ import annotations

import csv
import hashlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from base64 import urlsafe_b64encode
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
from conftest import environment, git
from packaging.metadata import Metadata
from template.making import bake, wheel_of

import evergreen
from evergreen import doctor
from evergreen_template import bake as engine

pytestmark = pytest.mark.slow
ABOUT = f"evergreen-{evergreen.__version__}.dist-info"


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project; not to be changed."""
    return bake(template, tmp_path_factory.mktemp("project") / "churn-model")


def pip(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run pip in `folder`, without the network and without what the person who tests has set."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    command = [
        sys.executable,
        "-m",
        "pip",
        "--isolated",
        "--disable-pip-version-check",
        "install",
        "--no-index",
        *words,
    ]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


# --- what it holds
# --------------------------------------------------------------------------------------------------


def test_the_record_is_of_what_is_there(project: Path) -> None:
    with zipfile.ZipFile(wheel_of(project)) as wheel:
        assert wheel.testzip() is None
        contents = {name: wheel.read(name) for name in wheel.namelist()}
    assert len(contents) == len(set(wheel.namelist())) == len(wheel.namelist())
    rows = {
        name: (digest, size)
        for name, digest, size in csv.reader(contents[f"{ABOUT}/RECORD"].decode().splitlines())
    }
    assert rows.pop(f"{ABOUT}/RECORD") == ("", "")
    del contents[f"{ABOUT}/RECORD"]
    assert rows == {
        name: (
            f"sha256={urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip('=')}",
            str(len(content)),
        )
        for name, content in contents.items()
    }


def test_it_says_what_pyproject_says(project: Path, template: Path) -> None:
    wanted = tomllib.loads((template / "pyproject.toml").read_text())["project"]
    found = PathDistribution(zipfile.Path(wheel_of(project), f"{ABOUT}/"))  # type: ignore[arg-type]
    # Which checks each field
    assert Metadata.from_email(found.read_text("METADATA") or "").name == "evergreen"
    assert found.version == evergreen.__version__
    assert found.metadata["Requires-Python"] == wanted["requires-python"]
    extras = wanted["optional-dependencies"]
    assert found.requires == [
        *wanted["dependencies"],
        *(f'{line}; extra == "{extra}"' for extra, lines in extras.items() for line in lines),
    ]
    assert found.metadata.get_all("Provides-Extra") == [*extras]
    assert {*extras} == {doctor.PIPELINE, "cluster", "onnx"}
    points = {(point.group, point.name, point.value) for point in found.entry_points}
    assert points == {
        (group, name, value)
        for group, named in {"console_scripts": wanted["scripts"], **wanted["entry-points"]}.items()
        for name, value in named.items()
    }
    assert wheel_of(project).name == f"evergreen-{found.version}-py3-none-any.whl"


def test_it_holds_the_library_and_its_docs_alone(project: Path, template: Path) -> None:
    with zipfile.ZipFile(wheel_of(project)) as wheel:
        contents = {
            name: wheel.read(name) for name in wheel.namelist() if not name.startswith(f"{ABOUT}/")
        }
    docs = {
        name.removeprefix("evergreen/docs/"): contents.pop(name).decode()
        for name in [*contents]
        if "/docs/" in name
    }
    library = git(template, "ls-files", "src/evergreen").splitlines()
    assert contents == {
        name.removeprefix("src/"): (template / name).read_bytes() for name in library
    }
    assert docs.pop("changelog.md") == (template / "CHANGELOG.md").read_text()
    assert {*docs} == {
        path.name for path in (template / "docs").iterdir() if path.suffix in (".md", ".py")
    }
    assert [name for name, text in docs.items() if "template: " in text] == []
    assert "make stack" in docs["servers.md"]
    assert [
        name for name, text in docs.items() if re.search("late_flights|tests/project", text)
    ] == []
    assert "src/your_package/" in docs["make-it-yours.md"]
    assert "benchmarks.gate_simulation" in (template / "docs" / "gate.md").read_text()
    assert "benchmarks.gate_simulation" not in docs["gate.md"]


# --- the same bytes
# --------------------------------------------------------------------------------------------------


def test_the_same_files_give_the_same_bytes(template: Path, tmp_path: Path) -> None:
    git(template, "archive", "--output", str(tmp_path / "packed.zip"), "HEAD")
    with zipfile.ZipFile(tmp_path / "packed.zip") as packed:
        packed.extractall(tmp_path / "unpacked")
    assert not (tmp_path / "unpacked" / ".git").exists()
    (tmp_path / "unpacked" / "src" / "evergreen" / "__init__.py").chmod(0o600)
    first = engine.build_wheel(template)
    assert engine.build_wheel(template) == first
    assert engine.build_wheel(tmp_path / "unpacked") == first


def test_another_word_in_a_docstring_gives_other_bytes_of_the_same_name(clone: Path) -> None:
    name, content = engine.build_wheel(clone)
    module = clone / "src" / "evergreen" / "__init__.py"
    module.write_text(module.read_text().replace("stays fresh", "stays new"))
    other, changed = engine.build_wheel(clone)
    assert other == name
    assert changed != content


def test_a_library_without_a_version_makes_no_wheel(clone: Path) -> None:
    module = clone / "src" / "evergreen" / "__init__.py"
    module.write_text(module.read_text().replace("__version__ =", "VERSION ="))
    with pytest.raises(SystemExit, match="does not say its __version__"):
        engine.build_wheel(clone)


# --- installed
# --------------------------------------------------------------------------------------------------


def test_installed_it_is_the_library(project: Path, tmp_path: Path) -> None:
    done = pip(
        project,
        "--no-deps",
        "--require-hashes",
        "--target",
        str(tmp_path),
        "-r",
        "requirements/library.txt",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "bin" / "evergreen").exists()
    code = "import evergreen; print(evergreen.__version__, evergreen.__file__)"
    env = environment(project, PYTHONPATH=str(tmp_path))
    said = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.split() == [
        evergreen.__version__,
        str(tmp_path / "evergreen" / "__init__.py"),
    ]
    command = [sys.executable, "-m", "evergreen.cli", "docs", "servers"]
    said = subprocess.run(
        command, env=env, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert (
        said.stdout.strip() == (tmp_path / "evergreen" / "docs" / "servers.md").read_text().strip()
    )


def test_a_wheel_with_another_byte_is_refused(project: Path, tmp_path: Path) -> None:
    words = ("--no-deps", "--require-hashes", "--dry-run", "-r", "requirements/library.txt")
    assert "Would install evergreen-" in pip(project, *words).stdout
    for name in ("vendor", "requirements"):
        (tmp_path / name).mkdir()
    content = wheel_of(project).read_bytes()
    (tmp_path / "vendor" / wheel_of(project).name).write_bytes(
        content.replace(b"stays fresh", b"stays frosh", 1)
    )
    (tmp_path / "requirements" / "library.txt").write_text(
        (project / "requirements" / "library.txt").read_text()
    )
    done = pip(tmp_path, *words)
    assert done.returncode
    assert "DO NOT MATCH THE HASHES" in done.stderr


@pytest.mark.long
def test_set_up_takes_another_wheel_of_the_same_version(
    clone: Path, project: Path, tmp_path: Path
) -> None:
    """What setup.sh says of the library, with pip, which leaves alone what has the version."""
    (line,) = [
        line for line in (project / "setup.sh").read_text().splitlines() if "library.txt" in line
    ]
    words = [word for word in line.partition("#")[0].split()[1:] if word != "$compile"]
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True
    )
    module = clone / "src" / "evergreen" / "__init__.py"
    module.write_text(module.read_text() + "\nNEW = True\n")
    newer = bake(clone, tmp_path / "newer")
    command = [
        sys.executable,
        "-m",
        "pip",
        "--isolated",
        "--python",
        str(tmp_path / "venv"),
        "install",
        "--no-index",
    ]
    for folder in (project, newer):
        subprocess.run([*command, *words], cwd=folder, check=True, capture_output=True)
    (found,) = (tmp_path / "venv").glob("lib/python*/site-packages/evergreen/__init__.py")
    assert "NEW = True" in found.read_text()
