"""New projects: every way in, every option, no trace of the template, and nothing left behind by a bad answer."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

from evergreen_template import bake as engine

BIN = Path(sys.executable).parent
REFERENCE = {
    "project_name": "Evergreen", "project_slug": "evergreen-pipeline", "package_name": "evergreen",
    "author": "Evergreen Authors", "license": "MIT", "task": "binary", "data": "flights", "ci": "github",
}  # fmt: skip
NAMES = [
    {"project_name": "Churn Model"},
    {"project_name": "Zz", "project_slug": "zz", "package_name": "z"},
    {
        "project_name": "Łódź & Søn: 'A'", "project_slug": "a-very-long-slug-indeed-for-a-project",
        "package_name": "abcdefghij_klmnopqrs", "author": "Conan O'Brien-Łukasz & Co., 100%",
    },
]  # fmt: skip
CHOICES = engine.choices(ROOT)


def pairs() -> list[dict[str, str]]:
    """A few projects among which every two answers meet."""
    whole = [dict(zip(CHOICES, one, strict=True)) for one in itertools.product(*CHOICES.values())]
    wanted = {
        pair
        for (one, first), (other, second) in itertools.combinations(CHOICES.items(), 2)
        for pair in itertools.product(((one, value) for value in first), ((other, value) for value in second))
    }
    chosen = []
    while wanted:
        best = max(whole, key=lambda one: sum(set(pair) <= set(one.items()) for pair in wanted))
        chosen.append(best)
        wanted = {pair for pair in wanted if not set(pair) <= set(best.items())}
    return chosen


def git(folder: Path, *words: str) -> str:
    return engine.git(folder, "-c", "user.name=tester", "-c", "user.email=tester@localhost", *words)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working tree of this repository, committed, in a repository of its own."""
    folder = tmp_path_factory.mktemp("template") / "evergreen"
    listed = engine.git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")[:-1]
    for name in listed:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "the template")
    return folder


@pytest.fixture
def clone(template: Path, tmp_path: Path) -> Path:
    """The template, free to change."""
    git(tmp_path, "clone", "-q", str(template), str(tmp_path / "clone"))
    git(tmp_path / "clone", "remote", "remove", "origin")
    return tmp_path / "clone"


@pytest.fixture
def cookiecutter(tmp_path: Path) -> Callable[..., Any]:
    """Run cookiecutter without asking; returns the new project, or with `fails` what it said."""

    def run(template: object, *options: str, fails: bool = False, **answers: str) -> Any:
        (tmp_path / "config.yaml").write_text(
            json.dumps({"cookiecutters_dir": str(tmp_path / "cloned"), "replay_dir": str(tmp_path / "replay")})
        )
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        before = set(out.iterdir())
        asked = [] if "--replay" in options else ["--no-input"]
        done = subprocess.run(
            [str(BIN / "cookiecutter"), str(template), *asked, "--config-file", str(tmp_path / "config.yaml"),
             "-o", str(out), *options, *(f"{key}={value}" for key, value in answers.items())],
            capture_output=True, text=True, cwd=tmp_path,
        )  # fmt: skip
        if fails:
            assert done.returncode, done.stdout
            assert set(out.iterdir()) == before
            return done.stdout + done.stderr
        assert done.returncode == 0, done.stderr
        (made,) = set(out.iterdir()) - before
        return made

    return run


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
        assert "evergreen" not in name.lower()
        if name not in (engine.ANSWERS, ".cruft.json"):
            assert b"evergreen" not in content.lower(), name
            assert b"cookiecutter" not in content.lower(), name
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
    assert (project / "src" / package / "flights.py").exists() == (answers["data"] == "flights")
    assert (project / "tests" / "example" / "flights.py").exists()
    settings = tomllib.loads((project / "pyproject.toml").read_text())
    assert settings["project"]["name"] == answers["project_slug"]
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


# --- names and options ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", NAMES, ids=lambda one: one["project_name"])
def test_names(template: Path, tmp_path: Path, names: dict[str, str]) -> None:
    verify(bake(template, tmp_path / "made", **names))


@pytest.mark.parametrize("options", pairs(), ids=lambda one: "-".join(one.values()))
def test_options(template: Path, tmp_path: Path, options: dict[str, str]) -> None:
    verify(bake(template, tmp_path / "made", **options))


