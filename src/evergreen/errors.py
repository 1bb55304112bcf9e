"""The one error that a person is meant to read."""

from __future__ import annotations

import errno
import traceback
from pathlib import Path

OWN = ("dataset.py", "expectations.py")  # files that a person writes


class InputError(Exception):
    """Something a person gave is wrong: data, a parameter, a store, a port.

    The message names the wrong value, where it was, and what to do. It is shown without a traceback.
    """


def explain(error: BaseException) -> InputError | None:
    """Return `error` as a message for a person, or None where it is a fault of the program.

    Looks along the chain of causes, since stores wrap what the operating system said.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, InputError):
            return seen
        if said := _of_declarations(seen) or _of_system(seen):
            return InputError(said)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return None


def _of_declarations(error: BaseException) -> str | None:
    """Return what is wrong with a file of the person's own that cannot even be loaded."""
    if isinstance(error, SyntaxError) and Path(error.filename or "").name in OWN:
        return f"{Path(error.filename or '').name}, line {error.lineno}: {error.msg}: correct it"
    last = traceback.extract_tb(error.__traceback__)[-1:]
    if last and Path(last[0].filename).name in OWN and last[0].name == "<module>":
        where = f"{Path(last[0].filename).name}, line {last[0].lineno}"
        return f"{where}: {type(error).__name__}: {' '.join(str(error).split())}: correct it"
    return None


def _of_system(error: BaseException) -> str | None:
    text = str(error)
    if isinstance(error, OSError):
        where = error.filename or "a store of the project"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return f"no space left to write {where}: free some disk space and run again, finished work is kept"
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            return f"no permission to write or read {where}: make it writable for this user and run again"
    if "No space left on device" in text:  # as libraries that are not Python word it
        return "no space left to write a file of the project: free some disk space and run again, finished work is kept"
    if "Read-only file system" in text or "Permission denied" in text:
        return "a file of the project cannot be written: make it writable for this user and run again"
    if "attempt to write a readonly database" in text or "unable to open database file" in text:
        return (
            f"a database under stores/ cannot be written ({text.splitlines()[0]}): make stores/ writable and run again"
        )
    if "API request to endpoint" in text and "error code 401" in text:  # as MLflow's client words it
        return (
            "the MLflow server of MLFLOW_TRACKING_URI asks for a login: set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD"
        )
    if "database or disk is full" in text or "disk I/O error" in text:
        return "no space left to write the databases under stores/: free some disk space and run again"
    return None
