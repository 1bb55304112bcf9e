"""The command line: at once where it can be, one error a person can read where it must, and nothing else in between."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner, Result
from conftest import ROOT, copy_project, environment, month

from evergreen import __version__, cli
from evergreen.project import Project

HEAVY = (
    "dvc",
    "great_expectations",
    "matplotlib",
    "mlflow",
    "pandas",
    "polars",
    "prefect",
    "sklearn",
    "xgboost",
)
SHOWN = sorted(name for name, one in cli.main.commands.items() if not one.hidden)
WORK = [
    "ingest",
    "validate",
    "run",
    "status",
    "up",
    "stage ingest",
    "stage validate",
    "stage prepare",
]


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path) -> Iterator[None]:
    """What a command sets in the environment of its process is taken back."""
    with mock.patch.dict(os.environ, DVC_SITE_CACHE_DIR=str(tmp_path / "site")):
        yield


def ask(folder: Path, *words: str) -> Result:
    """Run a command in this process, in `folder`."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        return CliRunner().invoke(cli.main, words)
    finally:
        os.chdir(before)


def error_of(done: Result) -> str:
    """The one error of a command that failed, without `error: `."""
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit)
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("error: ") == 1
    return done.stderr.removeprefix("error: ").removesuffix("\n")


# --- help
# --------------------------------------------------------------------------------------------------


def test_help_answers_in_under_a_second() -> None:
    took = []
    for _ in range(3):
        began = time.perf_counter()
        command = [sys.executable, "-m", "evergreen.cli", "--help"]
        done = subprocess.run(command, env=environment(ROOT), cwd=ROOT)
        took.append(time.perf_counter() - began)
        assert done.returncode == 0
    assert min(took) < 1


LOADED = """
import sys
from evergreen.cli import main
for name in sys.argv[2:]:
    main([*name.split(), "--help"], standalone_mode=False)
main(["--version"], standalone_mode=False)
print("loaded:", *sorted(set(sys.argv[1].split()) & set(sys.modules)))
"""


def test_help_imports_no_library_that_takes_its_time() -> None:
    command = [sys.executable, "-c", LOADED, " ".join(HEAVY), "", *cli.main.commands]
    done = subprocess.run(command, env=environment(ROOT), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"
    assert f"version {__version__}" in done.stdout


@pytest.mark.parametrize("ask", ["--help", "-h"])
def test_every_command_is_explained(ask: str) -> None:
    whole = CliRunner().invoke(cli.main, [ask])
    assert re.findall(r"^  (\w+)  +[A-Z].+", whole.output, re.MULTILINE) == SHOWN
    for name, command in cli.main.commands.items():
        done = CliRunner().invoke(cli.main, [name, ask])
        assert (done.exit_code, done.stderr) == (0, "")
        assert done.stdout.startswith(f"Usage: main {name} ")
        assert " ".join(str(command.help).split()) in " ".join(done.stdout.split())
        assert [
            one.name for one in command.params if one.param_type_name == "option" and not one.help
        ] == []


def test_the_readme_names_every_command_and_no_other() -> None:
    block = (ROOT / "README.md").read_text().split("## Commands")[1].split("```")[1]
    assert sorted(set(re.findall(r"^evergreen (\w+)", block, re.MULTILINE))) == SHOWN
    for name, options in re.findall(r"^evergreen (\w+)([^#\n]*)#", block, re.MULTILINE):
        known = {word for one in cli.main.commands[name].params for word in one.opts}
        assert set(re.findall(r"--\w+", options)) <= known


def test_docs_are_shown() -> None:
    listed = CliRunner().invoke(cli.main, ["docs"]).stdout
    assert re.search(r"^gate +When a challenger replaces the champion$", listed, re.MULTILINE)
    assert (
        CliRunner().invoke(cli.main, ["docs", "gate"]).stdout
        == (ROOT / "docs" / "gate.md").read_text()
    )
    said = error_of(ask(ROOT, "docs", "gates"))
    assert said.startswith("there is no page 'gates': there are design, drift,")


# --- errors
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [*WORK, "doctor"])
def test_outside_a_project(command: str, tmp_path: Path) -> None:
    said = error_of(ask(tmp_path, *command.split()))
    assert (
        said
        == f"no project here: neither {tmp_path} nor a folder above it holds params.yaml and dvc.yaml"
    )
    assert list(tmp_path.iterdir()) == []


