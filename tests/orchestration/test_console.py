"""Console: ordinary ends and explained tracebacks are not printed; everything else is."""

from __future__ import annotations

import errno
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment

from evergreen.errors import InputError
from evergreen.orchestration.console import AWAY, Once, Plain, install


def record(message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("prefect.task_runs", logging.ERROR, __file__, 1, message, args, info)


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    ("message", "args", "shown"),
    [
        ("Beginning flow run %r for flow %r", ("red-fox", "training"), False),
        ("View at http://127.0.0.1:4200/runs/flow-run/1", (), False),
        ("Finished in state Completed()", (), False),
        ("Finished in state %s", ("Skipped",), False),
        ("skipped, %s", ("no new batch",), True),
        ("seed %d: %s (%d of %d)", (3, "log_loss 0.4", 1, 10), True),
        ("Task run failed with exception: %s - Retry 1/1 will start immediately", ("x",), True),
        ("100 % done, and no argument", (), True),
        ("run 1: Finished in state Completed()", (), True),
    ],
)
def test_lines_that_are_shown(message: str, args: tuple[object, ...], shown: bool) -> None:
    line = record(message, *args)
    before = line.getMessage()
    assert Plain().filter(line) is shown
    assert Once().filter(line)
    assert line.getMessage() == before


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (raised(InputError("give a name; 100 %s sure")), "failed: give a name; 100 %s sure"),
        (raised(RuntimeError("task failed"), InputError("give a name")), "failed: give a name"),
        (raised(OSError(errno.ENOSPC, "full", "/x")), "failed: no space left to write /x"),
    ],
    ids=["mistake", "cause", "full disk"],
)
def test_an_explained_error_loses_its_traceback_and_is_left_to_the_command_line(
    error: Exception, said: str
) -> None:
    line = record("Task run failed with exception: %s", error, error=error)
    assert Plain().filter(line)
    shown = logging.Formatter().format(line)
    assert shown.startswith(said)
    assert "\n" not in shown
    assert not Once().filter(line)


@pytest.mark.parametrize(
    "error", [raised(KeyError("x")), raised(RuntimeError("no"), ValueError("bug"))], ids=repr
)
def test_a_fault_of_the_program_keeps_its_traceback(error: Exception) -> None:
    line = record("Encountered an exception: %s", "it", error=error)
    assert Plain().filter(line)
    assert Once().filter(line)
    shown = logging.Formatter().format(line)
    assert shown.startswith("Encountered an exception: it")
    assert "Traceback" in shown
    assert repr(error.args[0])[1:-1] in shown


PRINT = """
import logging
from prefect.logging.configuration import setup_logging
from evergreen.errors import InputError
from evergreen.orchestration import console
setup_logging()
for _ in range(2):
    console.install()
for name in ("prefect.flow_runs", "prefect.task_runs"):
    context = {"flow_run_name": "flow", "task_run_name": "task"}
    logger = logging.LoggerAdapter(logging.getLogger(name), context)
    logger.info("Finished in state Completed()")
    logger.info("%s: done", name)
    for error in (InputError("give a name"), KeyError("a bug")):
        try:
            raise error
        except Exception:
            logger.exception("Encountered an exception during execution:")
    console.install()
    print([type(kept) for kept in logger.logger.filters].count(console.Plain))
"""


@pytest.mark.slow
def test_what_prefects_own_loggers_print(tmp_path: Path) -> None:
    env = environment(ROOT, PREFECT_HOME=str(tmp_path), PREFECT_LOGGING_TO_API_ENABLED="false")
    done = subprocess.run(
        [sys.executable, "-c", PRINT], env=env, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "1\n1\n"), done.stderr
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        assert done.stderr.count(f"{name}: done") == 1
    assert "Finished in state" not in done.stderr
    assert done.stderr.count("KeyError: 'a bug'") == 2
    assert "give a name" not in done.stderr  # the command line says it, once


def test_a_server_that_is_away_is_not_told_of_line_by_line() -> None:
    install()
    for name in AWAY:
        logger = logging.getLogger(name)
        logger.setLevel(logging.NOTSET)  # as Prefect does when it sets up its own again
        shown = [
            level
            for level in (logging.ERROR, logging.CRITICAL)
            if logger.filter(logging.LogRecord(name, level, "", 0, "no answer", None, None))
        ]
        assert shown == [logging.CRITICAL], name
