"""What a run prints: one line per event, and no traceback for a mistake that a message explains."""

from __future__ import annotations

import logging
import traceback
from contextlib import suppress

from evergreen.errors import InputError, explain, log_traceback
from evergreen.project import Project
from evergreen.redact import redact

# Ends are told by the steps themselves
QUIET = ("Beginning flow run", "View at http://127.0.0.1", "Finished in state")


class Plain(logging.Filter):
    """Drop Prefect's lines on ordinary ends, the traceback of an explained error, and secrets."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether `record` is shown, after taking out what only a developer reads."""
        if record.exc_info and record.exc_info[1] and (said := explain(record.exc_info[1])):
            with suppress(InputError):  # no project: nothing to keep it in
                log_traceback(record.exc_info[1], Project.find().stores)
            record.exc_info = record.exc_text = None
            record.msg, record.args, record.explained = f"failed: {said}", (), True
        record.msg, record.args = redact(record.getMessage()), ()
        if record.exc_info:
            record.exc_text = redact("".join(traceback.format_exception(*record.exc_info)))
            record.exc_info = None
        return not record.getMessage().startswith(QUIET)


class Once(logging.Filter):
    """Leave explained errors to the command line, which says them last; the UI has them with the task."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether `record` is printed."""
        return not getattr(record, "explained", False)


def install() -> None:
    """Put the filter on Prefect's run loggers, once."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(name)
        if not any(isinstance(one, Plain) for one in logger.filters):
            logger.addFilter(Plain())
    for handler in (*logging.getLogger("prefect").handlers, *logging.getLogger().handlers):
        if not any(isinstance(one, Once) for one in handler.filters):
            handler.addFilter(Once())
