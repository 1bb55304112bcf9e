"""The login of the servers that this project starts: made once, kept in stores/, its owner's."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from evergreen.errors import InputError
from evergreen.files import make_secret
from evergreen.project import Project

USER = "evergreen"
FORM = re.compile(rf"{USER}:[\w-]{{43}}")
# What servers that are named elsewhere ask for; NAME_FILE may name a file that holds it
GIVEN = ("PREFECT_API_AUTH_STRING", "MLFLOW_TRACKING_PASSWORD", "EVERGREEN_WEBHOOK")


def login_of(project: Project) -> str:
    """Return `user:password` of the project's servers; made at the first call, or if damaged."""
    return make_secret(
        project.stores / "login", FORM, lambda: f"{USER}:{secrets.token_urlsafe(32)}"
    )


def read_given() -> None:
    """Set what a variable NAME_FILE names a file for, as containers are given secrets.

    Raises InputError where that file cannot be read.
    """
    for name in GIVEN:
        file = os.environ.get(f"{name}_FILE")
        if not file or os.environ.get(name):
            continue
        try:
            os.environ[name] = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise InputError(f"the file that {name}_FILE names cannot be read ({why})") from None


def use_login(project: Project) -> None:
    """Let Prefect's client and server of this process and its children use the project's login.

    Call it before Prefect is imported, and never where another server is named: that one must not
    learn it.
    """
    login = login_of(project)
    os.environ |= {"PREFECT_API_AUTH_STRING": login, "PREFECT_SERVER_API_AUTH_STRING": login}
