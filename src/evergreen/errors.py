"""The one error that a user is meant to read."""

from __future__ import annotations

import errno
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from evergreen import code
from evergreen.redact import redact

LOG = "errors.log"  # below stores/: the tracebacks of errors that the system gave the reason for
LARGEST = 1_000_000  # bytes of it
LOGGED = f"kept in {LOG}"


class InputError(Exception):
    """Something that a user gave is wrong: data, a parameter, a store, a port.

    The message names the wrong value, where it was, and what to do. It is shown without a
    traceback, and holds no secret.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(redact(str(message)))


class BusyError(InputError):
    """A store is held by another process: trying again may help."""


def explain(error: BaseException) -> InputError | None:
    """Return `error` as a message for a user, or None where it is a fault of the program.

    Follows the chain of causes, since stores wrap what the operating system reported.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InputError):
            return cause
        if "database is locked" in str(cause):
            return BusyError(
                "a database below stores/ is held by another process: wait until that is done, or "
                "stop it (`fuser stores/mlflow.db stores/prefect/prefect.db` names it), then run "
                "again"
            )
        if message := _of_declarations(cause) or _of_system(cause):
            return InputError(message)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return None


def log_traceback(error: BaseException, stores: Path) -> bool:
    """Append the traceback of `error` to `errors.log` in `stores`; return whether it is there.

    A user's mistake has none. A full disk or a missing permission can also be the program's fault,
    and only its traceback shows that.
    """
    if isinstance(error, InputError):
        return False
    if LOGGED in getattr(error, "__notes__", ()):
        return True
    path = stores / LOG
    with suppress(OSError):
        stores.mkdir(exist_ok=True)
        too_long = path.exists() and path.stat().st_size > LARGEST
        with path.open("w" if too_long else "a", encoding="utf-8", errors="replace") as file:
            trace = redact("".join(traceback.format_exception(error)))
            file.write(f"--- {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n{trace}\n")
        error.add_note(LOGGED)
        return True
    return False


def _of_declarations(error: BaseException) -> str | None:
    """Return what is wrong with a file of the project that cannot be loaded, the user's likely."""
    if isinstance(error, SyntaxError) and code.is_own(error.filename or ""):
        return f"{Path(error.filename or '').name}, line {error.lineno}: {error.msg}: correct it"
    last = traceback.extract_tb(error.__traceback__)[-1:]
    if last and last[0].name == "<module>" and code.is_own(last[0].filename):
        where = f"{Path(last[0].filename).name}, line {last[0].lineno}"
        return f"{where}: {type(error).__name__}: {' '.join(str(error).split())}: correct it"
    return None


NO_SPACE = "no space left to write {}: free some disk space and run again, finished work is kept"
WORDS = {  # what libraries report in place of the system's error -> what to do about it
    # Of C++, of XGBoost's pages, and of the operating system
    ("std::bad_alloc", "bad_malloc", "bad allocation", "Cannot allocate memory"): (
        "not enough memory: close other programs, keep rows on disk (compute.memory: external in "
        "params.yaml), train on fewer batches (split.train_batches) or fewer seeds at once "
        "(sweep.jobs), or cut the source into smaller batches"
    ),
    ("No space left on device", "File too large"): NO_SPACE.format("a file of the project"),
    ("database or disk is full", "disk I/O error"): NO_SPACE.format("the databases below stores/"),
    # After several tries, some minutes long
    ("too many 500 error", "too many 502 error", "too many 503 error", "too many 504 error"): (
        "the MLflow server of MLFLOW_TRACKING_URI cannot keep or read something: see its log, "
        "whether its disk is full and its database and its store answer, then run again: finished "
        "work is kept"
    ),
    ("failed with exception HTTP", "failed with timeout exception"): (
        "the MLflow server of MLFLOW_TRACKING_URI does not answer: start it, or correct the "
        "address, then run again: finished work is kept"
    ),
    ("error code 403",): (
        "the MLflow server of MLFLOW_TRACKING_URI does not let this login do that: ask who manages "
        "it for the permission (EDIT of the model and of its experiments)"
    ),
    ("Read-only file system", "Permission denied"): (
        "a file of the project cannot be written: make it writable for this user and run again"
    ),
    ("attempt to write a readonly database", "unable to open database file"): (
        "a database under stores/ cannot be written ({first}): make stores/ writable and run again"
    ),
    ("database disk image is malformed", "file is not a database"): (
        "a database below stores/ is damaged ({first}): `evergreen doctor` says which; restore it "
        "from a backup, or move stores/ away to start over, without models and history"
    ),
    ("error code 401",): (
        "the MLflow server of MLFLOW_TRACKING_URI asks for a login: set MLFLOW_TRACKING_USERNAME "
        "and MLFLOW_TRACKING_PASSWORD"
    ),
}


def _of_system(error: BaseException) -> str | None:
    text = "std::bad_alloc" if isinstance(error, MemoryError) else str(error)
    if isinstance(error, OSError):
        where = error.filename or "a store of the project"
        if error.errno == errno.ENOMEM:
            return _of_system(MemoryError())
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return NO_SPACE.format(where)
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            return (
                f"no permission to write or read {where}: make it writable for this user and run "
                "again"
            )
    found = (advice for words, advice in WORDS.items() if any(word in text for word in words))
    advice = next(found, None)
    return advice and advice.replace("{first}", text.splitlines()[0])
