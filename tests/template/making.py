"""What tests of the template share: a bake without cookiecutter, and what must hold of every new project."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml
from conftest import ROOT

from evergreen_template import bake as engine

BIN = Path(sys.executable).parent
CHOICES = engine.choices(ROOT)


def bake(template: Path, folder: Path, **answers: str) -> Path:
    """Fill `folder` by the engine alone, as an update does."""
    folder.mkdir(parents=True)
    name = answers.get("project_name", "Churn Model")
    slug = re.sub(r"\W+", "-", name.lower())
    known = {"project_name": name, "project_slug": slug, "package_name": slug.replace("-", "_"), "author": "Somebody"}
    known |= {key: values[0] for key, values in CHOICES.items()} | answers
    (folder / engine.ANSWERS).write_text(json.dumps(known))
    engine.main([str(template), str(folder)])
    return folder


def files(project: Path) -> list[Path]:
    return sorted(one for one in project.rglob("*") if one.is_file() and ".git" not in one.relative_to(project).parts)


def verify(project: Path) -> None:
    """Whatever was answered, this holds of a new project."""
    answers = json.loads((project / engine.ANSWERS).read_text())
    for path in files(project):
        name, content = path.relative_to(project).as_posix(), path.read_bytes()
        if name not in (engine.ANSWERS, ".cruft.json"):
            for ours in ("late_flights", "evergreen-pipeline", "Evergreen Authors", "cookiecutter"):
                assert ours not in name
                assert ours.encode() not in content, (ours, name)
        text = content.decode() if b"\0" not in content else ""
        assert not engine.MARK.search(text), name
        if path.suffix in (".yaml", ".yml"):
            list(yaml.safe_load_all(text))
        if path.suffix == ".toml":
            tomllib.loads(text)
        if path.suffix == ".py":
            compile(text, name, "exec")
    package = answers["package_name"]
    assert os.access(project / "setup.sh", os.X_OK)
    assert (project / ".ci" / "run").exists()
    assert (project / ".github").exists() == (answers["ci"] == "github")
    assert (project / ".gitlab-ci.yml").exists() == (answers["ci"] == "gitlab")
    for one in ("infra/compose.yaml", "requirements/server.txt"):
        assert (project / one).exists() == (answers["infra"] == "compose"), one
    if answers["infra"] == "none":
        assert not any(b"infra/" in one.read_bytes() for one in files(project))
    assert (project / "src" / package / "flights.py").exists() == (answers["data"] == "flights")
    tests = [one.relative_to(project / "tests").as_posix() for one in files(project / "tests")]
    assert tests == ["project/test_dataset.py"]
    settings = tomllib.loads((project / "pyproject.toml").read_text())
    assert settings["project"]["name"] == answers["project_slug"]
    assert settings["tool"]["evergreen"]["package"] == package
    assert settings["project"]["license"] == engine.SPDX.get(answers["license"], answers["license"])
    assert answers["author"] in (project / "LICENSE").read_text()
    params = yaml.safe_load((project / "params.yaml").read_text())
    assert params["task"] == answers["task"]
    assert params["source"]["kind"] == ("python" if answers["data"] == "flights" else "files")
    assert (project / "README.md").read_text().startswith(f"# {answers['project_name']}\n")
    assert len((project / "README.md").read_text().splitlines()) < 150
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", "".join(one.read_text() for one in [project / "README.md"]))
    assert [link for link in links if not (project / link).exists()] == []
    assert sorted(one.name for one in (project / "docs").iterdir() if one.suffix == ".png") == []
    for one in ("format", "lint"):
        command = ["format", "--check"] if one == "format" else ["check"]
        ruff = [str(BIN / "ruff"), *command, "--no-cache", "-q", "."]
        done = subprocess.run(ruff, cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
