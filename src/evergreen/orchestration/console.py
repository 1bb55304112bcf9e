"""What a run prints: one line per event, and no traceback for what a message explains."""

from __future__ import annotations

import logging
import traceback
from contextlib import suppress
from typing import ClassVar

from evergreen.errors import InputError, explain, log_traceback
from evergreen.project import Project
from evergreen.redact import redact

# What repeats while Prefect's server is away, with tracebacks: a run waits for it, and goes on
AWAY = ("prefect.events.clients", "prefect._internal.concurrency", "websockets.client")
# Steps report their ends themselves
QUIET = ("Beginning flow run", "View at http://127.0.0.1", "Finished in state")


class Plain(logging.Filter):
    """Drop Prefect's lines on ordinary ends, the traceback of an explained error, and secrets.

    `warnings`: how many it has seen in this process.
    """

    warnings: ClassVar[int] = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether `record` is shown; drop from it what only a developer reads."""
        Plain.warnings += record.levelno >= logging.WARNING
        if record.exc_info and record.exc_info[1] and (explained := explain(record.exc_info[1])):
            with suppress(InputError):  # no project: nothing to keep it in
                log_traceback(record.exc_info[1], Project.find().stores)
            record.exc_info = record.exc_text = None
            record.msg, record.args, record.explained = f"failed: {explained}", (), True
        record.msg, record.args = redact(record.getMessage()), ()
        if record.exc_info:
            record.exc_text = redact("".join(traceback.format_exception(*record.exc_info)))
            record.exc_info = None
        return not record.getMessage().startswith(QUIET)


class Once(logging.Filter):
    """Leave explained errors to the command line, which prints them last; the UI shows them too."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether `record` is printed."""
        return not getattr(record, "explained", False)


def _is_critical(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.CRITICAL


def install() -> None:
    """Put the filter on Prefect's run loggers, once."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(name)
        if not any(isinstance(known, Plain) for known in logger.filters):
            logger.addFilter(Plain())
    for name in AWAY:  # a level would not do: Prefect sets its own ones again
        logging.getLogger(name).addFilter(_is_critical)
    for handler in (*logging.getLogger("prefect").handlers, *logging.getLogger().handlers):
        if not any(isinstance(known, Once) for known in handler.filters):
            handler.addFilter(Once())