def test_with_its_own_names_the_reference_comes_out_as_it_is(template: Path, tmp_path: Path) -> None:
    made = bake(template, tmp_path / "made", **REFERENCE)
    shipped = {
        path for _, path in engine.tracked(template) if not engine.matches(path, engine.TEMPLATE_ONLY)
    } - {".gitlab-ci.yml"}  # fmt: skip
    example = {f"tests/example/{name}" for name in engine.EXAMPLE}
    assert {one.relative_to(made).as_posix() for one in files(made)} == shipped | example | {engine.ANSWERS}
    for path in shipped:
        ours, theirs = (template / path).read_bytes(), (made / path).read_bytes()
        assert ours == theirs or engine.MARK.search(ours.decode()), path
    for name in engine.EXAMPLE:
        assert (made / "tests/example" / name).read_bytes() == (template / "src/evergreen" / name).read_bytes()


def test_every_rule_is_alive(template: Path) -> None:
    ours = [
        path
        for _, path in engine.tracked(template)
        if not path.startswith(("evergreen_template/", "tests/template/", "hooks/"))
    ]
    texts = {path: (template / path).read_bytes().decode("utf-8", "replace") for path in ours}
    whole = "\n".join(texts.values())
    dead = [one for one, _ in engine.names(REFERENCE) if not re.search(one, whole) and one != r"Evergreen(?=[A-Z])"]
    dead += [one for one in (*engine.TEMPLATE_ONLY, *engine.OPTIONAL) if not any(
        engine.matches(path, (one,)) for _, path in engine.tracked(template))]  # fmt: skip
    dead += [
        pattern
        for path, rules in engine.SETTLED.items()
        for pattern in rules
        if not re.search(pattern, texts[path], re.MULTILINE)
    ]
    dead += [name for name in engine.BLOCKS if f"template: begin {name}" not in whole]
    assert dead == []


