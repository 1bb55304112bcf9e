"""Bake a new project out of this repository, which is itself the reference project.

    python bake.py TEMPLATE PROJECT [--start]

PROJECT holds the answers, in `.template.json`, and gets everything else; `--start` makes it a git
repository as well. A project is what its owner writes and the library as a wheel, pinned by its
hash. No file of the project passes through
Jinja: names are replaced in one pass, most specific first, and options only remove. Standard
library only, since it runs in whatever environment cookiecutter does.
"""

from __future__ import annotations

import fnmatch
import hashlib
import importlib.util
import json
import keyword
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

Answers = Mapping[str, Any]
ANSWERS = ".template.json"
# Files that differ from those of the reference, below always/ or KEY=VALUE/
OVERLAY = "evergreen_template/overlay/"
OWN_TESTS = "tests/project/"  # of what is the project's own; they lie in tests/ there
TAKEN = (  # of this repository, by the project; what differs there lies in OVERLAY
    ".ci/run",
    ".dvc/*",
    ".dvcignore",
    ".github/*",
    ".gitignore",
    ".gitlab-ci.yml",
    "LICENSE",
    "dvc.yaml",
    "flows/*",
    "infra/*",
    "params.yaml",
    "prefect.yaml",
    "requirements/*.txt",
    "setup.sh",
    "src/late_flights/*",
    f"{OWN_TESTS}*",
)
LEFT = ("requirements/template.txt",)
# What lies here, and where a reader of the installed library has it
IN_DOCS = {OWN_TESTS: "tests/", "late_flights": "your_package"}
LIBRARY, LIBRARY_DOCS, CHANGELOG = "src/evergreen/", ("docs/*.md", "docs/*.py"), "CHANGELOG.md"
OPTIONAL: dict[str, Callable[[Answers], bool]] = {
    ".github/*": lambda a: a["ci"] == "github",
    ".gitlab-ci.yml": lambda a: a["ci"] == "gitlab",
    "infra/*": lambda a: a["infra"] != "none",
    "infra/kubernetes/*": lambda a: a["infra"] == "kubernetes",
    "requirements/server.txt": lambda a: a["infra"] != "none",
    "src/late_flights/flights.py": lambda a: a["data"] == "flights",
}
BLOCKS: dict[str, Callable[[Answers], bool]] = {
    "template-only": lambda a: False,
    "infra": lambda a: a["infra"] != "none",
}
MARK = re.compile(r"^[^\n]*\btemplate: (begin|end) ([\w-]+)[^\n]*\n?", re.MULTILINE)
SPDX = {"Proprietary": "LicenseRef-Proprietary"}
LABELS = {
    "binary": 'pl.col("arr_delay") > 15',
    "multiclass": """pl.when(pl.col("arr_delay") > 30)
    .then(pl.lit("very late"))
    .when(pl.col("arr_delay") > 0)
    .then(pl.lit("late"))
    .when(pl.col("arr_delay") <= 0)
    .then(pl.lit("in time"))""",
    "regression": 'pl.col("arr_delay")',
}
QUESTIONS = {
    "binary": "will it arrive over 15 minutes late?",
    "multiclass": "in time, late or very late?",
    "regression": "how many minutes late?",
}
IMPORTED_AS = (
    "evergreen",
    "sklearn",
    "yaml",
    "gx",
    "ruamel",
    "flows",
    "tests",
    "conftest",
    "test_dataset",
    "test_extensions",
    "test_run",
)


def main(arguments: list[str]) -> None:
    """Fill the project; where it cannot be, say why in one line and leave with an error."""
    repo, project = (Path(folder).resolve() for folder in arguments[:2])
    answers = json.loads((project / ANSWERS).read_text(encoding="utf-8"))
    check(answers, repo)
    record = json.dumps(provenance(repo, answers), indent=2, ensure_ascii=False) + "\n"
    bake(repo, project, answers)
    (project / ANSWERS).write_text(record, encoding="utf-8")
    if "--start" in arguments and "_repo_dir" in answers:
        # Cruft, which lacks it, compares folders without history
        start(project, answers)


