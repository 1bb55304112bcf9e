"""For tests of the template: a bake without cookiecutter, and what holds of every new project."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import yaml
from conftest import ROOT
from packaging.specifiers import SpecifierSet

from evergreen_template import bake as engine

BIN = Path(sys.executable).parent
CHOICES = engine.choices(ROOT)


def bake(template: Path, folder: Path, **answers: str) -> Path:
    """Fill `folder` by the engine alone, as an update does."""
    folder.mkdir(parents=True)
    name = answers.get("project_name", "Churn Model")
    slug = re.sub(r"\W+", "-", name.lower())
    known = {
        "project_name": name,
        "project_slug": slug,
        "package_name": slug.replace("-", "_"),
        "author": "Somebody",
    }
    known |= {key: values[0] for key, values in CHOICES.items()} | answers
    (folder / engine.ANSWERS).write_text(json.dumps(known))
    engine.main([str(template), str(folder)])
    return folder


def files(project: Path) -> list[Path]:
    """Return the files of a new project, git's own left out."""
    return sorted(
        path
        for path in project.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(project).parts
    )


def wheel_of(project: Path) -> Path:
    """Return where the library lies in a new project."""
    (wheel,) = (project / "vendor").iterdir()
    return wheel


def own(project: Path) -> dict[str, str]:
    """Return name -> text of what has to be read of a new project.

    No pins, no servers, no licence, no library.
    """
    names = {path.relative_to(project).as_posix(): path for path in files(project)}
    apart = (engine.ANSWERS, ".cruft.json", "LICENSE")
    return {
        name: path.read_text()
        for name, path in names.items()
        if name not in apart and not name.startswith(("requirements/", "infra/", "vendor/"))
    }


def verify(project: Path) -> None:
    """Whatever was answered, this holds of a new project."""
    answers = json.loads((project / engine.ANSWERS).read_text())
    package = answers["package_name"]
    has_data, has_servers = answers["data"] == "flights", answers["infra"] != "none"
    wheel = wheel_of(project)
    _verify_texts(project, wheel)
    _verify_size(project)

    assert os.access(project / "setup.sh", os.X_OK)
    assert os.access(project / ".ci" / "run", os.X_OK)
    assert (project / ".github").exists() == (answers["ci"] == "github")
    assert (project / ".gitlab-ci.yml").exists() == (answers["ci"] == "gitlab")
    for name in ("infra/compose.yaml", "requirements/server.txt"):
        assert (project / name).exists() == has_servers, name
    assert (project / "infra" / "kubernetes").exists() == (answers["infra"] == "kubernetes")
    assert any("infra/" in text for text in own(project).values()) == has_servers
    tests = [path.relative_to(project / "tests").as_posix() for path in files(project / "tests")]
    assert tests == ["test_dataset.py", "test_extensions.py", "test_run.py"]
    defined = {"__init__.py", "dataset.py", "expectations.py"} | (
        {"flights.py"} if has_data else set()
    )
    assert {path.name for path in files(project / "src" / package)} == defined
    assert [path.name for path in (project / "src").iterdir()] == [package]

    settings = tomllib.loads((project / "pyproject.toml").read_text())
    assert settings["project"]["name"] == answers["project_slug"]
    assert settings["project"]["license"] == engine.SPDX.get(answers["license"], answers["license"])
    assert settings["project"]["dependencies"] == ["evergreen[pipeline]"]
    assert settings["tool"]["evergreen"]["package"] == package
    assert wheel.name.split("-")[1] in SpecifierSet(settings["tool"]["evergreen"]["requires"])
    pin = f"./vendor/{wheel.name} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
    assert (project / "requirements" / "library.txt").read_text() == pin
    assert answers["author"] in (project / "LICENSE").read_text()

    params = yaml.safe_load((project / "params.yaml").read_text())
    assert params["task"] == answers["task"]
    assert params["source"]["kind"] == ("python" if has_data else "files")
    readme = (project / "README.md").read_text()
    assert readme.startswith(f"# {answers['project_name']}\n")
    assert f"Licence: {answers['license']}.\n" in readme
    _verify_map(project, readme)
    for words in (["format", "--check"], ["check"]):
        ruff = [str(BIN / "ruff"), *words, "--no-cache", "-q", "."]
        done = subprocess.run(ruff, cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def _verify_texts(project: Path, wheel: Path) -> None:
    """No trace of the reference, the template, or what is only there; syntax is kept."""
    for path in files(project):
        name = path.relative_to(project).as_posix()
        if path == wheel or name in (engine.ANSWERS, ".cruft.json"):
            continue
        text = path.read_text()
        for ours in (
            "late_flights",
            "evergreen-pipeline",
            "Evergreen Authors",
            "cookiecutter",
            "docs/",
            "src/evergreen",
        ):
            assert ours not in name
            assert ours not in text, (ours, name)
        assert not engine.MARK.search(text), name
        if path.suffix in (".yaml", ".yml"):
            list(yaml.safe_load_all(text))
        if path.suffix == ".toml":
            tomllib.loads(text)
        if path.suffix == ".py":
            compile(text, name, "exec")


def _verify_size(project: Path) -> None:
    """A person can own it: few files, and none of them the library's."""
    texts = own(project)
    lines = {name: len(text.splitlines()) for name, text in texts.items()}
    said = f"{len(lines)} files, {sum(lines.values())} lines: {lines}"
    assert len(lines) <= 30, said
    assert sum(lines.values()) <= 700, said
    with zipfile.ZipFile(wheel_of(project)) as archive:
        library = {archive.read(name) for name in archive.namelist() if name.endswith(".py")} - {
            b""
        }
    assert [path for path in files(project) if path.read_bytes() in library] == []


def _verify_map(project: Path, readme: str) -> None:
    """The README names files that exist, or that a run makes, and all that are to be edited."""
    named: set[str] = set()
    folder = ""
    for line in readme.split("```\n")[3].splitlines():
        names = re.split(r"  +", line.strip())[0].split()
        if not line.startswith(" "):
            folder = names[0] if names[0].startswith("src/") else ""
        named |= {folder + name if line.startswith(" ") else name for name in names}
    made = {"data/", "reports/", "stores/"}
    assert made < named
    assert [name for name in named - made if not (project / name).exists()] == []
    assert [
        name
        for name in own(project)
        if name.startswith("src/") and name not in named and "__init__" not in name
    ] == []
