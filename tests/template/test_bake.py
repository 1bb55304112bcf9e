"""New projects: every way in, every option, no trace of the template, no half-made project."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import environment, git
from template.making import BIN, CHOICES, bake, files, verify, wheel_of

from evergreen_template import bake as engine

pytestmark = pytest.mark.slow
REFERENCE = {
    "project_name": "Evergreen", "project_slug": "evergreen-pipeline",
    "package_name": "late_flights", "author": "Evergreen Authors", "license": "MIT",
    "task": "binary", "data": "flights", "ci": "github", "infra": "kubernetes",
}  # fmt: skip
NAMES = [
    {"project_name": "Churn Model"},
    {"project_name": "Zz", "project_slug": "zz", "package_name": "z"},
    {
        "project_name": "Łódź & Søn: 'A'", "project_slug": "a-very-long-slug-indeed-for-a-project",
        "package_name": "abcdefghij_klmnopqrs", "author": "Conan O'Brien-Łukasz & Co., 100%",
    },
]  # fmt: skip


def pairs() -> list[dict[str, str]]:
    """A few projects among which every two answers meet."""
    whole = [
        dict(zip(CHOICES, choice, strict=True)) for choice in itertools.product(*CHOICES.values())
    ]
    wanted = {
        pair
        for (name, first), (other, second) in itertools.combinations(CHOICES.items(), 2)
        for pair in itertools.product(
            ((name, value) for value in first), ((other, value) for value in second)
        )
    }
    chosen = []
    while wanted:
        best = max(
            whole, key=lambda options: sum(set(pair) <= set(options.items()) for pair in wanted)
        )
        chosen.append(best)
        wanted = {pair for pair in wanted if not set(pair) <= set(best.items())}
    return chosen


@pytest.fixture
def cookiecutter(tmp_path: Path) -> Callable[..., Any]:
    """Run cookiecutter without asking; returns the new project, or with `fails` what it said."""

    def run(template: object, *options: str, fails: bool = False, **answers: str) -> Any:
        (tmp_path / "config.yaml").write_text(
            json.dumps(
                {
                    "cookiecutters_dir": str(tmp_path / "cloned"),
                    "replay_dir": str(tmp_path / "replay"),
                }
            )
        )
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        before = set(out.iterdir())
        asked = [] if "--replay" in options else ["--no-input"]
        done = subprocess.run(
            [str(BIN / "cookiecutter"), str(template), *asked, "--config-file",
             str(tmp_path / "config.yaml"),
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


# --- names and options
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", NAMES, ids=lambda names: names["project_name"])
def test_names(template: Path, tmp_path: Path, names: dict[str, str]) -> None:
    verify(bake(template, tmp_path / "made", **names))


@pytest.mark.parametrize("options", pairs(), ids=lambda options: "-".join(options.values()))
def test_options(template: Path, tmp_path: Path, options: dict[str, str]) -> None:
    verify(bake(template, tmp_path / "made", **options))


def test_with_its_own_names_the_reference_comes_out_as_it_is(
    template: Path, tmp_path: Path
) -> None:
    made = bake(template, tmp_path / "made", **REFERENCE)
    shipped = {path: source for path, (_, source) in engine.choose(template, REFERENCE).items()}
    for path, source in shipped.items():
        ours, theirs = (template / source).read_text(), (made / path).read_text()
        assert ours == theirs or engine.MARK.search(ours), path
    added = {
        engine.ANSWERS,
        "requirements/library.txt",
        wheel_of(made).relative_to(made).as_posix(),
    }
    assert {path.relative_to(made).as_posix() for path in files(made)} == {*shipped, *added}


def test_answers_about_the_example_ship_with_no_project(template: Path) -> None:
    assert "datasheet.yaml" in {path for _, path in engine.tracked(template)}
    shipped = {path for path, _ in chosen(template)}
    assert "dvc.yaml" in shipped
    assert "datasheet.yaml" not in shipped


def test_every_rule_is_alive(template: Path) -> None:
    everything = [path for _, path in engine.tracked(template)]
    shipped: dict[str, str] = {}
    for path, source in sorted(chosen(template)):
        shipped[path] = shipped.get(path, "") + (template / source).read_text()
    packed = [
        (template / path).read_text()
        for path in everything
        if engine.matches(path, engine.LIBRARY_DOCS)
    ]
    texts = "\n".join([*shipped.values(), *packed])
    patterns = (*engine.TAKEN, *engine.LEFT, *engine.LIBRARY_DOCS, *engine.OPTIONAL)
    dead = [
        pattern
        for pattern in patterns
        if not any(engine.matches(path, (pattern,)) for path in everything)
    ]
    dead += [name for name, _ in engine.names(REFERENCE) if not re.search(name, texts)]
    dead += [
        pattern
        for path, rules in engine.SETTLED.items()
        for pattern in rules
        if not re.search(pattern, shipped[path], re.MULTILINE)
    ]
    dead += [name for name in engine.BLOCKS if f"template: begin {name}" not in texts]
    assert dead == []


def test_a_mark_stands_only_where_it_is_cut(template: Path) -> None:
    mark = re.compile(r"^\s*(#|<!--) template: (begin|end) ", re.MULTILINE)
    cut = {source for _, source in chosen(template)}
    for _, path in engine.tracked(template):
        content = (template / path).read_bytes()
        if b"\0" not in content and mark.search(content.decode()):
            assert path in cut or engine.matches(path, engine.LIBRARY_DOCS), path


@cache
def chosen(template: Path) -> set[tuple[str, str]]:
    """Return each file of some project, with its source: none hangs on more than two answers."""
    return {
        (path, source)
        for answers in pairs()
        for path, (_, source) in engine.choose(template, REFERENCE | answers).items()
    }


def test_nothing_that_ships_is_ignored_or_a_link(template: Path) -> None:
    assert engine.git(template, "ls-files", "-ci", "--exclude-standard") == ""
    assert all(mode != "120000" for mode, _ in engine.tracked(template))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\n# template: begin template-only\nb\n", "'template-only' is not closed"),
        ("a\n# template: end template-only\nb\n", "closes no block"),
        ("# template: begin template-only\n# template: end infra\n", "closes no block"),
        ("# template: begin another\n# template: end another\n", "no block is called 'another'"),
    ],
)
def test_marks_must_be_in_pairs(text: str, said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        engine.cut_blocks(text, REFERENCE, "some file")


def test_blocks_are_cut_with_their_marks() -> None:
    text = "1\n<!-- template: begin template-only -->\n2\n<!-- template: end template-only -->\n3\n"
    assert engine.cut_blocks(text, REFERENCE, "x") == "1\n3\n"


# --- bad answers
# --------------------------------------------------------------------------------------------------

BAD = [
    {"package_name": "evergreen"}, {"package_name": "training"}, {"package_name": "conftest"},
    {"package_name": "class"}, {"package_name": "json"}, {"package_name": "flows"},
    {"package_name": "polars"}, {"package_name": "sklearn"}, {"package_name": "My_Pkg"},
    {"package_name": "1st"}, {"package_name": "a__b"}, {"package_name": "abcdefghij_klmnopqrst"},
    {"project_slug": "a_b"}, {"project_slug": "../x"}, {"project_slug": "x" * 41},
    {"author": 'a"b'}, {"author": " "}, {"author": "a\\b"}, {"author": "x" * 61},
    {"project_name": "a<b", "project_slug": "a", "package_name": "ab"},
    {"project_name": "a`b", "project_slug": "a", "package_name": "ab"}, {"ci": "jenkins"},
    {"task": "ranking"},
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_bad_answers_are_one_error(template: Path, tmp_path: Path, bad: dict[str, str]) -> None:
    with pytest.raises(SystemExit, match=f"^error: {next(iter(bad))}"):
        bake(template, tmp_path / "made", **bad)
    assert [path.name for path in (tmp_path / "made").iterdir()] == [engine.ANSWERS]


@pytest.mark.parametrize(
    "bad", [{"package_name": "class"}, {"author": 'a"b'}, {"project_slug": "a_b"}], ids=str
)
def test_bad_answers_leave_nothing(
    template: Path, cookiecutter: Callable[..., Any], bad: dict[str, str]
) -> None:
    assert "error: " in cookiecutter(template, fails=True, **bad)


def test_an_answer_with_braces_is_refused_or_rendered_away(
    template: Path, cookiecutter: Callable[..., Any]
) -> None:
    assert cookiecutter(template, fails=True, author="{{ 1/0 }}")


# --- every way in
# --------------------------------------------------------------------------------------------------


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
    readme = clone / engine.OVERLAY / "always" / "README.md"
    readme.write_text(readme.read_text() + "\nNewer.\n")
    git(clone, "commit", "-qam", "newer")
    old = cookiecutter(f"git+file://{clone}", "-c", "old", project_name="Old One")
    assert "Newer." not in (old / "README.md").read_text()
    assert (
        "Newer."
        in (cookiecutter(f"git+file://{clone}", project_name="New One") / "README.md").read_text()
    )
    said = cookiecutter(clone, "-c", "old", fails=True)
    assert "did not check out old" in said


@pytest.mark.long
def test_a_zip(clone: Path, cookiecutter: Callable[..., Any], tmp_path: Path) -> None:
    packed = tmp_path / "template.zip"
    git(clone, "archive", "--prefix=evergreen-main/", "-o", str(packed), "HEAD")
    made = cookiecutter(packed)
    verify(made)
    assert (
        json.loads((made / engine.ANSWERS).read_text())["_commit"]
        == git(clone, "rev-parse", "HEAD").strip()
    )


@pytest.mark.long
def test_replay(template: Path, cookiecutter: Callable[..., Any], tmp_path: Path) -> None:
    first = cookiecutter(template, project_name="Churn Model", ci="gitlab")
    contents = {path.relative_to(first): path.read_bytes() for path in files(first)}
    shutil.rmtree(first)
    again = cookiecutter(template, "--replay")
    assert {path.relative_to(again): path.read_bytes() for path in files(again)} == contents


def test_no_password_is_written_down(clone: Path, cookiecutter: Callable[..., Any]) -> None:
    git(clone, "remote", "add", "origin", "https://user:s3cret@example.org/x.git")
    made = cookiecutter(clone)
    assert (
        json.loads((made / engine.ANSWERS).read_text())["_template"] == "https://example.org/x.git"
    )
    assert not [path for path in files(made) if b"s3cret" in path.read_bytes()]


def test_without_hooks_the_readme_says_so(template: Path, cookiecutter: Callable[..., Any]) -> None:
    assert (
        "was not generated"
        in (cookiecutter(template, "--accept-hooks=no") / "README.md").read_text()
    )


@pytest.mark.parametrize(
    "force", [("-f", "-s"), pytest.param(("-f",), marks=pytest.mark.long)], ids=str
)
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
    assert not [path for path in files(made) if b"s3cret" in path.read_bytes()]


@pytest.mark.long
def test_cruft_creates_checks_and_updates(clone: Path, tmp_path: Path) -> None:
    def cruft(*words: str, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(BIN / "cruft"), *words], cwd=cwd, capture_output=True, text=True)

    made = cruft("create", str(clone), "--no-input", "--output-dir", str(tmp_path))
    assert made.returncode == 0, made.stdout + made.stderr
    project = tmp_path / "my-pipeline"
    verify(project)
    git(project, "init", "-q", "-b", "main")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "cruft")
    assert cruft("check", cwd=project).returncode == 0
    readme = clone / engine.OVERLAY / "always" / "README.md"
    readme.write_text(readme.read_text() + "\nMore of late_flights.\n")
    module = clone / "src" / "evergreen" / "__init__.py"
    module.write_text(module.read_text() + "\nNEW = True\n")
    git(clone, "commit", "-qam", "newer")
    assert cruft("check", cwd=project).returncode == 1
    updated = cruft("update", "-y", cwd=project)
    assert updated.returncode == 0, updated.stdout + updated.stderr
    assert "More of my_pipeline." in (project / "README.md").read_text()
    assert b"NEW = True" in wheel_of(project).read_bytes()
    verify(project)


@pytest.fixture
def installed(template: Path, tmp_path: Path) -> Callable[..., Path]:
    """Make a new project, with its library unpacked beside it."""

    def make(**answers: str) -> Path:
        project = bake(template, tmp_path / "made", **answers)
        with zipfile.ZipFile(wheel_of(project)) as wheel:
            wheel.extractall(tmp_path / "library")
        return project

    return make


def run(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a new project, on its own code and its own library."""
    path = f"{project / 'src'}{os.pathsep}{project.parent / 'library'}"
    env = environment(project, PYTHONPATH=path)
    return subprocess.run(
        [sys.executable, *words], cwd=project, env=env, capture_output=True, text=True
    )


@pytest.mark.parametrize("data", ["flights", "none"])
def test_the_quick_tests_of_a_new_project_pass(installed: Callable[..., Path], data: str) -> None:
    done = run(
        installed(data=data), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_a_project_without_data_says_what_comes_next(installed: Callable[..., Path]) -> None:
    done = run(installed(data="none"), "-m", "evergreen.cli", "ingest")
    assert done.stderr == (
        "error: dataset.py declares no columns: `evergreen adopt FILE --target COLUMN` writes it\n"
    )