def bake(repo: Path, project: Path, answers: Answers) -> None:
    """Write every file that the answers ask for below `project`."""
    table = names(answers)
    pattern = re.compile("|".join(f"({name})" for name, _ in table))

    def rename(text: str) -> str:
        return pattern.sub(lambda found: table[(found.lastindex or 1) - 1][1], text)

    for path, (mode, source) in sorted(choose(repo, answers).items()):
        if mode == "120000":
            stop(f"{source} is a symbolic link: archives lose those, keep none in the project")
        content = (repo / source).read_bytes()
        if b"\0" not in content:
            try:
                text = content.decode("utf-8")
            except UnicodeDecodeError:
                stop(f"{source} is neither UTF-8 nor binary: the names in it would stay")
            text = cut_blocks(text, answers, source)
            content = rename(settle(path, text, answers)).encode("utf-8")
        target = project / rename(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o755 if mode == "100755" else 0o644)
    name, wheel = build_wheel(repo)
    (project / "vendor").mkdir(exist_ok=True)
    (project / "vendor" / name).write_bytes(wheel)
    pin = f"./vendor/{name} --hash=sha256:{hashlib.sha256(wheel).hexdigest()}\n"
    (project / "requirements" / "library.txt").write_text(pin, encoding="utf-8")


def build_wheel(repo: Path) -> tuple[str, bytes]:
    """Return the name and the bytes of the library's wheel; the same files give the same bytes."""
    settings = tomllib.loads((repo / "pyproject.toml").read_text(encoding="utf-8"))
    about = settings["project"]
    stated = re.search(
        r'^__version__ = "([^"]+)"',
        (repo / LIBRARY / "__init__.py").read_text("utf-8"),
        re.MULTILINE,
    )
    if not stated:
        stop(f"{LIBRARY}__init__.py does not say its __version__")
    version = stated[1]
    metadata = [
        "Metadata-Version: 2.1", "Name: evergreen", f"Version: {version}",
        f"Summary: {about['description']}", f"License: {about['license']}",
        f"Requires-Python: {about['requires-python']}",
        *(f"Requires-Dist: {needed}" for needed in about["dependencies"]),
        *(line for extra, needed in about["optional-dependencies"].items()
          for line in (f"Provides-Extra: {extra}",
                       *(f'Requires-Dist: {needs}; extra == "{extra}"' for needs in needed))),
    ]  # fmt: skip
    groups = {"console_scripts": about["scripts"], **about["entry-points"]}
    entries = [
        f"[{group}]\n" + "".join(f"{name} = {to}\n" for name, to in named.items())
        for group, named in groups.items()
    ]
    files: dict[str, bytes] = {}
    for _, path in tracked(repo):
        if path.startswith(LIBRARY):
            files[path.removeprefix("src/")] = (repo / path).read_bytes()
        elif matches(path, LIBRARY_DOCS):
            text = cut_blocks((repo / path).read_text(encoding="utf-8"), {"infra": "compose"}, path)
            for here, there in IN_DOCS.items():
                text = text.replace(here, there)
            files[f"evergreen/{path}"] = text.encode()
        elif path == CHANGELOG:
            files["evergreen/docs/changelog.md"] = (repo / path).read_bytes()
    maker = load_wheel(repo)
    content = maker.build_wheel(
        version,
        files,
        {
            "METADATA": ("\n".join(metadata) + "\n").encode(),
            "entry_points.txt": "\n".join(entries).encode(),
            "licenses/LICENSE": (repo / "LICENSE").read_bytes(),
        },
    )
    return maker.name_of(version), content


