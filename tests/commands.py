"""Commands of the command line, run in this process."""

from __future__ import annotations

import os
from pathlib import Path

from click.testing import CliRunner, Result

from evergreen import code
from evergreen.cli import main


def invoke(folder: Path, *words: str) -> Result:
    """Run a command in this process, in `folder`; what other tests edited is read anew."""
    for path in [path for path, was in code._KEPT.items() if code._on_disk(path) != was]:
        del code._KEPT[path]
    before = Path.cwd()
    os.chdir(folder)
    try:
        return CliRunner().invoke(main, words)
    finally:
        os.chdir(before)


def output_of(folder: Path, *words: str) -> str:
    """What a command prints that must end well, and without a warning."""
    done = invoke(folder, *words)
    assert (done.exit_code, done.stderr) == (0, ""), done.stderr
    return done.stdout


def error_of(done: Result) -> str:
    """The one error of a command that failed, without `error: `."""
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit)
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("error: ") == 1
    return done.stderr.removeprefix("error: ").removesuffix("\n")
