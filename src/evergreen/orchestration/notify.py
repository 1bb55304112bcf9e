"""Notify: tell the project's notifiers what happened; whatever they do, the run goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Thread

from evergreen.errors import explain, log_traceback
from evergreen.extensions import Event, Notifier, What, name_of
from evergreen.orchestration.chat import WEBHOOK, tell_chat
from evergreen.params import Params
from evergreen.redact import redact

PATIENCE = 30.0  # seconds that a notifier may take: a server that does not answer holds no run up


def notify(
    params: Params, stores: Path, what: What, *, warn: Callable[[str], object], version: str = "",
    batch: str = "", says: Iterable[str] = (),
) -> None:  # fmt: skip
    """Tell each notifier of an event, and the chat of EVERGREEN_WEBHOOK, without secrets.

    A failure is logged in `stores`, and `warn` is called with a sentence about it.
    """
    told = tuple(redact(said) for said in says)
    event = Event(what, params.tracking.model, version, batch, told)
    own = [tell_chat] if os.environ.get(WEBHOOK) else []
    for notifier in [*params.extensions.notifiers, *own]:
        if error := _tell(notifier, event):
            log_traceback(error, stores)
            where = "" if notifier is tell_chat else " of extensions.py"
            failed = f"the notifier {name_of(notifier)}{where} failed"
            warn(f"{failed} ({describe(error)}): all else goes on")


def describe(error: BaseException) -> str:
    """Return what an error says in a line, without secrets."""
    said = explain(error)
    return str(said) if said else redact(" ".join(f"{type(error).__name__}: {error}".split()))


def _tell(notifier: Notifier, event: Event) -> BaseException | None:
    """Return what a notifier failed with, None where it did not."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            notifier(event)
        except BaseException as error:  # also SystemExit: it is no part of the run
            failed.append(error)

    thread = Thread(target=work, daemon=True, name=name_of(notifier))
    thread.start()
    thread.join(PATIENCE)
    if thread.is_alive():
        return TimeoutError(f"it took more than {PATIENCE:g} seconds")
    return failed[0] if failed else None
