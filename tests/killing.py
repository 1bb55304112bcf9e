"""A command that is killed, by SIGKILL, where it is about to do something."""

from __future__ import annotations

import subprocess
import sys

from conftest import environment, runs_this_code
from forking import FORKS

from evergreen.project import Project

Moment = tuple[str, str, int]  # module, attribute that is replaced by a kill, and at which call
KILLER = """
import importlib, os, signal, sys
module, attribute, call = sys.argv.pop(1), sys.argv.pop(1), int(sys.argv.pop(1))
*path, name = attribute.split(".")
owner = importlib.import_module(module)
for part in path:
    owner = getattr(owner, part)
real, calls = getattr(owner, name), []
def deadly(*args, **kwargs):
    calls.append(1)
    if len(calls) == call:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
setattr(owner, name, deadly)
if __name__ == "__main__":
    from evergreen.cli import main
    main()
"""


def killer(moment: Moment, *command: str) -> list[str]:
    """Return the command line of `evergreen COMMAND` that dies at `moment`."""
    return [sys.executable, "-c", KILLER, *map(str, moment), *command]


def kill_at(project: Project, moment: Moment, *command: str) -> subprocess.CompletedProcess[str]:
    """Run `evergreen COMMAND` in a project until `moment`."""
    if FORKS and runs_this_code(project.root):
        return FORKS[0].run(
            [*map(str, moment), *command], project.root, environment(project.root), 240, KILLER
        )
    return subprocess.run(
        killer(moment, *command), cwd=project.root, env=environment(project.root),
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
