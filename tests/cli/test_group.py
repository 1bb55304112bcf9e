"""Errors of commands: one message a user can read, and the traceback of a fault of the program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from commands import error_of, invoke

from evergreen.project import Project

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


@pytest.mark.parametrize("command", [*WORK, "doctor"])
def test_outside_a_project(command: str, tmp_path: Path) -> None:
    said = error_of(invoke(tmp_path, *command.split()))
    place = f"neither {tmp_path} nor a folder above it holds params.yaml and dvc.yaml"
    assert said == f"no project here: {place}"
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
    said = error_of(invoke(tmp_path, *command.split())).splitlines()
    assert len(said) == len(FAULTS[content])
    assert [
        part for part, line in zip(FAULTS[content], said, strict=True) if part not in line
    ] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dvc.yaml", "params.yaml"]


MISTAKES = {  # what is asked -> what the error says
    "run --seeds 0": ("sweep.seeds", "greater than or equal to 1", "0"),
    "run --seeds 1001": ("sweep.seeds", "1000", "1001"),
    "ingest 2031-01": ("the source has no batch '2031-01'", "2 batches, 2013-01 to 2013-02"),
    "ingest 2031-01 --drop": ("data/raw holds no batch '2031-01'", "`evergreen status`"),
    "stage prepare": ("no batch is validated yet", "`evergreen ingest`"),
    "up": ("ports.prefect and ports.mlflow are both 5000",),
}


@pytest.mark.slow
@pytest.mark.parametrize("command", MISTAKES)
def test_wrong_wishes_are_one_error(command: str, two_batches: Project) -> None:
    said = error_of(invoke(two_batches.root, *command.split()))
    assert [part for part in MISTAKES[command] if part not in said] == []
    assert not list(two_batches.raw.glob("*.parquet"))
    assert not (two_batches.stores / "prefect").exists()


@pytest.mark.parametrize(
    "words",
    [
        "nosuch",
        "run --nosuch",
        "run --seeds many",
        "run --device tpu",
        "run --model best",
        "stage nosuch",
        "doctor now",
        "ingest --replace",
        "ingest --drop",
    ],
)
def test_what_is_no_command_is_told_before_anything_is_looked_at(
    words: str, tmp_path: Path
) -> None:
    done = invoke(tmp_path, *words.split())
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
    done = invoke(tmp_path, *command.split())
    assert done.exception is bug
    assert done.exit_code == 1


@pytest.mark.parametrize("command", [*WORK, "doctor"])
def test_who_stops_a_command_learns_how_to_continue(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Project, "find", failing(KeyboardInterrupt()))
    done = invoke(tmp_path, *command.split())
    assert (done.exit_code, done.output) == (130, "stopped; run again to continue\n")