def load_wheel(repo: Path) -> Any:
    """Return the module of the library that writes wheels, without importing the library."""
    spec = importlib.util.spec_from_file_location("wheel_of", repo / LIBRARY / "wheel.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def choose(repo: Path, answers: Answers) -> dict[str, tuple[str, str]]:
    """Return what ships: path in the new project, by today's names -> mode, path here."""
    chosen, over = {}, {}
    for mode, path in tracked(repo):
        if path.startswith(OVERLAY):
            when, _, rest = path.removeprefix(OVERLAY).partition("/")
            key, _, value = when.partition("=")
            if when == "always" or answers[key] == value:
                over[rest] = (mode, path)
        elif matches(path, TAKEN) and not matches(path, LEFT):
            chosen[re.sub(f"^{OWN_TESTS}", "tests/", path)] = (mode, path)
    chosen |= over
    dropped = [pattern for pattern, keep in OPTIONAL.items() if not keep(answers)]
    return {path: source for path, source in chosen.items() if not matches(path, tuple(dropped))}


def names(answers: Answers) -> list[tuple[str, str]]:
    """Return (pattern, replacement) pairs, the most specific first: the first match wins."""
    return [
        (r"Evergreen Authors", answers["author"]),
        (r"evergreen-pipeline", answers["project_slug"]),
        (r"late_flights", answers["package_name"]),
    ]


INBOX = """\
  kind: files                 # files | sql | python; `evergreen adopt` sets what your table needs
  path: inbox                 # a local path or any fsspec URL; a CSV, TSV or Parquet file a batch
  until: null                 # newest batch that `evergreen run` takes; null: all there are
"""
Settle = Callable[[Answers], str | None]  # what stands there; None: what does
SETTLED: dict[str, dict[str, Settle]] = {  # path -> pattern -> what the answers make of it
    "pyproject.toml": {
        r'^license = "MIT"$': lambda a: f'license = "{SPDX.get(a["license"], a["license"])}"'
    },
    "README.md": {
        r"^# Evergreen$": lambda a: f"# {a['project_name']}",
        r"(?<=Licence: )MIT(?=\.$)": lambda a: str(a["license"]),
        r"^infra/ .*\n": lambda a: "" if a["infra"] == "none" else None,
        r"^  flights\.py .*\n": lambda a: "" if a["data"] == "none" else None,
    },
    "params.yaml": {
        r"^task: binary    ": lambda a: f"task: {a['task']:<10}",
        r"^  kind: python .*\n  module: .*\n  until: .*\n": lambda a: (
            INBOX if a["data"] == "none" else None
        ),
    },
    "src/late_flights/dataset.py": {
        r"(?<=^    label=).*(?=,$)": lambda a: (
            LABELS[a["task"]] if a["data"] == "flights" else None
        ),
        r"(?<=asked at scheduled departure: ).*$": lambda a: QUESTIONS[a["task"]],
    },
}


def settle(path: str, text: str, answers: Answers) -> str:
    """Return the text of a file with what the answers say in place of what the reference says."""
    for pattern, make in SETTLED.get(path, {}).items():
        made = make(answers)
        if made is not None:
            text = re.sub(pattern, lambda _, made=made: made, text, flags=re.MULTILINE)  # type: ignore[misc]
    return text


def cut_blocks(text: str, answers: Answers, path: str) -> str:
    """Return the text without the `template:` lines, and without blocks that do not hold."""
    kept: list[str] = []
    inside: list[str] = []
    at = 0
    for mark in MARK.finditer(text):
        if all(BLOCKS[name](answers) for name in inside):
            kept.append(text[at : mark.start()])
        at = mark.end()
        if mark[2] not in BLOCKS:
            stop(f"{path}: no block is called {mark[2]!r}; there are {', '.join(BLOCKS)}")
        if mark[1] == "begin":
            inside.append(mark[2])
        elif not inside or inside.pop() != mark[2]:
            stop(f"{path}: the mark {mark[0].strip()!r} closes no block")
    if inside:
        stop(f"{path}: the block {inside[-1]!r} is not closed")
    return "".join(kept) + text[at:]


def check(answers: Answers, repo: Path) -> None:
    """Leave with an error at an answer that no project can be made from."""
    package, slug = str(answers["package_name"]), str(answers["project_slug"])
    if (
        not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", package)
        or len(package) > 20
        or keyword.iskeyword(package)
    ):
        stop(
            f"package_name {package!r}: use lower-case letters, digits and single underscores, at "
            "most 20, no keyword"
        )
    if package in taken(repo):
        stop(
            f"package_name {package!r} is a module of Python or of a library this project uses: "
            "choose another"
        )
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", slug) or len(slug) > 40:
        stop(
            f"project_slug {slug!r}: use lower-case letters, digits and single hyphens, at most 40 "
            "characters"
        )
    for key in ("project_name", "author"):
        value = str(answers[key])
        if (
            not value.strip()
            or len(value) > 60
            or re.search(r'["\\`<>\x00-\x1f\x7f]|\{[{%#]', value)
        ):
            stop(
                f"{key} {value!r}: at most 60 characters, and no double quotes, backslashes, "
                "backticks, angle brackets, control characters or {{"
            )
    for key, known in choices(repo).items():
        if answers.get(key) not in known:
            stop(f"{key} {answers.get(key)!r}: choose {', '.join(known)}")


def taken(repo: Path) -> set[str]:
    """Return names that a package must not have.

    Modules of Python, of dependencies, and beside a flow or a test.
    """
    pinned = re.findall(
        r"^([A-Za-z0-9_.-]+)==",
        (repo / "requirements/dev.txt").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    # Prefect puts their folder first on sys.path
    flows = {path.stem for path in (repo / "flows").glob("*.py")}
    libraries = {re.split(r"\.", name.lower().replace("-", "_"))[0] for name in pinned}
    return libraries | flows | {*sys.stdlib_module_names, *IMPORTED_AS}


def choices(repo: Path) -> dict[str, list[str]]:
    """Return the questions that are a choice, with what there is to choose."""
    asked = json.loads((repo / "cookiecutter.json").read_text(encoding="utf-8"))
    return {
        key: value
        for key, value in asked.items()
        if isinstance(value, list) and not key.startswith("_")
    }


def tracked(repo: Path) -> list[tuple[str, str]]:
    """Return (mode, path) of each file that may ship.

    From git's index; for an unpacked archive, what .gitignore leaves.
    """
    if (repo / ".git").exists():
        rows = [row.partition("\t") for row in git(repo, "ls-files", "-s", "-z").split("\0")[:-1]]
        return [
            (facts[:6], path)
            for facts, _, path in rows
            if facts[:6] != "160000" and os.path.lexists(repo / path)
        ]
    with tempfile.TemporaryDirectory() as folder:
        # An empty repository beside it, so that .gitignore counts
        git(Path(folder), "init", "-q", "--bare")
        paths = git(
            repo,
            f"--git-dir={folder}",
            f"--work-tree={repo}",
            "ls-files",
            "-o",
            "--exclude-standard",
            "-z",
        )
        return [
            ("100755" if (repo / path).read_bytes()[:2] == b"#!" else "100644", path)
            for path in paths.split("\0")[:-1]
        ]


def provenance(repo: Path, answers: Answers) -> dict[str, Any]:
    """Return the answers, and the template and commit that they were given to.

    An update starts from these.
    """
    kept = {key: value for key, value in answers.items() if not key.startswith("_")}
    kept["_template"], kept["_commit"] = answers.get("_template"), answers.get("_commit")
    if (repo / ".git").exists():
        kept["_commit"] = git(repo, "rev-parse", "HEAD").strip()
        wanted = answers.get("_checkout")
        if wanted and git(repo, "rev-parse", f"{wanted}^{{commit}}").strip() != kept["_commit"]:
            stop(
                f"cookiecutter did not check out {wanted}: it does so for a URL, not for a folder; "
                "check it out there"
            )
        if git(repo, "status", "--porcelain", "-uno").strip():
            kept["_commit"] += "-dirty"
        if "_repo_dir" in answers:  # cookiecutter; cruft tells both by itself
            url = (
                git(repo, "remote", "get-url", "origin")
                if "origin" in git(repo, "remote").split()
                else str(repo)
            )
            kept["_template"] = url.strip()
    # Never a password
    kept["_template"] = re.sub(r"^(https?://)\S*@", r"\1", str(kept["_template"] or "")) or None
    if not (repo / ".git").exists() and (repo / ".git_archival.json").is_file():
        commit = json.loads((repo / ".git_archival.json").read_text(encoding="utf-8"))["commit"]
        kept["_commit"] = None if commit.startswith("$") else commit
    return kept


def start(project: Path, answers: Answers) -> None:
    """Make the project a git repository of its own, with a first commit."""
    git(project, "init", "-q", "-b", "main")
    git(project, "add", "-A", "-f", ".")
    who = ("-c", f"user.name={answers['author']}", "-c", "user.email=nobody@localhost")
    known = subprocess.run(
        ["git", "-C", str(project), "var", "GIT_AUTHOR_IDENT"], capture_output=True, check=False
    )
    git(
        project,
        *(() if known.returncode == 0 else who),
        "commit",
        "-q",
        "--no-verify",
        "-m",
        "Start",
    )


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Say whether one of the patterns matches the path."""
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def git(folder: Path, *arguments: str) -> str:
    """Return what git prints."""
    # Set where a hook of git's own runs this
    hidden = {"GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            env=environment,
            check=False,
        )
    except FileNotFoundError:
        stop("git is needed, and is not there")
    if done.returncode:
        stop(f"git {arguments[0]} in {folder}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def stop(why: str) -> NoReturn:
    """Leave with one line that says why."""
    sys.exit(f"error: {why}")


if __name__ == "__main__":
    main(sys.argv[1:])
