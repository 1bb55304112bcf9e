"""Place: a run goes on whose place in its deployment Prefect's server does not know any more.

Where a deployment runs once at a time, a run holds a place there for as long as its process says so
every few minutes. The server keeps places in memory: after a restart, or while it is away at such a
moment, Prefect breaks off the run, so that there are never two. Here the project's lock sees to
that, and a training of hours is worth more than a place.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

_ENGINE: Any = import_module("prefect.flow_engine")
_hold = _ENGINE.maintain_concurrency_lease


def keep_going() -> None:
    """Let runs of this process go on where their place cannot be held; call it before they begin.

    Prefect has no setting for it.
    """
    _ENGINE.maintain_concurrency_lease = _hold_or_go_on


def _hold_or_go_on(lease: Any, seconds: float, **_: Any) -> AbstractContextManager[None]:
    held: AbstractContextManager[None] = _hold(
        lease, seconds, raise_on_lease_renewal_failure=False, suppress_warnings=True
    )
    return held
