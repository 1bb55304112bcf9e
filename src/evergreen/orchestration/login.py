"""The login of the servers that this project starts: made once, kept in stores/, its owner's."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from evergreen.project import Project

USER = "evergreen"
FORM = re.compile(rf"{USER}:[\w-]{{43}}")


def login_of(project: Project) -> str:
    """Return `user:password` of the project's servers; made at the first call, or if damaged."""
    path = project.stores / "login"
    login = _read(path)
    if login is None:
        project.stores.mkdir(parents=True, exist_ok=True)
        with FileLock(project.stores / "login.lock"):  # processes that start at once get the same
            login = _read(path) or _make(path)
    return login


def use_login(project: Project) -> None:
    """Let Prefect's client and server of this process and its children use the project's login.

    Call it before Prefect is imported, and never where another server is named: that one must not
    learn it.
    """
    login = login_of(project)
    os.environ |= {"PREFECT_API_AUTH_STRING": login, "PREFECT_SERVER_API_AUTH_STRING": login}


def _read(path: Path) -> str | None:
    with suppress(FileNotFoundError):
        if path.stat().st_mode & 0o077:  # a copy, say
            path.chmod(0o600)
        login = path.read_text(encoding="utf-8", errors="replace").strip()
        return login if FORM.fullmatch(login) else None
    return None


def _make(path: Path) -> str:
    login = f"{USER}:{secrets.token_urlsafe(32)}"
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=".part-")  # whose mode is 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(login + "\n")
        file.flush()
        os.fsync(handle)
    Path(part).replace(path)
    return login
