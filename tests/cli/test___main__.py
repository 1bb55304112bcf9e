"""`python -m evergreen.cli`: help at once, of every command, and the README names them all."""

from __future__ import annotations

import re
import resource
import subprocess
import sys

import pytest
from click.testing import CliRunner
from conftest import ROOT, environment

from evergreen import __version__
from evergreen.cli import main

HEAVY = (
    "dvc",
    "great_expectations",
    "matplotlib",
    "mlflow",
    "numpy",
    "optuna",
    "pandas",
    "polars",
    "prefect",
    "pydantic",
    "sklearn",
    "xgboost",
)
SHOWN = sorted(name for name, command in main.commands.items() if not command.hidden)


def seconds_of_children() -> float:
    """Seconds of CPU, whatever else the machine does."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.slow
def test_help_takes_less_than_half_a_second() -> None:
    took = []
    for _ in range(3):
        before = seconds_of_children()
        command = [sys.executable, "-m", "evergreen.cli", "--help"]
        done = subprocess.run(command, env=environment(ROOT), cwd=ROOT)
        took.append(seconds_of_children() - before)
        assert done.returncode == 0
    assert min(took) < 0.5


LOADED = """
import sys
from evergreen.cli import main
for name in sys.argv[2:]:
    main([*name.split(), "--help"], standalone_mode=False)
main(["--version"], standalone_mode=False)
print("loaded:", *sorted(set(sys.argv[1].split()) & set(sys.modules)))
"""


@pytest.mark.slow
def test_help_imports_no_library_that_takes_its_time() -> None:
    command = [sys.executable, "-c", LOADED, " ".join(HEAVY), "", *main.commands]
    done = subprocess.run(command, env=environment(ROOT), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"
    assert f"version {__version__}" in done.stdout


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_is_explained(flag: str) -> None:
    whole = CliRunner().invoke(main, [flag])
    assert re.findall(r"^  (\w+)  +[A-Z].+", whole.output, re.MULTILINE) == SHOWN
    for name, command in main.commands.items():
        dparam = CliRunner().invoke(main, [name, flag])
        assert (dparam.exit_code, dparam.stderr) == (0, "")
        assert dparam.stdout.startswith(f"Usage: main {name} ")
        assert " ".join(str(command.help).split()) in " ".join(dparam.stdout.split())
        assert [
            param.name
            for param in command.params
            if param.param_type_name == "option" and not param.help
        ] == []


def test_the_readme_names_every_command_and_no_other() -> None:
    block = (ROOT / "README.md").read_text().split("## Commands")[1].split("```")[1]
    lines = re.findall(r"^evergreen (\w+(?: \| \w+)*)([^#\n]*)#", block, re.MULTILINE)
    named = [(names.split(" | "), options) for names, options in lines]
    assert sorted({name for names, _ in named for name in names}) == SHOWN
    for names, options in named:
        params = (param for name in names for param in main.commands[name].params)
        assert set(re.findall(r"--\w+", options)) <= {
            word for param in params for word in param.opts
        }