FAULTS = {  # what params.yaml holds -> what each line of the error says
    "task: [binary": ["params.yaml is not valid YAML"],
    "- 1": ["params.yaml must hold keys and values, not list"],
    "tasks: binary": [
        "params.yaml has 1 wrong value(s):",
        "  tasks: unknown key; did you mean 'task'?",
    ],
    "sweep: {seeds: 0}\nports: {mlflow: x}": [
        "params.yaml has 2 wrong value(s):",
        "  sweep.seeds: ",
        "  ports.mlflow: ",
    ],
}


@pytest.mark.parametrize("command", WORK)
@pytest.mark.parametrize("content", FAULTS)
def test_faults_in_params_are_one_error_with_a_line_each(
    command: str, content: str, tmp_path: Path
) -> None:
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "params.yaml").write_text(content)
    said = error_of(ask(tmp_path, *command.split())).splitlines()
    assert len(said) == len(FAULTS[content])
    assert [
        part for part, line in zip(FAULTS[content], said, strict=True) if part not in line
    ] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dvc.yaml", "params.yaml"]


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that mistakes leave as it is: two small batches to take, and one port for two servers."""
    project = Project(tmp_path_factory.mktemp("settled") / "project")
    copy_project(project.root)
    inbox = project.root.with_name("inbox")
    inbox.mkdir()
    for name in ("2013-01", "2013-02"):
        month(name, 50).write_parquet(inbox / f"{name}.parquet")
    project.params.write_text(f"source: {{kind: files, path: {inbox}}}\nports: {{prefect: 5000}}\n")
    return project


MISTAKES = {  # what is asked -> what the error says
    "run --seeds 0": ("sweep.seeds", "greater than or equal to 1", "0"),
    "run --seeds 1001": ("sweep.seeds", "1000", "1001"),
    "ingest 2031-01": ("the source has no batch '2031-01'", "2 batches, 2013-01 to 2013-02"),
    "ingest 2031-01 --drop": ("data/raw holds no batch '2031-01'", "`evergreen status`"),
    "stage prepare": ("no batch is validated yet", "`evergreen ingest`"),
    "up": ("ports.prefect and ports.mlflow are both 5000",),
}


@pytest.mark.parametrize("command", MISTAKES)
def test_wrong_wishes_are_one_error(command: str, settled: Project) -> None:
    said = error_of(ask(settled.root, *command.split()))
    assert [part for part in MISTAKES[command] if part not in said] == []
    assert not list(settled.raw.glob("*.parquet"))
    assert not (settled.stores / "prefect").exists()


@pytest.mark.parametrize(
    "words",
    ["nosuch", "run --nosuch", "run --seeds many", "run --device tpu", "run --model best", "stage nosuch", "doctor now",
     "ingest --replace", "ingest --drop"],
)  # fmt: skip
def test_what_is_no_command_is_told_before_anything_is_looked_at(
    words: str, tmp_path: Path
) -> None:
    done = ask(tmp_path, *words.split())
    assert done.exit_code == 2
    assert "\nError: " in done.stderr
    assert "no project here" not in done.stderr


def failing(error: BaseException) -> Callable[..., Project]:
    def find() -> Project:
        raise error

    return find


@pytest.mark.parametrize("command", [*WORK, "doctor"])
def test_a_fault_of_the_program_keeps_its_traceback(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug = ZeroDivisionError("a bug")
    monkeypatch.setattr(Project, "find", failing(bug))
    done = ask(tmp_path, *command.split())
    assert done.exception is bug
    assert done.exit_code == 1


@pytest.mark.parametrize("command", [*WORK, "doctor"])
def test_who_stops_a_command_is_told_how_to_go_on(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Project, "find", failing(KeyboardInterrupt()))
    done = ask(tmp_path, *command.split())
    assert (done.exit_code, done.output) == (130, "stopped; run again to go on where it was\n")


@pytest.mark.parametrize("command", ["ingest", "validate", "stage ingest"])
def test_a_project_that_is_held_is_left_alone(command: str, settled: Project) -> None:
    with settled.lock():
        said = error_of(ask(settled.root, *command.split()))
    assert said.startswith(f"another run of this project is under way (process {os.getpid()})")
    assert not list(settled.raw.glob("*.parquet"))


def test_history_is_told_while_a_run_is_under_way(settled: Project) -> None:
    with settled.lock():
        done = ask(settled.root, "history")
        said = error_of(ask(settled.root, "rollback", "--reason", "why not"))
    assert (done.exit_code, done.output) == (0, "nothing is decided: `evergreen run` does\n")
    assert said.startswith("another run of this project is under way")


def test_a_stage_that_dvc_asked_for_fails_where_code_was_edited_meanwhile(
    make_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(("2013-01",), rows=50)
    monkeypatch.setattr("evergreen.code.changed", lambda: [Path("dataset.py")])
    assert "was edited while ingest ran: run it again" in error_of(
        ask(project.root, "stage", "ingest")
    )


# --- what commands say
# ------------------------------------------------------------------------------------------------


def test_ingest_and_status_say_what_is_there(make_project: Callable[..., Project]) -> None:
    project = make_project(("2013-01", "2013-02", "2013-03"), rows=50, source={"until": "2013-02"})

    def say(*words: str) -> str:
        done = ask(project.root, *words)
        assert (done.exit_code, done.stderr) == (0, ""), done.stderr
        return done.stdout

    assert say("ingest") == "2 new: 2013-01, 2013-02; 2 batches in data/raw\n"
    assert say("ingest") == "0 new: none; 2 batches in data/raw\n"
    assert say("ingest", "--next") == "1 new: 2013-03; 3 batches in data/raw\n"
    assert say("stage", "ingest") == "ingest: 0 new batches\n"
    assert "dropped 2013-01; `evergreen run` takes them again" in say("ingest", "2013-01", "--drop")
    assert say("ingest", "2013-01") == "1 new: 2013-01; 3 batches in data/raw\n"
    rows = [re.split(r"  +", line) for line in say("status").splitlines()]
    assert rows[0] == ["what", "how many", "which"]
    assert ["data/raw", "3 batches", "2013-01 to 2013-03"] in rows
    assert ["data/features", "0 batches", "none"] in rows
    assert ["stages to run", "validate, prepare"] in [row[:2] for row in rows]
    assert [
        "champion",
        "none yet",
        "`evergreen run` trains one, or says what stands in the way",
    ] in rows


def test_ingest_and_status_name_the_files_that_are_passed_over(
    make_project: Callable[..., Project],
) -> None:
    project = make_project(("2013-01",), rows=50)
    (project.root.parent / "inbox" / "2013-02.xlsx").write_bytes(b"PK")
    os.mkfifo(project.root.parent / "inbox" / "2013-03.csv")
    told = "2013-02.xlsx (a spreadsheet: export it as CSV), 2013-03.csv (a named pipe)"
    assert (
        f"1 new: 2013-01; 1 batch in data/raw\npassed over in the source: {told}\n"
        in ask(project.root, "ingest").stdout
    )
    rows = [re.split(r"  +", line) for line in ask(project.root, "status").stdout.splitlines()]
    assert ["passed over there", "2 files", told] in rows


def test_a_table_lines_up(capsys: pytest.CaptureFixture[str]) -> None:
    cli._table(["what", "how many"], [["a", "12"], ["longer than it", ""], ["é", "1"]])
    assert capsys.readouterr().out.splitlines() == ["what            how many", "a               12", "longer than it",
                                                    "é               1"]  # fmt: skip