def test_nothing_that_ships_is_ignored_or_a_link(template: Path) -> None:
    assert engine.git(template, "ls-files", "-ci", "--exclude-standard") == ""
    assert all(mode != "120000" for mode, _ in engine.tracked(template))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\n# template: begin template-only\nb\n", "'template-only' is not closed"),
        ("a\n# template: end template-only\nb\n", "closes no block"),
        ("# template: begin template-only\n# template: end another\n", "closes no block"),
    ],
)
def test_marks_must_be_in_pairs(text: str, said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        engine.cut_blocks(text, REFERENCE, "some file")


def test_blocks_are_cut_with_their_marks() -> None:
    text = "1\n<!-- template: begin template-only -->\n2\n<!-- template: end template-only -->\n3\n"
    assert engine.cut_blocks(text, REFERENCE, "x") == "1\n3\n"


# --- bad answers ------------------------------------------------------------------------------------------------------

BAD = [
    {"package_name": "class"}, {"package_name": "json"}, {"package_name": "flows"}, {"package_name": "polars"},
    {"package_name": "sklearn"}, {"package_name": "My_Pkg"}, {"package_name": "1st"}, {"package_name": "a__b"},
    {"package_name": "abcdefghij_klmnopqrst"}, {"project_slug": "a_b"}, {"project_slug": "../x"},
    {"project_slug": "x" * 41}, {"author": 'a"b'}, {"author": " "}, {"author": "a\\b"}, {"author": "x" * 61},
    {"project_name": "a<b", "project_slug": "a", "package_name": "ab"},
    {"project_name": "a`b", "project_slug": "a", "package_name": "ab"}, {"ci": "jenkins"}, {"task": "ranking"},
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_bad_answers_are_one_error(template: Path, tmp_path: Path, bad: dict[str, str]) -> None:
    with pytest.raises(SystemExit, match=f"^error: {next(iter(bad))}"):
        bake(template, tmp_path / "made", **bad)
    assert [one.name for one in (tmp_path / "made").iterdir()] == [engine.ANSWERS]


@pytest.mark.parametrize("bad", [{"package_name": "class"}, {"author": 'a"b'}, {"project_slug": "a_b"}], ids=str)
def test_bad_answers_leave_nothing(template: Path, cookiecutter: Callable[..., Any], bad: dict[str, str]) -> None:
    assert "error: " in cookiecutter(template, fails=True, **bad)


def test_an_answer_with_braces_is_refused_or_rendered_away(template: Path, cookiecutter: Callable[..., Any]) -> None:
    assert cookiecutter(template, fails=True, author="{{ 1/0 }}")


# --- every way in -----------------------------------------------------------------------------------------------------


def test_a_path(template: Path, cookiecutter: Callable[..., Any]) -> None:
    made = cookiecutter(template, project_name="Churn Model", author="Ada")
    verify(made)
    assert made.name == "churn-model"
    assert git(made, "log", "--format=%s").split() == ["Start"]
    assert git(made, "status", "--porcelain") == ""
    assert "stores/dvc" in (made / ".dvc" / "config").read_text()
    answers = json.loads((made / engine.ANSWERS).read_text())
    assert answers["_commit"] == git(template, "rev-parse", "HEAD").strip()
    assert answers["_template"] == str(template)


def test_a_url_and_a_branch_of_it(clone: Path, cookiecutter: Callable[..., Any]) -> None:
    git(clone, "branch", "old")
    (clone / "README.md").write_text((clone / "README.md").read_text() + "\nNewer.\n")
    git(clone, "commit", "-qam", "newer")
    old = cookiecutter(f"git+file://{clone}", "-c", "old", project_name="Old One")
    assert "Newer." not in (old / "README.md").read_text()
    assert "Newer." in (cookiecutter(f"git+file://{clone}", project_name="New One") / "README.md").read_text()
    said = cookiecutter(clone, "-c", "old", fails=True)
    assert "did not check out old" in said


def test_a_zip(clone: Path, cookiecutter: Callable[..., Any], tmp_path: Path) -> None:
    packed = tmp_path / "template.zip"
    git(clone, "archive", "--prefix=evergreen-main/", "-o", str(packed), "HEAD")
    made = cookiecutter(packed)
    verify(made)
    assert json.loads((made / engine.ANSWERS).read_text())["_commit"] == git(clone, "rev-parse", "HEAD").strip()


def test_replay(template: Path, cookiecutter: Callable[..., Any], tmp_path: Path) -> None:
    first = cookiecutter(template, project_name="Churn Model", ci="gitlab")
    contents = {one.relative_to(first): one.read_bytes() for one in files(first)}
    shutil.rmtree(first)
    again = cookiecutter(template, "--replay")
    assert {one.relative_to(again): one.read_bytes() for one in files(again)} == contents


def test_no_password_is_written_down(clone: Path, cookiecutter: Callable[..., Any]) -> None:
    git(clone, "remote", "add", "origin", "https://user:s3cret@example.org/x.git")
    made = cookiecutter(clone)
    assert json.loads((made / engine.ANSWERS).read_text())["_template"] == "https://example.org/x.git"
    assert not [one for one in files(made) if b"s3cret" in one.read_bytes()]


def test_without_hooks_the_readme_says_so(template: Path, cookiecutter: Callable[..., Any]) -> None:
    assert "was not generated" in (cookiecutter(template, "--accept-hooks=no") / "README.md").read_text()


@pytest.mark.parametrize("force", [("-f",), ("-f", "-s")], ids=str)
def test_a_project_that_is_there_is_left_alone(
    template: Path, cookiecutter: Callable[..., Any], force: tuple[str, ...]
) -> None:
    made = cookiecutter(template)
    (made / "README.md").write_text("mine")
    assert "not empty" in cookiecutter(template, *force, fails=True)
    assert (made / "README.md").read_text() == "mine"


def test_what_is_not_tracked_does_not_ship(clone: Path, tmp_path: Path) -> None:
    (clone / "secrets.txt").write_text("s3cret")
    (clone / ".env").write_text("s3cret")
    made = bake(clone, tmp_path / "made")
    assert not [one for one in files(made) if b"s3cret" in one.read_bytes()]


def test_cruft_creates_checks_and_updates(clone: Path, tmp_path: Path) -> None:
    def cruft(*words: str, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(BIN / "cruft"), *words], cwd=cwd, capture_output=True, text=True)

    made = cruft("create", str(clone), "--no-input", "--output-dir", str(tmp_path))
    assert made.returncode == 0, made.stdout + made.stderr
    project = tmp_path / "my-pipeline"
    verify(project)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "cruft")
    assert cruft("check", cwd=project).returncode == 0
    (clone / "docs" / "loop.md").write_text((clone / "docs" / "loop.md").read_text() + "\nMore of evergreen.\n")
    git(clone, "commit", "-qam", "newer")
    assert cruft("check", cwd=project).returncode == 1
    assert cruft("update", "-y", cwd=project).returncode == 0
    assert "More of my_pipeline." in (project / "docs" / "loop.md").read_text()
