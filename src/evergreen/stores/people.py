"""People: who acts, whether `people` in params.yaml lets them, and that it is written down.

It keeps apart who is known, and stops nobody who can write to the project's folder: see
docs/gate.md.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from evergreen.errors import InputError
from evergreen.stores import git
from evergreen.stores.events import DENIED

if TYPE_CHECKING:
    from evergreen.stores.registry import Registry
    from evergreen.stores.tracking import Tracker

Act = Literal["approve", "override", "rollback"]
ACTS: dict[Act, str] = {
    "approve": "approve a challenger",
    "override": "promote against the gate",
    "rollback": "roll back",
}


class NotAllowedError(InputError):
    """`people` in params.yaml names others."""


def who(tracker: Tracker) -> str:
    """Return who runs this process.

    The user that MLflow's server has let in, where there is one; else the e-mail address that git
    knows; else the user of this machine.
    """
    login = os.environ.get("MLFLOW_TRACKING_USERNAME", "")
    if login and os.environ.get("MLFLOW_TRACKING_URI"):
        return login
    try:
        return git.email(tracker.project.root) or getpass.getuser()
    except (KeyError, OSError):  # no user has this number, as in a container
        return f"user {os.getuid()}"


@contextmanager
def acting(registry: Registry, act: Act, number: str | None, by: str) -> Iterator[None]:
    """Let the events of the block be those of a person; call it with the project's lock held.

    `number`: the version that it is about. Raises InputError where `people` in params.yaml does not
    name the person, and writes the attempt down.
    """
    allowed = getattr(registry.tracker.params.people, act)
    registry.events.by = by
    try:
        if allowed and by.lower() not in [name.lower() for name in allowed]:
            said = (
                f"{by or 'nobody'} may not {ACTS[act]}: people.{act} in params.yaml names "
                f"{', '.join(allowed)}"
            )
            if number:
                registry.record_outside(number, said, DENIED)
            raise NotAllowedError(said)
        yield
    finally:
        registry.events.by = ""
