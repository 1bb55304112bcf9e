"""The login of the servers that this project starts: made once, kept in stores/, its owner's."""

from __future__ import annotations

import os
import re
import secrets

from evergreen.files import make_secret
from evergreen.project import Project

USER = "evergreen"
FORM = re.compile(rf"{USER}:[\w-]{{43}}")


def login_of(project: Project) -> str:
    """Return `user:password` of the project's servers; made at the first call, or if damaged."""
    return make_secret(
        project.stores / "login", FORM, lambda: f"{USER}:{secrets.token_urlsafe(32)}"
    )


def use_login(project: Project) -> None:
    """Let Prefect's client and server of this process and its children use the project's login.

    Call it before Prefect is imported, and never where another server is named: that one must not
    learn it.
    """
    login = login_of(project)
    os.environ |= {"PREFECT_API_AUTH_STRING": login, "PREFECT_SERVER_API_AUTH_STRING": login}
