"""Turn: a person's command holds the project, or waits where runs start by themselves."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from evergreen.errors import InputError
from evergreen.project import Project

PATIENCE = "EVERGREEN_PATIENCE"


@contextmanager
def turn(project: Project) -> Iterator[None]:
    """Hold the project for a command; where a run does, wait for it and say so, or refuse.

    EVERGREEN_PATIENCE: how many seconds to wait; none by default, where who runs a command has
    started the other run too. Raises InputError where it is no number, or was not enough.
    """
    patience = _patience()
    with ExitStack() as held:
        try:
            held.enter_context(project.lock())
        except InputError as refused:
            if not patience:
                raise
            said = str(refused).partition(":")[0]
            print(f"{said}: waiting for it, {patience:g} s at most", file=sys.stderr, flush=True)
            held.enter_context(project.lock(patience))
        yield


def _patience() -> float:
    given = os.environ.get(PATIENCE) or "0"
    try:
        patience = float(given)
    except ValueError:
        patience = math.nan
    if not 0 <= patience < math.inf:
        raise InputError(f"{PATIENCE} is {given!r}: set it to a number of seconds")
    return patience
